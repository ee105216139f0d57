"""The hooks listener: the public end of webhook sensors, and nothing else."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import orjson

from reactor.errors import DefinitionError
from reactor.model.sensor import HookRequest, HookResponse
from reactor.telemetry.facts import RequestFailed, RequestShed
from reactor.web.protocol import Limits
from reactor.web.server import HttpServer
from reactor.web.whole import WholeProtocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from datetime import timedelta

    from reactor.telemetry import Telemetry

# A path that nobody serves needs no body.
NO_ROUTE = Limits(max_body_bytes=64 * 1024, deadline_seconds=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    handler: Callable[[HookRequest], Awaitable[HookResponse]]
    methods: tuple[str, ...]
    limits: Limits


class HooksListener:
    """Serves the paths that sensors ask for, exactly as spelled: no prefixes, no decoding, no redirects."""

    def __init__(self, host: str, port: int, *, telemetry: Telemetry) -> None:
        self._routes: dict[str, _Route] = {}
        # Paths that were served and are not: their sensor is starting again, or the daemon drains.
        self._absent: set[str] = set()
        self._telemetry = telemetry
        self._server = HttpServer(
            _no_application,
            host,
            port,
            telemetry=telemetry,
            limits_of=self._limits_of,
            protocol=partial(WholeProtocol, answer=self._answer),
        )
        # Until `settle` a sensor may be about to serve what nobody serves yet.
        self._is_settled = False

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port; the real port once started."""
        return self._server.address

    async def start(self) -> None:
        """Listen; every path is answered 503 until its sensor serves it. Raises SettingsError."""
        await self._server.start()

    async def stop(self, grace_seconds: float) -> None:
        """Take no new connection; end when all requests are answered, at the latest after the grace."""
        await self._server.stop(grace_seconds)

    @contextmanager
    def serve(
        self,
        path: str,
        handler: Callable[[HookRequest], Awaitable[HookResponse]],
        *,
        methods: Sequence[str] = ("POST",),
        max_body_bytes: int,
        deadline: timedelta,
    ) -> Iterator[None]:
        """See `Intake.serve`. Raises DefinitionError when the path is taken."""
        if path in self._routes:
            raise DefinitionError(f"{path!r} is served by another sensor; give each its own path")
        limits = Limits(max_body_bytes=max_body_bytes, deadline_seconds=deadline.total_seconds())
        self._routes[path] = _Route(handler=handler, methods=tuple(methods), limits=limits)
        self._absent.discard(path)
        try:
            yield
        finally:
            del self._routes[path]
            self._absent.add(path)

    def settle(self) -> None:
        """From now on a path that no sensor serves is unknown, not late."""
        self._absent.clear()
        self._is_settled = True

    def _limits_of(self, path: str) -> Limits:
        route = self._routes.get(path)
        return NO_ROUTE if route is None else route.limits

    async def _answer(self, request: HookRequest) -> HookResponse:
        route = self._routes.get(request.path)
        if route is None:
            return self._no_route(request.path)
        if request.method not in route.methods:
            self._telemetry.emit(RequestShed(reason="wrong_method"))
            allowed = ", ".join(route.methods)
            return _error(405, f"this path takes {allowed}", {"allow": allowed})
        try:
            response = await route.handler(request)
        except Exception as error:  # noqa: BLE001  # the HTTP edge is one of three places that catch all
            frame = traceback.extract_tb(error.__traceback__)[-1]
            # The type and the place: the text of an unexpected error may quote the payload.
            self._telemetry.emit(
                RequestFailed(
                    path=request.path,
                    error=type(error).__name__,
                    where=f"{frame.filename}:{frame.lineno}",
                )
            )
            return _error(500, "the request could not be handled; the daemon's log says where")
        if 400 <= response.status < 500:
            # Forged, malformed, not what the sensor takes. A 503 has its own count where credit is.
            self._telemetry.emit(RequestShed(reason=f"status_{response.status}"))
        return response

    def _no_route(self, path: str) -> HookResponse:
        if path in self._absent or not self._is_settled:
            self._telemetry.emit(RequestShed(reason="not_ready"))
            return _error(503, "this path is not served right now", {"retry-after": "2"})
        self._telemetry.emit(RequestShed(reason="unknown_path"))
        return _error(404, "no sensor serves this path")


async def _no_application(scope: object, receive: object, send: object) -> None:
    """Stand where uvicorn wants an application; requests take the shorter way."""


def _error(status: int, detail: str, headers: dict[str, str] | None = None) -> HookResponse:
    return HookResponse(status=status, body=orjson.dumps({"error": detail}), headers=headers or {})
