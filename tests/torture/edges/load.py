"""Webhooks at a rate of their own: sent when they are due, whatever becomes of those before them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHORTEST_SLEEP_SECONDS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One request and what came of it. Instants are monotonic seconds; `due_at` is when it should have been sent."""

    delivery: str
    due_at: float
    sent_at: float
    read_at: float
    status: int
    retry_after: str | None


@dataclass(slots=True)
class Load:
    """`rate` requests a second to `path` over keep-alive connections; fewer where the answers come too slowly.

    `body` is called for each. What `shots` holds is complete once `run` has returned.
    """

    port: int
    path: str
    rate: float
    body: Callable[[int], Mapping[str, object]]
    name: str
    connections: int = 16
    shots: list[Shot] = field(default_factory=list)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    _next: int = 0
    _begun_at: float = 0.0

    async def run(self, seconds: float) -> list[Shot]:
        """Send for so long, or until `is_over`; return what was sent, in the order of the answers."""
        self._begun_at = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(self.connections):
                group.create_task(self._send(seconds), name=f"{self.name} {number}")
        return self.shots

    async def _send(self, seconds: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            while not self.is_over.is_set():
                number, self._next = self._next, self._next + 1
                due_at = self._begun_at + number / self.rate
                if due_at >= self._begun_at + seconds:
                    return
                early = due_at - time.monotonic()
                if early > SHORTEST_SLEEP_SECONDS:
                    await asyncio.sleep(early)
                await self._shoot(reader, writer, number, due_at)
        finally:
            writer.close()

    async def _shoot(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, due_at: float
    ) -> None:
        delivery = f"{self.name}-{number}"
        content = orjson.dumps(self.body(number))
        sent_at = time.monotonic()
        writer.write(
            b"POST %b HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
            b"idempotency-key: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (self.path.encode(), delivery.encode(), len(content), content)
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        await reader.readexactly(int(headers["content-length"]))
        self.shots.append(
            Shot(
                delivery=delivery,
                due_at=due_at,
                sent_at=sent_at,
                read_at=time.monotonic(),
                status=int(head[0].split(" ")[1]),
                retry_after=headers.get("retry-after"),
            )
        )


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of them do not exceed. Raises IndexError for none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
