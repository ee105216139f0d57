"""A client that costs little: signed requests made beforehand, keep-alive, one request at a time per connection."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import uvloop

from benchmarks.bare_loop import PAYLOAD
from benchmarks.figures import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Sequence

_ACCEPTED = b"HTTP/1.1 202 "
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How long all requests took and each of them; `busy` is the share of a core that the client used."""

    seconds: float
    latencies_ms: Sequence[float]
    busy: float

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.seconds


def deliver(
    address: tuple[str, int], path: str, secret: str, *, requests: int, connections: int
) -> Answers:
    """Send `requests` distinct deliveries over `connections` connections, as fast as they are answered.

    Raises MeasurementError for any answer but 202.
    """
    prepared = signed_requests(path, secret, requests)
    return uvloop.run(_deliver(address, prepared, connections))


def signed_requests(path: str, secret: str, count: int) -> list[bytes]:
    """Return requests as GitHub signs them, each with a GUID of its own and a body of 200 bytes."""
    body = str(PAYLOAD).replace("'", '"').encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return [
        (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"X-GitHub-Event: push\r\nX-GitHub-Delivery: {uuid.uuid4()}\r\n"
            f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for _ in range(count)
    ]


async def _deliver(
    address: tuple[str, int], prepared: Sequence[bytes], connections: int
) -> Answers:
    loop = asyncio.get_running_loop()
    crowd = _Crowd(prepared, connections, loop.create_future())
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(connections):
            _, client = await loop.create_connection(partial(_Client, crowd), *address)
            stack.push_async_callback(client.close)
            clients.append(client)
        began, cpu = time.perf_counter(), time.process_time()
        for client in clients:
            client.send_next()
        await crowd.done
        seconds = time.perf_counter() - began
        busy = (time.process_time() - cpu) / seconds
    return Answers(seconds=seconds, latencies_ms=crowd.latencies_ms, busy=busy)


class _Crowd:
    """What all connections share: the requests left, the times so far, and the end."""

    def __init__(
        self, prepared: Sequence[bytes], connections: int, done: asyncio.Future[None]
    ) -> None:
        self.requests = iter(prepared)
        self.latencies_ms: list[float] = []
        self.done = done
        self._connections = connections

    def leave(self) -> None:
        """One connection has nothing left to send."""
        self._connections -= 1
        if not self._connections and not self.done.done():
            self.done.set_result(None)

    def fail(self, why: str) -> None:
        """End the measurement; the first reason counts."""
        if not self.done.done():
            self.done.set_exception(MeasurementError(why))


class _Client(asyncio.Protocol):
    """One connection: sends a request, waits for the whole answer, sends the next."""

    def __init__(self, crowd: _Crowd) -> None:
        self._crowd = crowd
        self._answer = b""
        self._sent_at = 0.0
        self._has_left = False
        self._is_closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def send_next(self) -> None:
        """Send the next request, or close when there is none."""
        request = next(self._crowd.requests, None)
        if request is None:
            self._has_left = True
            self._transport.close()
            self._crowd.leave()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        length = _length_of(self._answer)
        if length is None or len(self._answer) < length:
            return
        if length == 0:
            self._crowd.fail("an answer has no Content-Length; the client understands no other")
            return
        if not self._answer.startswith(_ACCEPTED):
            answer = self._answer[:300].decode(errors="replace")
            self._crowd.fail(f"a delivery was answered {answer!r}; expected 202")
            return
        self._answer = b""
        self._crowd.latencies_ms.append((time.perf_counter() - self._sent_at) * 1e3)
        self.send_next()

    async def close(self) -> None:
        """Close at once, whatever is on its way, and wait until it is closed.

        uvloop's loop can wait for the server, or fail with EBUSY, when it is closed before.
        """
        self._has_left = True
        self._transport.abort()
        await self._is_closed.wait()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closed.set()
        if not self._has_left:
            self._crowd.fail(f"the server closed a connection ({error}); expected an answer")


def _length_of(answer: bytes) -> int | None:
    """Return how long the answer is with its head; None while the head is not whole, 0 where it does not say."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = answer[:end].lower()
    at = head.find(_LENGTH)
    if at < 0:
        return 0
    return end + 4 + int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
