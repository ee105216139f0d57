"""Whose turn it is: what waits is taken workflow by workflow, so that one that floods cannot starve another.

First come, first served would put a single step of a quiet workflow behind all that a busy one has lined up. In turn,
it waits for one step of each other workflow at most. (Nagle, RFC 970, on fair queues.)
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

T = TypeVar("T")
KEPT_PART = 8


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
        return self.take_of(self._order[0])

    def first(self, may: Callable[[str], bool]) -> str | None:
        """Return the workflow whose turn it is among those that `may`; None when none of them waits."""
        return next((workflow for workflow in self._order if may(workflow)), None)

    def take_of(self, workflow: str) -> T:
        """Return what waits for longest of a workflow, whose next turn comes after those of all others."""
        if self._order[0] == workflow:
            self._order.popleft()
        else:
            self._order.remove(workflow)
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
    """`limit` places, handed to workflows in turn when there are fewer than are wanted.

    An eighth of them is only for workflows that hold less than that. So where one holds all the others, for however
    long, there is a place for one that is quiet at once.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._kept = limit // KEPT_PART
        self._held: Counter[str] = Counter()
        self._waiting: Turns[asyncio.Future[None]] = Turns()

    @property
    def held(self) -> int:
        """How many places are taken."""
        return self._held.total()

    @asynccontextmanager
    async def place(self, workflow: str) -> AsyncIterator[None]:
        """Wait for a place and hold it. Cancelled while it waits, it takes none."""
        await self._take(workflow)
        try:
            yield
        finally:
            self._give(workflow)

    async def _take(self, workflow: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(workflow, turn)
        self._hand_out()
        if turn.done():
            return
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # The place came in the same turn of the loop as the cancellation.
                self._give(workflow)
            raise

    def _give(self, workflow: str) -> None:
        self._free += 1
        self._held[workflow] -= 1
        if not self._held[workflow]:
            del self._held[workflow]
        self._hand_out()

    def _may_take(self, workflow: str) -> bool:
        return self._free > (self._kept if self._held[workflow] >= self._kept else 0)

    def _hand_out(self) -> None:
        while (workflow := self._waiting.first(self._may_take)) is not None:
            turn = self._waiting.take_of(workflow)
            if not turn.done():
                self._free -= 1
                self._held[workflow] += 1
                turn.set_result(None)
