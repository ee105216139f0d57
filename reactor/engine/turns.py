"""Whose turn it is: what waits is taken workflow by workflow, so that one that floods cannot starve another.

First come, first served would put a single step of a quiet workflow behind all that a busy one has lined up. In turn,
it waits for one step of each other workflow at most. (Nagle, RFC 970, on fair queues.)
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

T = TypeVar("T")


class Turns(Generic[T]):
    """A queue in which workflows take turns; within one of them it is first in, first out."""

    __slots__ = ("_lines", "_order")

    def __init__(self) -> None:
        # Only workflows of which something waits.
        self._lines: dict[str, deque[T]] = {}
        self._order: deque[str] = deque()

    def __bool__(self) -> bool:
        return bool(self._order)

    def add(self, workflow: str, item: T) -> None:
        """Put `item` behind all others of its workflow."""
        line = self._lines.get(workflow)
        if line is None:
            self._lines[workflow] = deque((item,))
            self._order.append(workflow)
        else:
            line.append(item)

    def take(self) -> T:
        """Return what is next. Raises IndexError when nothing waits."""
        workflow = self._order.popleft()
        line = self._lines[workflow]
        item = line.popleft()
        if line:
            self._order.append(workflow)
        else:
            del self._lines[workflow]
        return item

    def clear(self) -> None:
        """Forget all that waits."""
        self._lines.clear()
        self._order.clear()


class Places:
    """`limit` places, handed to workflows in turn when there are fewer than are wanted."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: Turns[asyncio.Future[None]] = Turns()

    @asynccontextmanager
    async def place(self, workflow: str) -> AsyncIterator[None]:
        """Wait for a place and hold it. Cancelled while it waits, it takes none."""
        await self._take(workflow)
        try:
            yield
        finally:
            self._give()

    async def _take(self, workflow: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(workflow, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The place came in the same turn of the loop as the cancellation.
                self._give()
            raise

    def _give(self) -> None:
        while self._waiting:
            turn = self._waiting.take()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
