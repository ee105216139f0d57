"""The engine: accepts events into the store, starts runs as places come free, and sees them to their end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from reactor.clock import monotonic
from reactor.engine.acceptance import Acceptance
from reactor.engine.births import Births
from reactor.engine.credits import Budget
from reactor.engine.crew import Crew
from reactor.engine.gathering import Gathering
from reactor.engine.joining import Joining
from reactor.engine.matching import listeners_by_sensor
from reactor.engine.outbox import Outbox, installed_outlet
from reactor.engine.redriving import Redriving
from reactor.engine.scheduler import WINDOW, Lane, Scheduler
from reactor.engine.tools import READ_RETRY_SECONDS, Tools
from reactor.errors import OverloadedError, StoreError, StoreStoppedError
from reactor.model.event import Event
from reactor.model.ids import spell_id
from reactor.model.sensor import Accepted
from reactor.store.contract import DeadLetterRow, PendingRun
from reactor.telemetry.facts import CreditsExhausted, CreditsRestored, RunParked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reactor.clock import Clock
    from reactor.engine.arrivals import Arrived
    from reactor.engine.commit import Placed
    from reactor.engine.executors import Executors
    from reactor.engine.runner import ActiveRun
    from reactor.engine.scheduler import Start
    from reactor.model.graph import Graph
    from reactor.model.outlet import OpenOutlet
    from reactor.model.sensor import Sensor
    from reactor.store.contract import BatchRow, Store, StoredRun
    from reactor.telemetry import Telemetry

DEATHS_BEFORE_PARKING = 3
START_BATCH = 256
UNLIMITED = 2**62
# Pending runs whose event is kept at hand: about 16 MB at most.
MOST_FRESH = 4096
LARGEST_FRESH_BYTES = 4096


class Engine:
    """Made inside the loop; `recover` first, then `run`, and `drain` at the end."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        telemetry: Telemetry,
        executors: Executors,
        most_running: int = 1024,
        most_bytes: int = 256 * 1024 * 1024,
        open_outlet: OpenOutlet = installed_outlet,
    ) -> None:
        self.store = store
        self.clock = clock
        self.telemetry = telemetry
        self.scheduler = Scheduler(limit=most_running)
        self.bytes = Budget("bytes in memory", most_bytes, told=self._tell_of_credit)
        self.credits: dict[str, Budget] = {}
        self.moved_at = monotonic()
        self._is_kicked = False
        # Every run that is accepted after the newest workflows were defined has a larger id.
        self._fence = 0
        self._short_since: dict[str, float] = {}
        self._tools = Tools(store, executors, telemetry, clock)
        self.outbox = Outbox(self._tools, open_outlet)
        self._tools.emitted = self.outbox.emitted
        self._data_types: dict[str, TypeAdapter[Any]] = {}
        self._acceptance = Acceptance(
            store,
            clock=clock,
            telemetry=telemetry,
            scheduler=self.scheduler,
            credit=self.credits,
            memory=self.bytes,
            starter=self,
        )
        self._joining = Joining(store, self._acceptance, clock)
        self._gathering = Gathering(self._tools, clock, self._spawn, self)
        self._redriving = Redriving(
            store,
            self._acceptance,
            self._data_types,
            clock,
            lined_up=self.line_up,
            gathered=self._gathering.read_again,
        )
        self._crew = Crew(store, left=self._left, moved=self.moved)
        self._births = Births(self._tools, self._crew, self._data_types)
        self._fresh: dict[int, Placed] = {}
        self._active: dict[int, tuple[ActiveRun, Lane]] = {}
        self._helpers: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        return len(self._active)

    def define(self, graphs: Sequence[Graph], sensors: Mapping[str, Sensor]) -> None:
        """Set what is listened to; runs in flight go on with the definition they began with."""
        # What was accepted until now is matched by the definitions so far.
        self._joining.close()
        self._tools.executors.prepare(graphs)
        self.scheduler.define(graphs)
        self._fence = self.clock.next_id()
        self._gathering.define(graphs)
        self._acceptance.listeners = listeners_by_sensor(graphs)
        self._crew.forget()
        # Their data may be read by other types now.
        self._fresh.clear()
        self._data_types.update(
            {name: TypeAdapter(sensor.data_type) for name, sensor in sensors.items()}
        )
        for graph in graphs:
            budget = self.credits.get(graph.name)
            if budget is None:
                self.credits[graph.name] = Budget(
                    graph.name, graph.pending, told=self._tell_of_credit
                )
            else:
                budget.resize(graph.pending)
        for name in self.credits.keys() - {graph.name for graph in graphs}:
            # Whoever waits for a workflow that is gone shall look again.
            self.credits[name].resize(UNLIMITED)

    async def recover(self) -> None:
        """Take over what an earlier process left: count its death, park what it died of, line up the rest."""
        self.clock.never_below(await self.store.largest_id())
        self._fence = self.clock.next_id()
        for letter in await self.store.count_deaths(
            most=DEATHS_BEFORE_PARKING, at=self.clock.now_micros()
        ):
            self.telemetry.emit(
                RunParked(
                    sensor=letter.sensor,
                    workflow=letter.workflow,
                    run_id=spell_id(letter.run or 0),
                    event_id=letter.event_id,
                    deaths=DEATHS_BEFORE_PARKING,
                )
            )
        await self._line_up_pending()
        await self.outbox.recover()

    async def take_over_pending(self) -> None:
        """Line up what waits for workflows that were just defined; read again until that succeeds."""
        # The workflows are defined by now, and there is no way back. A store that has stopped ends the daemon anyway.
        with suppress(StoreStoppedError):
            await self._tools.patiently(self._line_up_pending)

    async def _line_up_pending(self) -> None:
        """Learn how many runs and gathered events wait, and begin to start them. Raises StoreError."""
        await self._gathering.recover()
        counts = await self.store.pending_counts(self._fence)
        # A lane that was counted knows its rows; counting it again would count those on their way twice.
        for workflow, lane in self.scheduler.lanes.items():
            if not lane.is_counted:
                count = counts.get(workflow, 0)
                self.credits[workflow].force(count)
                self.scheduler.count(lane, count)
        self.kick()

    async def accept(
        self,
        sensor: str,
        events: Sequence[Event[Any]],
        cursor: Mapping[str, bytes | None],
        *,
        wait: bool,
        json: Sequence[bytes] | None = None,
        rejected: Sequence[DeadLetterRow] = (),
    ) -> list[Accepted]:
        """Return when the events are durable, with all that they start. See `Intake.accept`, and `accept_many`."""
        if len(events) == 1 and not cursor and not rejected:
            try:
                return [await self.accept_now(sensor, events[0])]
            except OverloadedError:
                if not wait:
                    raise
                # It stands in line for credit, behind all who do already.
        return await self._acceptance.accept(
            sensor, events, cursor, wait=wait, json=json, rejected=rejected
        )

    def accept_now(self, sensor: str, event: Event[Any]) -> asyncio.Future[Accepted]:
        """Return a future that is done when the event is durable; it raises OverloadedError where credit is out."""
        return self._joining.accept_now(sensor, event)

    async def redrive(self, letter: DeadLetterRow, sensor: Sensor | None) -> str | None:
        """Accept a dead letter again; return None, or why that is not possible."""
        if letter.outgoing is not None:
            return await self.outbox.redrive(letter)
        return await self._redriving.redrive(letter, sensor)

    def gathered(self, workflow: str, events: Sequence[Arrived]) -> None:
        """Count durable events, in the order of their numbers, towards the next batches of a workflow."""
        self._gathering.add(workflow, events)

    def claim(self, workflow: str) -> Lane | None:
        """Take a place for a run of a batch that starts with its row; None where it waits as a row."""
        lane = self.scheduler.lanes.get(workflow)
        return lane if lane is not None and self.scheduler.claim(lane) else None

    def begin_batch(self, lane: Lane, row: BatchRow, batch: Sequence[Arrived] | None) -> None:
        """Begin a run of a batch that is durable and has its place."""
        self.moved_at = monotonic()
        if batch is not None:
            self._start(self._births.of_batch(lane.graph, row, batch), lane)
        else:
            self._spawn(self._begin_stored(lane, row))

    async def _begin_stored(self, lane: Lane, row: BatchRow) -> None:
        with suppress(StoreStoppedError):
            stored = await self._load([row.id])
            self._start(self._births.of_rows(lane.graph, stored[row.id]), lane)

    def line_up(self, workflow: str) -> None:
        """Take note of a run that is durable and waits."""
        lane = self.scheduler.find(workflow)
        if lane is not None:
            self.scheduler.line_up(lane)
            self.credits[workflow].force(1)
            self.kick()

    def moved(self, at: float) -> None:
        """Note that something was made durable, at this monotonic time."""
        self.moved_at = at

    def begin(self, place: Placed) -> None:
        """Begin a run whose row is durable and running."""
        self._start(self._births.of_event(place, place.row.created_at), place.lane)

    def await_turn(self, place: Placed) -> None:
        """Keep the event of a pending run at hand, so that it need not be read again if its turn comes soon."""
        if len(self._fresh) < MOST_FRESH and len(place.arrived.raw) <= LARGEST_FRESH_BYTES:
            self._fresh[place.row.id] = place

    def kick(self) -> None:
        """Start what may start, in the next turn of the loop: runs that one commit ended make room together."""
        if not self._is_kicked:
            self._is_kicked = True
            asyncio.get_running_loop().call_soon(self._start_next)

    def _start_next(self) -> None:
        self._is_kicked = False
        starts = self.scheduler.next_starts()
        for first in range(0, len(starts), START_BATCH):
            self._spawn(self._start_pending(starts[first : first + START_BATCH]))
        for lane in self.scheduler.lanes_to_refill():
            lane.is_refilling = True
            self._spawn(self._refill(lane))
        self._acceptance.made_room()

    async def _refill(self, lane: Lane) -> None:
        name = lane.graph.name
        heads: Sequence[PendingRun] = ()
        try:
            oldest = await self.store.pending_runs(name, 0, WINDOW)
            if lane.busy_keys or any(run.key is not None for run in oldest):
                heads = await self.store.pending_heads(name, lane.after_key, WINDOW)
        except StoreError:
            # Nothing is lost: the rows are there, and the next look comes soon.
            await asyncio.sleep(READ_RETRY_SECONDS)
            self.scheduler.refill_failed(lane)
        else:
            self.scheduler.refill(lane, oldest, heads)
        self.kick()

    async def _start_pending(self, starts: Sequence[Start]) -> None:
        ids = [start.run.id for start in starts]
        started_at = self.clock.now_micros()
        try:
            await self._tools.durably(lambda: self.store.start_runs(ids, started_at))
            fresh = {run: self._fresh.pop(run) for run in ids if run in self._fresh}
            whole = {run: taken for run in ids if (taken := self._gathering.take(run))}
            stored = await self._load([run for run in ids if run not in fresh and run not in whole])
        except StoreStoppedError:
            return
        now = monotonic()
        self.moved_at = now
        for start in starts:
            self.scheduler.started(start)
            self.credits[start.lane.graph.name].give(1, now=now)
            run = stored.get(start.run.id)
            if start.run.id in fresh:
                self._start(self._births.of_event(fresh[start.run.id], started_at), start.lane)
            elif start.run.id in whole:
                row, batch = whole[start.run.id]
                row.started_at = started_at
                self._start(self._births.of_batch(start.lane.graph, row, batch), start.lane)
            elif run is None or run.state != "running":
                self.scheduler.leave(start.lane, start.run.key)
            else:
                self._start(self._births.of_rows(start.lane.graph, run), start.lane)

    async def _load(self, runs: Sequence[int]) -> Mapping[int, StoredRun]:
        """Return runs that hold a place; read again until that succeeds, or their places would never be free."""
        if not runs:
            return {}
        found = await self._tools.patiently(lambda: self.store.load_runs(runs))
        return {run.id: run for run in found}

    def _start(self, run: ActiveRun, lane: Lane) -> None:
        self.bytes.force(run.size_bytes)
        self._idle.clear()
        self._active[run.id] = (run, lane)
        run.begin()

    def _left(self, runs: Sequence[ActiveRun]) -> None:
        """Make room: runs have ended, or were given up."""
        if not runs:
            return
        self.moved_at = monotonic()
        for run in runs:
            _, lane = self._active.pop(run.id)
            self.scheduler.leave(lane, run.key)
        self.bytes.give(sum([run.size_bytes for run in runs]), now=self.moved_at)
        if not self._active:
            self._idle.set()
        self.kick()

    def _tell_of_credit(self, budget: Budget, is_short: bool) -> None:
        kind = "bytes" if budget is self.bytes else "runs"
        workflow = None if budget is self.bytes else budget.name
        now = monotonic()
        if is_short:
            self._short_since[budget.name] = now
            self.telemetry.emit(CreditsExhausted(kind=kind, workflow=workflow, limit=budget.limit))
        else:
            lasted = timedelta(seconds=now - self._short_since.pop(budget.name, now))
            self.telemetry.emit(CreditsRestored(kind=kind, workflow=workflow, lasted=lasted))

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine, name=coroutine.__name__)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)
        return task

    async def drain(self, grace_seconds: float) -> int:
        """Start nothing more, let what runs finish for so long, and put the rest back; return how many were."""
        self.scheduler.is_draining = True
        self._gathering.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                while under_way := self._helpers | self._writes():
                    await asyncio.wait(under_way)
                await self._idle.wait()
                await self.outbox.settled()
        left = len(self._active)
        rest: set[asyncio.Future[Any]] = self._crew.close() | self._helpers
        rest |= self._writes()
        for future in rest:
            future.cancel()
        if rest:
            await asyncio.wait(rest)
        await self.outbox.stop()
        with suppress(StoreError):
            await self.store.release_runs()
        return left

    def _writes(self) -> set[asyncio.Future[list[bool]]]:
        """Return what is on its way into the store, what was accepted a moment ago included."""
        self._joining.close()
        return self._acceptance.writes
