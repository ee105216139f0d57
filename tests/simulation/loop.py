"""A loop on virtual time whose order of tasks is drawn from a seed, and that can die between any two of its steps.

What asyncio promises stays true: callbacks run in the order in which they were scheduled. In which order the tasks run
that one turn of the loop has woken is nobody's promise in practice, since it hangs on sockets, threads and timers; so
that is what is drawn. Before it is drawn it is sorted by birth, for asyncio keeps some tasks in sets, whose order is
that of memory addresses and would differ between two runs of one seed.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

from reactor.testing import VirtualTimeLoop

if TYPE_CHECKING:
    import random
    from collections import deque
    from collections.abc import Coroutine, Generator


# The longest lives of good simulations take a tenth of it.
MOST_TURNS = 100_000


class ProcessDied(KeyboardInterrupt):  # not an error: it is what was planned
    """Ends a loop on the spot. Only a KeyboardInterrupt or SystemExit of a callback leaves asyncio's loop at once."""


class Livelock(KeyboardInterrupt):  # as above
    """The loop turns and turns, and comes to no end."""


class NumberedTask(asyncio.Task[Any]):
    """A task that knows how many were made before it."""

    number: int


class SimulationLoop(VirtualTimeLoop):
    """One process. `elapsed` is the virtual time in seconds at which it begins, `luck` draws its order."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, luck: random.Random, *, elapsed: float = 0.0) -> None:
        super().__init__()
        self.jump(elapsed)
        self.turns = 0
        self._luck = luck
        self._numbers = count()
        self._steps_left: int | None = None
        self.set_task_factory(self._make_task)

    def die_after(self, steps: int) -> None:
        """Raise ProcessDied out of `run_until_complete` when so many more callbacks and task steps have run."""
        self._steps_left = steps

    def bury(self) -> None:
        """Let go of every task without giving it another turn, and close. What they held is memory, and gone."""
        for task in asyncio.all_tasks(self):
            # The loop will not miss it: it says nothing when it is collected.
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own switch for this
            coroutine = task.get_coro()
            if coroutine is not None:
                _close(coroutine)
        self.set_exception_handler(lambda loop, context: None)
        self.close()

    def _run_once(self) -> None:
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise Livelock(f"more than {MOST_TURNS} turns of the loop in one life")
        if not self._ready and not any(not timer.cancelled() for timer in self._scheduled):
            names = sorted(task.get_name() for task in asyncio.all_tasks(self))
            raise Livelock(f"nothing will ever happen; these wait: {names}")
        self._draw_order()
        if self._steps_left is not None:
            if self._steps_left <= len(self._ready):
                self._ready.insert(self._steps_left, asyncio.Handle(_die, (), self))
            self._steps_left -= len(self._ready)
        super()._run_once()  # type: ignore[misc]  # the one place where a turn begins; typeshed does not list it

    def _draw_order(self) -> None:
        ready = self._ready
        if len(ready) < 2:
            return
        places: list[int] = []
        steps: list[tuple[int, asyncio.Handle]] = []
        for place, handle in enumerate(ready):
            # The handle of a task's step is a method of the task; asyncio's debug output tells them the same way.
            owner = getattr(getattr(handle, "_callback", None), "__self__", None)
            if isinstance(owner, NumberedTask):
                places.append(place)
                steps.append((owner.number, handle))
        if len(steps) < 2:
            return
        steps.sort(key=lambda step: step[0])
        self._luck.shuffle(steps)
        for place, (_, handle) in zip(places, steps, strict=True):
            ready[place] = handle

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        **options: Any,
    ) -> NumberedTask:
        # The context and, from Python 3.13.3 on, the name.
        task = NumberedTask(coroutine, loop=loop, **options)
        task.number = next(self._numbers)
        return task


def _die() -> None:
    raise ProcessDied


def _close(coroutine: Any) -> None:
    """Close a coroutine that may await in its `finally` blocks, which a dead process does not."""
    for _ in range(100):
        try:
            coroutine.close()
        except BaseException:  # whatever its blocks raise, nobody is there to hear it
            continue
        return
