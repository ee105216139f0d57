"""Whole requests in, whole answers out: what a webhook needs of HTTP, without ASGI between.

uvicorn's cycle of ASGI messages takes a third of the time of a durable webhook: an event, a queue and two writes for
each request. Here a request is one call and its answer one write.
"""

from __future__ import annotations

from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

from reactor.model.sensor import HookRequest, HookResponse
from reactor.web.protocol import LINGER_SECONDS, Connections, GuardedProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from uvicorn.config import Config
    from uvicorn.server import ServerState

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class WholeProtocol(GuardedProtocol):
    """One connection. `answer` is called with one request after the other and must not raise."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        loop: asyncio.AbstractEventLoop,
        guard: Connections,
        *,
        answer: Callable[[HookRequest], Awaitable[HookResponse]],
    ) -> None:
        super().__init__(config, server_state, loop, guard)
        self._answer = answer
        self._body: list[bytes] = []
        self._keeps_alive = True
        self._is_answering = False
        self._task: asyncio.Task[None] | None = None
        # Requests that came before the one ahead of them was answered. Reading stops with the first.
        self._line: deque[tuple[HookRequest, bool]] = deque()

    def shutdown(self) -> None:
        """Close once what is being answered is answered."""
        self._line.clear()
        self._keeps_alive = False
        if not self._is_answering:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._task is not None and not self._task.done():
            # The connection no longer keeps it from being collected as garbage.
            self.tasks.add(self._task)
            self._task.add_done_callback(self.tasks.discard)

    def _begin_head(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def _begin_request(self) -> None:
        self._body = []
        if not self.url.startswith(b"/"):
            self.refuse(400, "not_http", "a request names a path that begins with /")
            return
        if self.expect_100_continue and not self._is_answering:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _take_body(self, body: bytes) -> None:
        self._body.append(body)

    def _end_request(self) -> None:
        parser = self.parser
        request = HookRequest(
            method=parser.get_method().decode("ascii"),
            path=self._path,
            headers=self.headers,
            body=self._body[0] if len(self._body) == 1 else b"".join(self._body),
            client=self.client[0] if self.client else "",
        )
        keeps_alive = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        self._body = []
        if self._is_answering:
            self.flow.pause_reading()
            self._line.append((request, keeps_alive))
        else:
            self._serve(request, keeps_alive)

    def _owes_an_answer(self) -> bool:
        return self._is_answering

    def _serve(self, request: HookRequest, keeps_alive: bool) -> None:
        self._is_answering = True
        self._task = self.loop.create_task(self._see_to(request, keeps_alive), name="webhook")

    async def _see_to(self, request: HookRequest, keeps_alive: bool) -> None:
        response = await self._answer(request)
        self._is_answering = False
        if self.transport.is_closing():
            return
        keeps_alive = keeps_alive and self._keeps_alive
        self.transport.write(self._spell(response, request.method, keeps_alive))
        if not keeps_alive:
            self.transport.close()
            self._guard.wait(self, self.loop.time() + LINGER_SECONDS)
        elif self._line:
            self._release_body()
            self._serve(*self._line.popleft())
        else:
            self.on_response_complete()

    def _spell(self, response: HookResponse, method: str, keeps_alive: bool) -> bytes:
        head = f"content-type: {response.content_type}\r\ncontent-length: {len(response.body)}\r\n"
        for text, content in response.headers.items():
            head += f"{text}: {content}\r\n"
        if not keeps_alive:
            head += "connection: close\r\n"
        body = response.body if method != "HEAD" else b""
        start = _STATUS_LINES[response.status] + self._guard.date_line
        return b"%b%b\r\n%b" % (start, head.encode("latin-1"), body)
