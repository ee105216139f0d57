"""HTTP/1.1 that a slow, fat or half-open client cannot hold up.

httptools parses and uvicorn answers; they close no connection on which a request was begun and never finished,
and bound neither headers nor bodies. This subclass of uvicorn's protocol does, before any code above it
has seen the request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import orjson
from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.config import Config
    from uvicorn.server import ServerState

HEAD_SECONDS = 5.0
IDLE_SECONDS = 30.0
LINGER_SECONDS = 2.0
WRITE_SECONDS = 20.0
SWEEP_SECONDS = 0.25
MOST_HEAD_BYTES = 32 * 1024
MOST_HEADERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a request may cost: bytes of its body, and seconds from its first byte to its last."""

    max_body_bytes: int
    deadline_seconds: float


class Connections:
    """The open connections of one listener, and until when each may keep us waiting.

    One timer looks after all of them, because a timer per request would cost more than parsing it.
    A connection that is answered within the sweep is never looked at.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        limits_of: Callable[[str], Limits],
        refused: Callable[[str], None],
        date: Callable[[], bytes],
        most_open: int,
        most_body_bytes: int,
    ) -> None:
        self.limits_of = limits_of
        self.refused = refused
        self._date = date
        self._dated_at = -1
        self.date_line = b""
        self.body_bytes = 0
        self.most_body_bytes = most_body_bytes
        self._loop = loop
        self._most_open = most_open
        self._open: set[GuardedProtocol] = set()
        self._waiting: dict[GuardedProtocol, float] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._nobody = asyncio.Event()
        self._nobody.set()

    def add(self, connection: GuardedProtocol) -> bool:
        """Take a connection in, at the cost of the one that has waited longest; False if all are at work."""
        if len(self._open) >= self._most_open and not self._evict():
            return False
        self._open.add(connection)
        self._nobody.clear()
        return True

    def remove(self, connection: GuardedProtocol) -> None:
        """Forget a connection that is lost."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        if not self._open:
            self._nobody.set()

    def wait(self, connection: GuardedProtocol, until: float) -> None:
        """Let the client keep us waiting until then, in seconds of the loop's time."""
        self._waiting[connection] = until
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def wait_no_longer(self, connection: GuardedProtocol) -> None:
        """The client has done its part."""
        self._waiting.pop(connection, None)

    def date_answers(self, state: ServerState) -> None:
        """Keep the header `date` of all answers true to the second (RFC 9110 section 6.6.1)."""
        second = int(self._loop.time())
        if second != self._dated_at:
            self._dated_at = second
            date = self._date()
            self.date_line = b"date: %b\r\n" % date
            state.default_headers = [(b"date", date)]

    async def close(self, grace_seconds: float) -> None:
        """End idle connections at once and the others when they are answered, after the grace all."""
        for connection in tuple(self._open):
            connection.shutdown()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._nobody.wait()
        except TimeoutError:
            for connection in tuple(self._open):
                connection.transport.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _evict(self) -> bool:
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        self.refused("too_many_connections")
        self.remove(oldest)
        oldest.transport.abort()
        return True

    def _sweep(self) -> None:
        self._sweeper = None
        # A sweep early rather than late: a deadline is a promise to everyone else.
        horizon = self._loop.time() + SWEEP_SECONDS
        for connection in [late for late, until in self._waiting.items() if until < horizon]:
            connection.is_late()
        if self._waiting and self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)


