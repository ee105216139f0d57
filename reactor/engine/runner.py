"""One run: its graph of steps, each result durable before the steps that wait for it begin."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from reactor.clock import from_micros, monotonic
from reactor.engine.crew import Result
from reactor.engine.step_call import (
    LONGEST_ERROR,
    call_step,
    context_for,
    event_for,
    events_for,
)
from reactor.errors import ResultError, StoreFullError
from reactor.model.context import Context
from reactor.model.graph import downstream
from reactor.model.ids import spell_id
from reactor.model.retry import next_attempt_at
from reactor.store.contract import AttemptRow, RunEnd, StepRow
from reactor.store.outgoing import outgoing_rows
from reactor.telemetry.facts import RunFinished, RunStarted, StepFinished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from reactor.engine.arrivals import Arrived
    from reactor.engine.crew import Crew
    from reactor.engine.tools import Tools
    from reactor.model.event import Event
    from reactor.model.graph import Graph, Step
    from reactor.store.contract import OutgoingRow, RunOutcome, StepOutcome

    # What came of an attempt: its row, the result, and when the next attempt is due, None for never.
    Tried = tuple[StepRow, Any, int | None]

# Their own constructors are calls of Python.
_step_row: Callable[[Iterable[Any]], StepRow] = partial(tuple.__new__, StepRow)
_run_end: Callable[[Iterable[Any]], RunEnd] = partial(tuple.__new__, RunEnd)


class ActiveRun:
    """A run that has its place, from `begin` to its end, of which the crew tells."""

    __slots__ = (
        *("id", "key", "graph", "workflow", "is_finished", "size_bytes"),
        *("_tools", "_crew", "_event", "_event_json", "_batch", "_created_at", "_started_at"),
        *("_values", "_done", "_begun", "_contexts", "_error", "_outcome"),
        *("_ended_steps", "_working", "_writing", "_is_waiting", "_recorded", "_earlier"),
        *("_deadline", "_rest"),
    )

    def __init__(
        self,
        tools: Tools,
        crew: Crew,
        graph: Graph,
        *,
        run: int,
        key: str | None,
        event: Event[Any],
        event_json: bytes,
        created_at: int,
        started_at: int,
        steps: Sequence[StepRow] = (),
        attempts: Sequence[AttemptRow] = (),
        batch: Sequence[Arrived] = (),
    ) -> None:
        self.id = run
        self.key = key
        self.graph = graph
        self.workflow = graph.name
        self.is_finished = False
        self.size_bytes = sum([len(one.raw) for one in batch]) if batch else len(event_json)
        self._tools = tools
        self._crew = crew
        self._event = event
        self._event_json = event_json
        self._batch = batch
        self._created_at = created_at
        self._started_at = started_at
        self._values: dict[str, Any] = {}
        self._done: set[str] = set()
        self._begun: set[str] = set()
        self._contexts: dict[str, Context] = {}
        self._error: str | None = None
        self._outcome: RunOutcome = "succeeded"
        self._ended_steps = 0
        self._working = 0
        self._writing = 0
        self._is_waiting = False
        self._recorded = steps
        self._earlier = {row.step: row for row in attempts} if attempts else {}
        self._deadline = None if graph.timeout is None else from_micros(started_at) + graph.timeout

    def begin(self) -> None:
        """Begin what has no recorded end yet; the crew sees it through and tells when the run has ended."""
        self._tools.telemetry.emit(
            RunStarted(
                workflow=self.graph.name,
                run=self.id,
                event_id=self._event.id,
                age_seconds=None
                if self._recorded or self._earlier
                else self._age(self._tools.clock.now_micros()),
            )
        )
        if self._recorded:
            self._restore()
        self._go_on(self._claim(self.graph.steps if self._begun else self.graph.roots))

    def _go_on(self, ready: Sequence[Step]) -> None:
        """A lone coroutine goes with those of other runs, anything else gets a task that sees the run through."""
        if len(ready) == 1 and ready[0].executor == "loop" and ready[0].name not in self._earlier:
            self._crew.add(self, ready[0])
        else:
            self._crew.spawn(self, partial(self._see_through, ready))

    async def attempt(self, step: Step) -> None:
        """Try a step for the first time, while nothing else of this run goes on."""
        tried = await self._try(step, 1)
        row, value, _ = tried
        if row.outcome != "succeeded":
            self._crew.spawn(self, partial(self._see_through, [step], tried))
            return
        self._ended_steps += 1
        end = self._end() if self._ended_steps == len(self.graph.steps) else None
        self._crew.record(Result(self, step, value, row, end, self._emitted(row)))

    def recorded(self, result: Result) -> None:
        """Go on after a result of `attempt` that is durable."""
        if result.outgoing:
            self._tools.emitted(result.outgoing)
        if result.end is not None:
            self._ended(result.end)
            return
        step = result.step
        self._values[step.name] = result.value
        self._done.add(step.name)
        self._go_on(self._claim(self.graph.dependants[step.name]))

    async def _see_through(self, ready: Sequence[Step], tried: Tried | None = None) -> None:
        """Run what is left, to the end of the run; `tried` is what came of the first attempt of the only step."""
        # Held while the row's state changes between running and waiting: branches do not overtake each other there.
        self._rest = asyncio.Lock()
        if len(ready) == 1:
            await self._branch(ready[0], tried)
        elif ready:
            await self._branches(ready)
        if not self.is_finished:
            end = self._end()
            await self._tools.durably(lambda: self._tools.store.finish_steps((), [end]))
            self._ended(end)

    def _restore(self) -> None:
        """Take over what an earlier process recorded."""
        known = {step.name: step for step in self.graph.steps}
        for row in self._recorded:
            self._done.add(row.name)
            self._begun.add(row.name)
            self._ended_steps += row.name in known
            if row.outcome == "succeeded":
                self._values[row.name] = row.result
            else:
                self._note_failure(row.outcome, row.error)
        for name, raw in self._values.items():
            if name in known and raw is not None:
                try:
                    self._values[name] = known[name].result.load(raw)
                except ResultError as error:
                    # Its dependants cannot run, and get no end of their own: the run ends with what is recorded.
                    self._note_failure("failed", f"{name}: {error}")
                    self._begun |= set(downstream(self.graph, name))
        self._recorded = ()

    def _note_failure(self, outcome: StepOutcome, error: str | None) -> None:
        if outcome == "skipped":
            return
        if self._error is None:
            self._error = error
        if outcome == "timed_out" and self._is_over_deadline():
            self._outcome = "timed_out"
        elif self._outcome == "succeeded":
            self._outcome = "failed"

    def _claim(self, candidates: Sequence[Step]) -> list[Step]:
        """Return those candidates that can begin, marked as begun so that no other branch begins them."""
        ready = []
        for step in candidates:
            if step.name not in self._begun and step.upstream <= self._done:
                self._begun.add(step.name)
                ready.append(step)
        return ready

    async def _branches(self, steps: Sequence[Step]) -> None:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(
                    self._branch(step), name=f"step {step.name} of {spell_id(self.id)}"
                )

    async def _branch(self, step: Step, tried: Tried | None = None) -> None:
        """Run a step and then what it makes ready: one in this task, others beside it."""
        while True:
            if not await self._run_step(step, tried):
                return
            tried = None
            ready = self._claim(self.graph.dependants[step.name])
            if len(ready) != 1:
                break
            step = ready[0]
        if ready:
            await self._branches(ready)

    async def _run_step(self, step: Step, tried: Tried | None) -> bool:
        """Return True when the step succeeded and that is durable; False when its end is recorded otherwise."""
        earlier = self._earlier.get(step.name)
        if earlier is not None:
            await self._wait_until(earlier.next_at)
        attempt = 1 if earlier is None else earlier.attempt + 1
        while True:
            if tried is None:
                if self._is_waiting or self._rest.locked():
                    await self._rouse()
                tried = await self._try(step, attempt)
            row, value, next_at = tried
            if row.outcome == "succeeded":
                await self._record([row], self._emitted(row))
                self._values[step.name] = value
                self._done.add(step.name)
                return True
            if next_at is None:
                await self._record_failure(row)
                return False
            await self._record_attempt(row, next_at)
            await self._wait_until(next_at)
            attempt, tried = attempt + 1, None

    async def _try(self, step: Step, attempt: int) -> Tried:
        """Call the step's function once, and tell what came of it."""
        started_at = self._tools.clock.now_micros()
        started = monotonic()
        self._working += 1
        try:
            outcome, error, raw, value, is_final = await call_step(
                self._tools,
                self.graph,
                step,
                self.id,
                arguments=partial(self._arguments, step, attempt),
                timeout=self._timeout_of(step),
                is_over=self._is_over_deadline,
            )
        finally:
            self._working -= 1
        duration_seconds = monotonic() - started
        ended_at = self._tools.clock.now_micros()
        row = _step_row((self.id, step.name, outcome, attempt, started_at, ended_at, raw, error))
        next_at = None if is_final else self._next_attempt_at(step, row)
        self._tools.telemetry.emit(
            StepFinished(
                workflow=self.graph.name,
                run=self.id,
                step=step.name,
                attempt=attempt,
                outcome=outcome,
                duration_seconds=duration_seconds,
                error=error,
                final=next_at is None,
            )
        )
        return row, value, next_at

    def _emitted(self, row: StepRow) -> Sequence[OutgoingRow]:
        context = self._contexts.pop(row.name, None)
        emitted = () if context is None else context.end()
        return outgoing_rows(emitted, self.graph.name, row) if emitted else ()

    def _next_attempt_at(self, step: Step, row: StepRow) -> int | None:
        at = next_attempt_at(
            step.retry,
            attempt=row.attempt,
            failed_at=from_micros(row.finished_at),
            luck=self._tools.clock.luck(),
        )
        if at is None or (self._deadline is not None and at >= self._deadline):
            return None
        return row.finished_at + round(
            (at - from_micros(row.finished_at)).total_seconds() * 1_000_000
        )

    def _timeout_of(self, step: Step) -> timedelta | None:
        if self._deadline is None:
            return step.timeout
        left = self._deadline - self._tools.clock.now()
        return left if step.timeout is None else min(left, step.timeout)

    def _is_over_deadline(self) -> bool:
        return self._deadline is not None and self._tools.clock.now() >= self._deadline

    def _arguments(self, step: Step, attempt: int) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for name in step.arguments:
            if name == "event":
                arguments[name] = event_for(step, self._event, self._event_json)
            elif name == "events":
                arguments[name] = events_for(step, self._batch)
            elif name == "ctx":
                context = context_for(self.graph, step, self.id, attempt)
                arguments[name] = self._contexts[step.name] = context
            else:
                arguments[name] = self._values[name]
        return arguments

    async def _wait_until(self, at: int) -> None:
        """Wait for a retry."""
        seconds = (at - self._tools.clock.now_micros()) / 1_000_000
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _rouse(self) -> None:
        """A run that sleeps is `waiting`, and must be `running` again before its code is: else no death would count."""
        async with self._rest:
            if self._is_waiting:
                await self._tools.durably(
                    lambda: self._tools.store.start_runs([self.id], self._started_at)
                )
                self._is_waiting = False

    async def _record_attempt(self, row: StepRow, next_at: int) -> None:
        attempt = AttemptRow(
            row.run,
            row.name,
            row.attempt,
            row.outcome,
            row.started_at,
            row.finished_at,
            row.error or "",
            next_at,
        )
        async with self._rest:
            is_waiting = not self._working and not self._writing
            await self._tools.durably(
                lambda: self._tools.store.record_attempt(attempt, is_waiting=is_waiting)
            )
            self._is_waiting = self._is_waiting or is_waiting

    async def _record_failure(self, row: StepRow) -> None:
        """Record a final failure together with all steps that are skipped for it."""
        self._note_failure(row.outcome, row.error)
        # Marked before anything is awaited: no other branch may begin them meanwhile.
        names = [name for name in downstream(self.graph, row.name) if name not in self._begun]
        self._begun.update(names)
        reason = f"step {row.name!r} {row.outcome}"
        at = row.finished_at
        skipped = [StepRow(self.id, name, "skipped", 0, at, at, None, reason) for name in names]
        await self._record([row, *skipped])

    async def _record(self, rows: Sequence[StepRow], outgoing: Sequence[OutgoingRow] = ()) -> None:
        """Record ends of steps with what they emitted; after the last ones, the end of the run in the same commit."""
        self._ended_steps += len(rows)
        # While another branch's write is under way, the end must not overtake it: `_see_through` adds it afterwards.
        is_last = not self._writing and self._ended_steps == len(self.graph.steps)
        end = self._end() if is_last else None
        self._writing += 1
        ends = () if end is None else (end,)
        store = self._tools.store
        try:
            await store.finish_steps(rows, ends, outgoing)
        except StoreFullError:
            await self._tools.durably(lambda: store.finish_steps(rows, ends, outgoing))
        finally:
            self._writing -= 1
        if outgoing:
            self._tools.emitted(outgoing)
        if end is not None:
            self._ended(end)

    def _end(self) -> RunEnd:
        error = None if self._error is None else self._error[:LONGEST_ERROR]
        return _run_end((self.id, self._outcome, self._tools.clock.now_micros(), error))

    def _age(self, at: int) -> float:
        return max(at - self._created_at, 0) / 1e6

    def _ended(self, end: RunEnd) -> None:
        self.is_finished = True
        self._tools.telemetry.emit(
            RunFinished(
                workflow=self.graph.name,
                run=self.id,
                outcome=end.outcome,
                duration_seconds=max(end.finished_at - self._started_at, 0) / 1e6,
                age_seconds=self._age(end.finished_at),
                error=end.error,
            )
        )
