"""Virtual time: a sleep costs nothing, a thread is still waited for."""

from __future__ import annotations

import asyncio
import selectors
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from reactor.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer whenever nothing else can happen.

    It does not jump while a call made through `run_in_executor` is under way, nor while a condition given to
    `busy_while` holds.
    """

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._holds = 0
        self._is_busy: list[Callable[[], bool]] = []
        super().__init__(_JumpingSelector(self))  # type: ignore[arg-type]  # a selector by shape, not by descent
        # After a virtual year a float cannot tell nanoseconds apart, and a jump would never quite arrive.
        self._clock_resolution = 1e-6

    @property
    def is_held(self) -> bool:
        return self._holds > 0 or any(is_busy() for is_busy in self._is_busy)

    def busy_while(self, is_busy: Callable[[], bool]) -> None:
        """Do not jump while `is_busy()`: some thread owes this loop a wake-up."""
        self._is_busy.append(is_busy)

    def time(self) -> float:
        return self._elapsed

    def jump(self, seconds: float) -> None:
        self._elapsed += seconds

    def hold(self) -> None:
        self._holds += 1

    def release(self) -> None:
        self._holds -= 1

    def run_in_executor(  # type: ignore[override]  # the stub wants TypeVarTuple
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self.hold()
        future.add_done_callback(lambda _: self.release())
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads of the default executor; Python 3.12's `timeout` for that never comes."""
        self.hold()
        try:
            await super().shutdown_default_executor()
        finally:
            self.release()


class _JumpingSelector:
    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = self._real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or self._loop.is_held:
            # No timer to jump to, or work in a thread that the jump would overtake.
            return self._real.select(None)
        self._loop.jump(timeout)
        return []


class LoopClock(ManualClock):
    """A wall clock that moves with the loop's own time, and can be stepped on top of it."""

    def __init__(self, start: datetime = NEW_YEAR, *, luck: float = 0.0) -> None:
        super().__init__(start, luck=luck)
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()

    def now(self) -> datetime:
        return self.instant + timedelta(seconds=self._loop.time() - self._started)

    def step(self, by: timedelta) -> None:
        """Move the wall clock as an operator or NTP would; the loop's own time goes on unmoved."""
        self.instant += by
