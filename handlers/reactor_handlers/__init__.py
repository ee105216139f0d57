"""The handlers that come with Reactor: ready-made steps. None is here yet; see the roadmap in README.md."""
