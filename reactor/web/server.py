"""An HTTP listener inside the daemon's loop: uvicorn's protocol without its signals and its ticking."""

from __future__ import annotations

import asyncio
import os
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from reactor.clock import SystemClock
from reactor.errors import SettingsError
from reactor.telemetry.facts import RequestShed
from reactor.web.protocol import Connections, GuardedProtocol, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from reactor.telemetry import Telemetry

MOST_OPEN = 4096
MOST_BODY_BYTES = 256 * 1024 * 1024
BACKLOG = 2048
# Of a listener that says nothing else.
PLAIN_LIMITS = Limits(max_body_bytes=4 * 1024 * 1024, deadline_seconds=10.0)


class HttpServer:
    """Serves an ASGI application at HOST:PORT. Port 0 takes a free one; `address` tells which.

    Another `protocol` than the usual one may go without the application.
    """

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        *,
        telemetry: Telemetry,
        limits_of: Callable[[str], Limits] = lambda _: PLAIN_LIMITS,
        most_open: int = MOST_OPEN,
        protocol: Callable[..., GuardedProtocol] = GuardedProtocol,
    ) -> None:
        self.address = (host, port)
        self._protocol = protocol
        self._telemetry = telemetry
        self._limits_of = limits_of
        self._most_open = most_open
        self._config = Config(
            app,
            interface="asgi3",
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
        )
        self._state = ServerState()
        self._clock = SystemClock()
        self._server: asyncio.Server | None = None
        self._connections: Connections | None = None

    async def start(self) -> None:
        """Bind and listen. Raises SettingsError when the address cannot be had."""
        self._config.load()
        loop = asyncio.get_running_loop()
        connections = self._connections = Connections(
            loop,
            limits_of=self._limits_of,
            refused=self._on_refused,
            date=self._date,
            most_open=self._most_open,
            most_body_bytes=MOST_BODY_BYTES,
        )
        host, port = self.address
        try:
            self._server = await loop.create_server(
                lambda: self._protocol(self._config, self._state, loop, connections),
                host,
                port,
                backlog=BACKLOG,
            )
        except OSError as error:
            # uvloop words its own errors; a name that does not resolve has no errno of the system.
            number = error.errno or 0
            why = os.strerror(number) if number > 0 else str(error)
            raise SettingsError(
                f"{host}:{port} cannot be listened on: {why}; "
                "choose another with --hooks or --admin, or end what listens there"
            ) from None
        self.address = self._server.sockets[0].getsockname()[:2]

    async def stop(self, grace_seconds: float) -> None:
        """Take no new connection; end when all requests are answered, at the latest after the grace."""
        if self._server is not None and self._connections is not None:
            self._server.close()
            await self._connections.close(grace_seconds)

    def _date(self) -> bytes:
        return formatdate(self._clock.now_micros() / 1e6, usegmt=True).encode()

    def _on_refused(self, reason: str) -> None:
        self._telemetry.emit(RequestShed(reason=reason))
