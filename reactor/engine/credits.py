"""Credit: how much more may be accepted. It is taken before an event is durable and given back as runs leave.

One budget reaches from step to source. When a workflow's is used up, `take` waits, and waiting there is what holds a
sensor back; nothing else in the engine buffers events.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from reactor.errors import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 600.0
UNKNOWN_RATE_RETRY_SECONDS = 5.0
# Weight of the newest interval between two returns in the running mean.
_SMOOTHING = 0.05
# A budget is no longer short when no more than this part of it is used.
_PLENTY = 0.8


class Budget:
    """So many units; `take` waits in line for them. Give back exactly what was taken.

    `told` hears once when something had to wait or was refused, and once when a fifth of the limit is free again: a
    budget at its limit would otherwise be short and not short a thousand times a second.
    """

    def __init__(
        self, name: str, limit: int, *, told: Callable[[Budget, bool], None] | None = None
    ) -> None:
        self.name = name
        self.limit = limit
        self.used = 0
        self.is_short = False
        self._told = told
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._seconds_per_unit: float | None = None
        self._returned_at: float | None = None

    @property
    def available(self) -> int:
        return max(self.limit - self.used, 0)

    @property
    def waiting(self) -> int:
        return len(self._line)

    def has(self, amount: int) -> bool:
        """Return whether `amount` is there and nobody waits for it."""
        return not self._line and self.used + amount <= self.limit

    def take_nowait(self, amount: int, *, now: float) -> None:
        """Take `amount`, or raise OverloadedError at once. More than the whole limit is let through alone."""
        if self._line or not self._fits(amount):
            self._become_short(True)
            raise OverloadedError(self.name, self.retry_after(amount, now=now))
        self.used += amount

    async def take(self, amount: int) -> None:
        """Return when `amount` was taken; first come, first served. Cancelled, it has taken nothing."""
        if not self._line and self._fits(amount):
            self.used += amount
            return
        self._become_short(True)
        turn = asyncio.get_running_loop().create_future()
        entry = (amount, turn)
        self._line.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.used -= amount
            elif entry in self._line:
                # `_serve` may have dropped it: credit came back in the same turn of the loop.
                self._line.remove(entry)
            self._serve()
            raise

    def force(self, amount: int) -> None:
        """Take `amount` although there may be none: for what was accepted before, and is here again."""
        self.used += amount

    def give(self, amount: int, *, now: float) -> None:
        """Give `amount` back at the monotonic instant `now`, in seconds."""
        self.used -= amount
        if self._returned_at is not None and amount:
            sample = (now - self._returned_at) / amount
            mean = self._seconds_per_unit
            self._seconds_per_unit = sample if mean is None else mean + (sample - mean) * _SMOOTHING
        self._returned_at = now
        self._serve()

    def resize(self, limit: int) -> None:
        """Change the limit; what is taken stays taken."""
        self.limit = limit
        self._serve()

    def retry_after(self, amount: int, *, now: float) -> timedelta:
        """Return when `amount` can be expected, from the rate at which credit came back lately."""
        if self._seconds_per_unit is None or self._returned_at is None:
            seconds = UNKNOWN_RATE_RETRY_SECONDS
        else:
            ahead = amount + sum(waiting for waiting, _ in self._line)
            missing = max(self.used + ahead - self.limit, 1)
            # A rate measured long ago is no promise: silence since then counts against it.
            seconds = max(missing * self._seconds_per_unit, now - self._returned_at)
        bounded = min(max(seconds, SHORTEST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)
        return timedelta(seconds=math.ceil(bounded))

    def _fits(self, amount: int) -> bool:
        return self.used + amount <= self.limit or self.used == 0

    def _serve(self) -> None:
        while self._line and self._fits(self._line[0][0]):
            amount, turn = self._line.popleft()
            if not turn.done():
                self.used += amount
                turn.set_result(None)
        if self.is_short and not self._line and self.used <= self.limit * _PLENTY:
            self._become_short(False)

    def _become_short(self, is_short: bool) -> None:
        if self.is_short != is_short:
            self.is_short = is_short
            if self._told is not None:
                self._told(self, is_short)
