"""Steps of many runs in few tasks, and their results in few writes.

Most coroutine steps of a busy daemon end without having waited for anything. A task of its own for each, and a write
of its own for each result, would cost several times what the step does. So one worker takes step after step, and what
they return is written together. A worker whose step does wait keeps that step and takes no other: the next worker goes
on with the rest, in the next turn of the loop. So no step waits for another, and the code of a step finds what it would
find in a task of its own: a current task that runs nothing else while the step waits, and a context that no other step
has changed. Steps that wait for the worker are taken workflow by workflow.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from reactor.clock import monotonic
from reactor.engine.tools import FULL_DISK_RETRY_SECONDS
from reactor.engine.turns import Turns
from reactor.errors import StoreError, StoreFullError, StoreStoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from reactor.model.graph import Step
    from reactor.store.contract import OutgoingRow, RunEnd, StepRow, Store

# For so long a worker takes further steps before the loop sees to everything else.
TURN_SECONDS = 0.005
# A step that waited gets a task of its own from then on; each so many times it is tried whether it still waits.
TRIED_EACH = 64


class Member(Protocol):
    """A run, as far as its crew is concerned."""

    @property
    def workflow(self) -> str:
        """The name of its workflow."""
        ...

    async def attempt(self, step: Step) -> None:
        """Call the step's function, and hand its result to `Crew.record`, or the run to `Crew.spawn`."""
        ...

    def recorded(self, result: Result) -> None:
        """Go on after a result that is durable."""
        ...


class Result(NamedTuple):
    """A result on its way into the store, with what its step emitted, and the end of its run where it is the last."""

    run: Member
    step: Step
    value: Any
    row: StepRow
    end: RunEnd | None
    outgoing: Sequence[OutgoingRow]


class Crew:
    """Made inside the loop. `left` is told of each run that ended or was given up, once; of several together."""

    def __init__(
        self,
        store: Store,
        *,
        left: Callable[[Sequence[Any]], None],
        moved: Callable[[float], None],
    ) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.writes: set[asyncio.Future[None]] = set()
        self._store = store
        self._left = left
        self._moved = moved
        self._loop = asyncio.get_running_loop()
        self._ready: Turns[tuple[Member, Step]] = Turns()
        # The worker that takes from `_ready`, and the step that it is at.
        self._driver: asyncio.Task[None] | None = None
        self._at: Step | None = None
        self._is_called = False
        # Steps, by their function, that waited when they were last looked at, and how often they were called since.
        self._waiting: dict[Callable[..., Any], int] = {}
        self._results: list[Result] = []
        self._is_flush_due = False
        self._is_closed = False

    def add(self, run: Member, step: Step) -> None:
        """Have `run.attempt(step)` called soon; `step` is a coroutine function."""
        if self._is_closed:
            return
        calls = self._waiting.get(step.function, TRIED_EACH)
        if calls < TRIED_EACH:
            self._waiting[step.function] = calls + 1
            self._start(self._attempt(run, step))
            return
        self._ready.add(run.workflow, (run, step))
        if self._driver is None and not self._is_called:
            # Now, not when it is relieved: its turn comes before that of all who wait for the same commit.
            self._driver = self._start(self._work())

    def spawn(self, run: Member, rest: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """See a run through in a task of its own: `rest` is called there, and takes it to its end."""
        if not self._is_closed:
            self._start(self._see_through(run, rest))

    def record(self, result: Result) -> None:
        """Have a result written; `recorded` is called once it is durable."""
        self._results.append(result)
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def forget(self) -> None:
        """Forget what is known of steps: the project was read again."""
        self._waiting.clear()

    def close(self) -> set[asyncio.Future[None]]:
        """Begin nothing more; return what is under way, to be cancelled or waited for."""
        self._is_closed = True
        self._ready.clear()
        return self.tasks | self.writes

    # Workers.

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name="steps")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def _call(self) -> None:
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon(self._relieve)

    def _relieve(self) -> None:
        """Between two turns of the loop: a worker that is at a step even now waits for something."""
        self._is_called = False
        if self._driver is not None:
            if self._at is not None:
                self._waiting[self._at.function] = 0
            self._driver = None
        if self._ready:
            self._driver = self._start(self._work())

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        context = copy_context()
        until = monotonic() + TURN_SECONDS
        self._call()
        try:
            while self._ready:
                run, step = self._ready.take()
                self._at = step
                await self._attempt(run, step)
                if self._driver is not me:
                    return
                self._waiting.pop(step.function, None)
                # What a step left behind in its task or context must not meet another step.
                if me.cancelling() or copy_context() != context or monotonic() >= until:
                    return
        finally:
            if self._driver is me:
                self._driver = self._at = None
                self._flush()

    async def _attempt(self, run: Member, step: Step) -> None:
        try:
            await run.attempt(step)
        except BaseException:
            self._left([run])
            raise

    async def _see_through(
        self, run: Member, rest: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        try:
            await rest()
        except StoreStoppedError:
            # The daemon is told by the store itself.
            return
        finally:
            self._left([run])

    # Results.

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._results:
            results, self._results = self._results, []
            self._write(results)

    def _write(self, results: Sequence[Result]) -> None:
        try:
            written = asyncio.ensure_future(
                self._store.finish_steps(
                    [result.row for result in results],
                    [result.end for result in results if result.end is not None],
                    [row for result in results for row in result.outgoing],
                )
            )
        except StoreStoppedError:
            self._give_up(results)
            return
        self.writes.add(written)
        written.add_done_callback(partial(self._written, results))

    def _written(self, results: Sequence[Result], written: asyncio.Future[None]) -> None:
        self.writes.discard(written)
        error = asyncio.CancelledError() if written.cancelled() else written.exception()
        if error is None:
            self._moved(monotonic())
            for result in results:
                result.run.recorded(result)
            self._left([result.run for result in results if result.end is not None])
        elif isinstance(error, StoreFullError):
            # What was done must not be given up: tried again until there is space.
            self._loop.call_later(FULL_DISK_RETRY_SECONDS, self._write, results)
        elif isinstance(error, StoreError) and len(results) > 1:
            # One of them is wrong; alone, only that one fails.
            for result in results:
                self._write([result])
        else:
            self._give_up(results)
            if not isinstance(error, StoreStoppedError | asyncio.CancelledError):
                self._loop.call_exception_handler(
                    {"message": "a result could not be stored", "exception": error}
                )

    def _give_up(self, results: Sequence[Result]) -> None:
        self._left([result.run for result in results])
