"""One limit of time for many waits, kept by one timer.

`asyncio.timeout` sets a timer for every wait. A delivery is durable within milliseconds, and setting and clearing its
timer takes as long as checking its signature.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Patience:
    """Gives waits `seconds` each, which are equally many for all: so the oldest is the first to be late."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waits: dict[Wait, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def wait(self) -> Wait:
        """Return the context for one wait of the current task. Raises TimeoutError when it takes too long."""
        return Wait(self)

    def begin(self, wait: Wait) -> None:
        """Count from now on; `end` must follow."""
        loop = asyncio.get_running_loop()
        late_at = self._waits[wait] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(late_at, self._look)

    def end(self, wait: Wait) -> None:
        """The wait is over. The timer stays: it is set anew for the oldest wait that there is then."""
        self._waits.pop(wait, None)

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waits:
            oldest, late_at = next(iter(self._waits.items()))
            if late_at > now:
                self._timer = loop.call_at(late_at, self._look)
                return
            del self._waits[oldest]
            oldest.give_up()


class Wait:
    """One wait, used as `asyncio.timeout` is: what is awaited is cancelled, and TimeoutError raised in its place."""

    __slots__ = ("_cancelling", "_is_late", "_patience", "_task")

    def __init__(self, patience: Patience) -> None:
        task = asyncio.current_task()
        assert task is not None  # it is made by what a task runs
        self._patience = patience
        self._task = task
        self._is_late = False
        self._cancelling = task.cancelling()

    def __enter__(self) -> None:
        self._patience.begin(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._patience.end(self)
        # Somebody else may have cancelled the task too, in the same turn of the loop: then that is to be heard.
        was_ours = self._is_late and self._task.uncancel() <= self._cancelling
        if was_ours and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def give_up(self) -> None:
        """Cancel what is awaited."""
        self._is_late = True
        self._task.cancel()
