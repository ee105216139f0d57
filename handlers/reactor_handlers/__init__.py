"""The handlers that come with Reactor: ready-made steps. Each is one module: `from reactor_handlers import kafka`."""