class GuardedProtocol(HttpToolsProtocol):
    """One connection: `Limits` and the constants above, kept. What breaks them is answered and closed."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        loop: asyncio.AbstractEventLoop,
        guard: Connections,
    ) -> None:
        super().__init__(config, server_state, {}, loop)
        self._guard = guard
        self._is_refused = False
        self._is_idle = False
        self._is_in_head = True
        self._is_in_trailers = False
        self._begun_at = 0.0
        # Of the head or of trailers, as they come; 0 within a body.
        self._head_bytes = 0
        # Of the request that is being read, and of those that are read and not answered.
        self._body_bytes = 0
        self._unanswered_bytes: deque[int] = deque()
        self._path = ""
        self._limits = Limits(max_body_bytes=0, deadline_seconds=HEAD_SECONDS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are such by shape only; nothing to check at run time.
        super().connection_made(cast("asyncio.Transport", transport))
        self._begun_at = self.loop.time()
        if not self._guard.add(self):
            self._guard.refused("too_many_connections")
            self.transport.abort()
            return
        self._guard.wait(self, self._begun_at + HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.remove(self)
        self._guard.body_bytes -= self._body_bytes + sum(self._unanswered_bytes)
        self._body_bytes = 0
        self._unanswered_bytes.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._is_in_head or self._is_in_trailers:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.refuse(400, "not_http", "this is not an HTTP/1.1 request")
        except HttpParserUpgrade:
            # An upgrade is ignored, as RFC 9110 section 7.8 allows.
            return
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        self._begin_head()
        self._is_in_head = True
        if self._is_idle:
            # The first request of a connection is timed from the connection itself.
            self._is_idle = False
            self._begun_at = self.loop.time()
            self._guard.wait(self, self._begun_at + HEAD_SECONDS)

    def on_url(self, url: bytes) -> None:
        if len(self.url) + len(url) > MOST_HEAD_BYTES:
            self._refuse_head()
            return
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Nobody needs trailers, and they are no headers (RFC 9110 section 6.5.1).
        if self._is_in_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._head_bytes = 0
        if self._is_refused:
            return
        self._path = self.url.partition(b"?")[0].decode("latin-1")
        self._limits = self._guard.limits_of(self._path)
        announced_bytes = header_bytes = 0
        for name, value in self.headers:
            header_bytes += len(name) + len(value)
            if name == b"content-length":
                # The parser has made sure that it is a number, and the only one.
                announced_bytes = int(value)
            elif name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
        if header_bytes > MOST_HEAD_BYTES or len(self.headers) > MOST_HEADERS:
            self._refuse_head()
            return
        if announced_bytes > self._limits.max_body_bytes:
            self._refuse_body()
            return
        self._guard.date_answers(self.server_state)
        self._begin_request()
        self._guard.wait(self, self._begun_at + self._limits.deadline_seconds)

    def on_chunk_header(self) -> None:
        """The next are a chunk or, behind the last one, trailers. Those are bounded as a head is."""
        self._is_in_trailers = True
        self._head_bytes = 0

    def on_body(self, body: bytes) -> None:
        if self._is_refused:
            return
        if self._is_in_trailers:
            self._is_in_trailers = False
            self._head_bytes = 0
        self._body_bytes += len(body)
        self._guard.body_bytes += len(body)
        if self._body_bytes > self._limits.max_body_bytes:
            self._refuse_body()
        elif self._guard.body_bytes > self._guard.most_body_bytes:
            self.refuse(503, "too_many_bytes", "too many large requests at once; try again")
        else:
            self._take_body(body)

    def on_message_complete(self) -> None:
        # What follows in the same connection is the head of another request.
        self._is_in_head = True
        self._is_in_trailers = False
        self._head_bytes = 0
        if not self._is_refused:
            self._unanswered_bytes.append(self._body_bytes)
            self._body_bytes = 0
            self._guard.wait_no_longer(self)
            self._end_request()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._release_body()
        now = self.loop.time()
        if self._is_refused:
            return
        if self.transport.is_closing():
            self._guard.wait(self, now + LINGER_SECONDS)
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        if not self._is_in_head or not self._head_bytes:
            self._is_idle = True
            self._guard.wait(self, now + IDLE_SECONDS)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._guard.wait(self, self.loop.time() + WRITE_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._guard.wait_no_longer(self)

    def is_late(self) -> None:
        """End a connection whose client kept us waiting for too long."""
        if self._is_refused or self.transport.is_closing() or self.flow.write_paused:
            self._guard.wait_no_longer(self)
            self.transport.abort()
        elif self._is_idle:
            self.transport.close()
            self._guard.wait(self, self.loop.time() + LINGER_SECONDS)
        else:
            self.refuse(408, "too_slow", "the request did not come to its end in time")

    def refuse(self, status: int, reason: str, detail: str) -> None:
        """Answer without the application, and close once the client had a chance to read the answer."""
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        self._guard.refused(reason)
        if self._owes_an_answer():
            # Another answer in its place, or between its bytes, would be taken for it.
            self.transport.abort()
            return
        self.transport.write(_answer(status, detail))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # What still comes is read and dropped: closing over unread bytes would reset the connection,
        # and the client would see that instead of the answer.
        self.flow.resume_reading()
        self._guard.wait(self, self.loop.time() + LINGER_SECONDS)

    # What the application sees of a request; a subclass may go another way than ASGI.

    def _begin_head(self) -> None:
        super().on_message_begin()

    def _begin_request(self) -> None:
        super().on_headers_complete()

    def _take_body(self, body: bytes) -> None:
        super().on_body(body)

    def _end_request(self) -> None:
        super().on_message_complete()

    def _owes_an_answer(self) -> bool:
        """Return whether an earlier request is still being answered; the one at hand is given up."""
        cycle: Any = self.cycle  # None before the first request
        if cycle is None or cycle.response_complete:
            return False
        cycle.disconnected = True
        cycle.message_event.set()
        return bool(cycle.response_started or not cycle.more_body)

    def _refuse_head(self) -> None:
        self.refuse(
            431, "head_too_large", f"more than {MOST_HEAD_BYTES} bytes or {MOST_HEADERS} headers"
        )

    def _refuse_body(self) -> None:
        limit = self._limits.max_body_bytes
        self.refuse(413, "too_large", f"the body is larger than {limit} bytes")

    def _release_body(self) -> None:
        """The oldest request is answered; an answer may come before the end of its request."""
        if self._unanswered_bytes:
            self._guard.body_bytes -= self._unanswered_bytes.popleft()


def _answer(status: int, detail: str) -> bytes:
    body = orjson.dumps({"error": detail})
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n"
    )
    if status == 503:
        head += "retry-after: 1\r\n"
    return head.encode() + b"\r\n" + body
