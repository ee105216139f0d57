"""The admin listener: metrics, health and the API of the command line. Closed by default.

Each route carries its own guard, so nothing in a path's spelling can lead past it. Requests must name a host on the
allow-list (DNS rebinding), and those that change something must carry the token and a header that no web page can
send across origins without being asked first.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.requests import Request

CSRF_HEADER = "x-reactor"
LARGEST_BODY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminApi:
    """What the daemon lets the admin listener show and do."""

    metrics: Callable[[str | None], tuple[bytes, str]]
    health: Callable[[], tuple[bool, Sequence[str]]]
    readiness: Callable[[], tuple[bool, Sequence[str]]]
    emit: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
    redrive: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
    seek: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class RequestRefused(Exception):  # noqa: N818  # an answer, not an error
    """Raised by an API function: the request was understood and cannot be done."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def admin_app(api: AdminApi, *, token: str, hosts: Sequence[str], is_loopback: bool) -> Starlette:
    """Return the ASGI application. On loopback, metrics and health need no token."""
    guard = Guard(token, hosts)

    async def metrics(request: Request) -> Response:
        body, content_type = api.metrics(request.headers.get("accept"))
        return Response(body, headers={"content-type": content_type})

    async def health(request: Request) -> Response:
        return _verdict(*api.health())

    async def readiness(request: Request) -> Response:
        return _verdict(*api.readiness())

    async def emit(request: Request) -> Response:
        return _json(await api.emit(await _body(request)), 202)

    async def redrive(request: Request) -> Response:
        return _json(await api.redrive(await _body(request)))

    async def seek(request: Request) -> Response:
        return _json(await api.seek(await _body(request)))

    app = Starlette(
        routes=[
            Route("/metrics", guard.wrap(metrics, needs_token=not is_loopback), methods=["GET"]),
            Route("/healthz", guard.wrap(health, needs_token=not is_loopback), methods=["GET"]),
            Route("/readyz", guard.wrap(readiness, needs_token=not is_loopback), methods=["GET"]),
            Route("/api/emit", guard.wrap(emit, needs_token=True), methods=["POST"]),
            Route("/api/redrive", guard.wrap(redrive, needs_token=True), methods=["POST"]),
            Route("/api/seek", guard.wrap(seek, needs_token=True), methods=["POST"]),
        ]
    )
    # It would answer in the place of the guard, with a Location made of whatever Host was sent.
    app.router.redirect_slashes = False
    return app


class Guard:
    """Decides who may call a route."""

    def __init__(self, token: str, hosts: Sequence[str]) -> None:
        self._expected = b"Bearer " + token.encode()
        # Kept, not copied: the real port is known only once the listener is bound.
        self._hosts = hosts

    def wrap(
        self, endpoint: Callable[[Request], Awaitable[Response]], *, needs_token: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint behind the guard."""

        async def guarded(request: Request) -> Response:
            refusal = self._refusal(request, needs_token=needs_token)
            if refusal is not None:
                return refusal
            try:
                return await endpoint(request)
            except RequestRefused as error:
                return _json({"error": str(error)}, error.status)

        return guarded

    def _refusal(self, request: Request, *, needs_token: bool) -> Response | None:
        if request.headers.get("host", "").lower() not in self._hosts:
            return _json({"error": "this Host is not served here"}, 421)
        if not needs_token:
            return None
        given = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, self._expected):
            return _json(
                {
                    "error": "the admin token is missing or wrong; it is in the file admin-token of the state directory"
                },
                401,
            )
        if request.method != "GET" and CSRF_HEADER not in request.headers:
            return _json({"error": "the header X-Reactor is missing"}, 403)
        return None


async def _body(request: Request) -> Mapping[str, Any]:
    raw = bytearray()
    try:
        async for part in request.stream():
            raw += part
            if len(raw) > LARGEST_BODY_BYTES:
                raise RequestRefused(413, f"the body is larger than {LARGEST_BODY_BYTES:,} bytes")
    except ClientDisconnect:
        # Nobody is there to read it; without an answer the server would log the exception as a fault of ours.
        raise RequestRefused(400, "the connection was closed before the end of the body") from None
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestRefused(400, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise RequestRefused(400, "the body is not a JSON object")
    return body


def _verdict(is_good: bool, reasons: Sequence[str]) -> Response:  # mirrors the verdict's own order
    return _json({"ok": is_good, "reasons": [*reasons]}, 200 if is_good else 503)


def _json(content: Mapping[str, Any], status: int = 200) -> Response:
    return Response(
        orjson.dumps(content),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
    )
