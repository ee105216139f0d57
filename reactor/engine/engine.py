"""The engine: accepts events into the store, starts runs as places come free, and sees them to their end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter
from pydantic_core import to_json

from reactor.clock import from_micros, monotonic, to_micros
from reactor.engine.credits import Budget
from reactor.engine.matching import Listener, listeners_by_sensor, match, spell_decisions
from reactor.engine.runner import ActiveRun, Tools
from reactor.engine.scheduler import WINDOW, Lane, Scheduler
from reactor.errors import StoreError, StoreStoppedError
from reactor.model.event import Event
from reactor.model.ids import spell_id
from reactor.model.sensor import Accepted
from reactor.model.trigger import Failed, Fired
from reactor.store.contract import DeadLetterRow, EventRow, Offer, PendingRun, RunRow
from reactor.telemetry.facts import EventAccepted, EventDeadLettered, RunParked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from reactor.clock import Clock
    from reactor.engine.executors import Executors
    from reactor.engine.scheduler import Start
    from reactor.model.graph import Graph
    from reactor.model.sensor import Sensor
    from reactor.model.trigger import Decision
    from reactor.store.contract import RunState, Store, StoredRun
    from reactor.telemetry import Telemetry

DEATHS_BEFORE_PARKING = 3
START_BATCH = 256
READ_RETRY_SECONDS = 0.5


class Placed:
    """A run that a new event starts, and the place that the scheduler gave it."""

    __slots__ = ("lane", "row", "starts")

    def __init__(self, lane: Lane, row: RunRow, *, starts: bool) -> None:
        self.lane = lane
        self.row = row
        self.starts = starts


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
    ) -> None:
        self.store = store
        self.clock = clock
        self.telemetry = telemetry
        self.scheduler = Scheduler(limit=most_running)
        self.bytes = Budget("bytes in memory", most_bytes)
        self.credits: dict[str, Budget] = {}
        self.moved_at = monotonic()
        self._tools = Tools(store, executors, telemetry, clock)
        self._listeners: dict[str, list[Listener]] = {}
        self._data_types: dict[str, TypeAdapter[Any]] = {}
        self._active: dict[int, tuple[ActiveRun, asyncio.Task[None]]] = {}
        self._helpers: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        return len(self._active)

    def define(self, graphs: Sequence[Graph], sensors: Mapping[str, Sensor]) -> None:
        """Set what is listened to; runs in flight go on with the definition they began with."""
        self.scheduler.define(graphs)
        self._listeners = listeners_by_sensor(graphs)
        self._data_types |= {
            name: TypeAdapter(sensor.data_type) for name, sensor in sensors.items()
        }
        for graph in graphs:
            budget = self.credits.get(graph.name)
            if budget is None:
                self.credits[graph.name] = Budget(graph.name, graph.pending)
            else:
                budget.resize(graph.pending)

    async def recover(self) -> None:
        """Take over what an earlier process left: count its death, park what it died of, line up the rest."""
        self.clock.never_below(await self.store.largest_id())
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
        await self.take_over_pending()

    async def take_over_pending(self) -> None:
        """Learn how many runs wait, and begin to start them."""
        for workflow, count in (await self.store.pending_counts()).items():
            lane = self.scheduler.lanes.get(workflow)
            if lane is None:
                continue
            self.credits[workflow].force(count - lane.pending)
            lane.pending = count
            lane.is_behind = True
        self.kick()

    async def accept(
        self,
        sensor: str,
        events: Sequence[Event[Any]],
        cursor: Mapping[str, bytes | None],
        *,
        wait: bool,
    ) -> list[Accepted]:
        """Return when the events are durable, with all that they start. See `Intake.accept`."""
        observed_at = self.clock.now()
        offers: list[tuple[Event[Any], bytes, list[tuple[Listener, Decision]]]] = []
        for event in events:
            decisions = [
                (listener, match(listener, event)) for listener in self._listeners.get(sensor, ())
            ]
            offers.append((event, encode(event.data), decisions))
        taken = await self._take_credit(offers, wait=wait)
        # Shielded: a sensor that is cancelled meanwhile must not leave places taken by runs nobody knows of.
        return await asyncio.shield(
            self._spawn(self._commit(sensor, offers, cursor, taken, observed_at))
        )

    async def _take_credit(
        self,
        offers: Sequence[tuple[Event[Any], bytes, list[tuple[Listener, Decision]]]],
        *,
        wait: bool,
    ) -> list[tuple[Budget, int]]:
        wanted: dict[str, int] = {}
        for _, _, decisions in offers:
            for listener, decision in decisions:
                if isinstance(decision, Fired):
                    wanted[listener.graph.name] = wanted.get(listener.graph.name, 0) + 1
        amounts = [(self.credits[name], count) for name, count in sorted(wanted.items())]
        amounts.append((self.bytes, sum(len(raw) for _, raw, _ in offers)))
        taken: list[tuple[Budget, int]] = []
        try:
            for budget, amount in amounts:
                if wait:
                    await budget.take(amount)
                else:
                    budget.take_nowait(amount, now=monotonic())
                taken.append((budget, amount))
        except BaseException:
            self._give_back(taken)
            raise
        return taken

    def _give_back(self, taken: Sequence[tuple[Budget, int]]) -> None:
        now = monotonic()
        for budget, amount in taken:
            budget.give(amount, now=now)

    async def _commit(
        self,
        sensor: str,
        offers: Sequence[tuple[Event[Any], bytes, list[tuple[Listener, Decision]]]],
        cursor: Mapping[str, bytes | None],
        taken: list[tuple[Budget, int]],
        observed_at: datetime,
    ) -> list[Accepted]:
        now = self.clock.now_micros()
        rows: list[Offer] = []
        placed: list[list[Placed]] = []
        for event, raw, decisions in offers:
            offer, places = self._offer(sensor, event, raw, decisions, now)
            rows.append(offer)
            placed.append(places)
        try:
            new = await self.store.accept(rows, sensor, cursor)
        except BaseException:
            for places in placed:
                self._settle(places, is_durable=False)
            self._give_back(taken)
            raise
        self.moved_at = monotonic()
        # The bytes of a run that starts now stay taken until it ends; all others live in the store from here on.
        self.bytes.give(taken[-1][1], now=self.moved_at)
        durable_at = self.clock.now()
        for (event, raw, decisions), offer, places, is_new in zip(
            offers, rows, placed, new, strict=True
        ):
            self._settle(places, is_durable=is_new)
            self._tell(sensor, event, offer, decisions, observed_at, durable_at, is_new=is_new)
            for place in places:
                if not is_new:
                    self.credits[place.row.workflow].give(1, now=self.moved_at)
                elif place.starts:
                    self.credits[place.row.workflow].give(1, now=self.moved_at)
                    self._start(self._new_run(place, event, raw), place.lane)
        self.kick()
        return [
            Accepted(event_id=event.id, duplicate=not is_new)
            for (event, _, _), is_new in zip(offers, new, strict=True)
        ]

    def _offer(
        self,
        sensor: str,
        event: Event[Any],
        raw: bytes,
        decisions: Sequence[tuple[Listener, Decision]],
        now: int,
    ) -> tuple[Offer, list[Placed]]:
        seq = self.clock.next_id()
        places: list[Placed] = []
        letters: list[DeadLetterRow] = []
        spelled: list[tuple[str, Decision, int | None]] = []
        for listener, decision in decisions:
            name = listener.graph.name
            run = None
            if isinstance(decision, Fired):
                lane = self.scheduler.lanes[name]
                run = self.clock.next_id()
                starts = self.scheduler.place(lane, decision.key)
                state: RunState = "running" if starts else "pending"
                row = RunRow(run, name, seq, decision.key, state, now, now if starts else None)
                places.append(Placed(lane, row, starts=starts))
            elif isinstance(decision, Failed):
                letters.append(
                    DeadLetterRow(
                        id=self.clock.next_id(),
                        sensor=sensor,
                        event_id=event.id,
                        workflow=name,
                        event=seq,
                        reason="trigger_failed",
                        detail=f"{decision.clause}: {decision.error}",
                        subject=event.subject,
                        raw=raw,
                        created_at=now,
                    )
                )
            spelled.append((name, decision, run))
        event_row = EventRow(
            seq,
            event.source,
            event.id,
            sensor,
            event.type,
            event.subject,
            to_micros(event.time),
            now,
            raw,
            spell_decisions(spelled),
        )
        return Offer(event_row, [place.row for place in places], letters), places

    async def redrive(self, letter: DeadLetterRow, sensor: Sensor | None) -> str | None:
        """Accept a dead letter again; return None, or why that is not possible."""
        if letter.run is not None:
            return await self._commit_redrive(letter, None, letter.workflow)
        try:
            event = await self._event_of(letter, sensor)
        except ValueError as error:
            return str(error)
        if event is None:
            return f"the sensor {letter.sensor!r} is not part of the project"
        listeners = self._listeners.get(letter.sensor, ())
        if letter.event is not None:
            listeners = [one for one in listeners if one.graph.name == letter.workflow]
            if not listeners:
                return f"workflow {letter.workflow!r} no longer listens to {letter.sensor!r}"
        decisions = [(listener, match(listener, event)) for listener in listeners]
        failures = [d for _, d in decisions if isinstance(d, Failed)]
        if letter.event is not None and failures:
            return f"{failures[0].clause} fails again: {failures[0].error}"
        offer = self._redriven_offer(letter, event, decisions)
        return await self._commit_redrive(letter, offer, None)

    async def _event_of(self, letter: DeadLetterRow, sensor: Sensor | None) -> Event[Any] | None:
        if letter.event is not None:
            row = await self.store.event(letter.event)
            return None if row is None else self._stored_event(row)
        if sensor is None:
            return None
        return sensor.revive(
            letter.raw,
            event_id=letter.event_id,
            subject=letter.subject,
            at=from_micros(letter.created_at),
        )

    def _redriven_offer(
        self,
        letter: DeadLetterRow,
        event: Event[Any],
        decisions: Sequence[tuple[Listener, Decision]],
    ) -> Offer:
        now = self.clock.now_micros()
        offer, places = self._offer(letter.sensor, event, encode(event.data), decisions, now)
        self._settle(places, is_durable=False)
        for row in offer.runs:
            # They line up behind what waits already; a place is found for them there.
            row.state, row.started_at = "pending", None
            if letter.event is not None:
                row.event = letter.event
        return offer

    async def _commit_redrive(
        self, letter: DeadLetterRow, offer: Offer | None, workflow: str | None
    ) -> str | None:
        if not await self.store.redrive(letter, offer, self.clock.now_micros()):
            return "it was redriven before"
        workflows = (
            [workflow]
            if workflow is not None
            else [row.workflow for row in (offer.runs if offer else ())]
        )
        for name in workflows:
            lane = self.scheduler.lanes.get(name or "")
            if lane is not None:
                lane.pending += 1
                lane.is_behind = True
                self.credits[lane.graph.name].force(1)
        self.kick()
        return None

    def _settle(self, places: Sequence[Placed], *, is_durable: bool) -> None:
        for place in places:
            pending = PendingRun(id=place.row.id, key=place.row.key)
            self.scheduler.placed(place.lane, pending, starts=place.starts, is_durable=is_durable)

    def _tell(
        self,
        sensor: str,
        event: Event[Any],
        offer: Offer,
        decisions: Sequence[tuple[Listener, Decision]],
        observed_at: datetime,
        durable_at: datetime,
        *,
        is_new: bool,
    ) -> None:
        self.telemetry.emit(
            EventAccepted(
                sensor=sensor,
                event_id=event.id,
                duplicate=not is_new,
                occurred_at=event.time,
                observed_at=observed_at,
                durable_at=durable_at,
            )
        )
        if is_new:
            for letter in offer.dead:
                self.telemetry.emit(
                    EventDeadLettered(
                        sensor=sensor,
                        workflow=letter.workflow,
                        reason=letter.reason,
                        event_id=event.id,
                        detail=letter.detail,
                    )
                )

    def _new_run(self, place: Placed, event: Event[Any], raw: bytes) -> ActiveRun:
        row = place.row
        return ActiveRun(
            self._tools,
            place.lane.graph,
            run=row.id,
            key=row.key,
            event=event,
            event_json=raw,
            created_at=row.created_at,
            started_at=row.created_at,
        )

    def kick(self) -> None:
        """Start what may start now. Cheap when there is nothing."""
        starts = self.scheduler.next_starts()
        for first in range(0, len(starts), START_BATCH):
            self._spawn(self._start_pending(starts[first : first + START_BATCH]))
        for lane in self.scheduler.lanes_to_refill():
            lane.is_refilling = True
            self._spawn(self._refill(lane))

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
            lane.is_refilling = False
        else:
            self.scheduler.refill(lane, oldest, heads)
        self.kick()

    async def _start_pending(self, starts: Sequence[Start]) -> None:
        ids = [start.run.id for start in starts]
        started_at = self.clock.now_micros()
        try:
            await self._tools.durably(lambda: self.store.start_runs(ids, started_at))
            stored = {run.id: run for run in await self.store.load_runs(ids)}
        except StoreStoppedError:
            return
        now = monotonic()
        self.moved_at = now
        for start in starts:
            self.scheduler.started(start)
            self.credits[start.lane.graph.name].give(1, now=now)
            run = stored.get(start.run.id)
            if run is None or run.state != "running":
                self.scheduler.leave(start.lane, start.run.key)
            else:
                self._start(self._resumed_run(start.lane.graph, run), start.lane)

    def _resumed_run(self, graph: Graph, run: StoredRun) -> ActiveRun:
        return ActiveRun(
            self._tools,
            graph,
            run=run.id,
            key=run.key,
            event=self._stored_event(run.event),
            event_json=run.event.data,
            created_at=run.created_at,
            started_at=run.started_at or run.created_at,
            steps=run.steps,
            attempts=run.attempts,
        )

    def _stored_event(self, row: EventRow) -> Event[Any]:
        return decode_event(row, self._data_types.get(row.sensor))

    def _start(self, run: ActiveRun, lane: Lane) -> None:
        self.bytes.force(run.size_bytes)
        self._idle.clear()
        task = asyncio.get_running_loop().create_task(
            self._see_through(run, lane), name=f"run of {lane.graph.name}"
        )
        self._active[run.id] = (run, task)

    async def _see_through(self, run: ActiveRun, lane: Lane) -> None:
        try:
            with suppress(StoreStoppedError):
                await run.execute()
        finally:
            self.moved_at = monotonic()
            del self._active[run.id]
            self.bytes.give(run.size_bytes, now=self.moved_at)
            self.scheduler.leave(lane, run.key)
            if not self._active:
                self._idle.set()
            self.kick()

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine, name=coroutine.__name__)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)
        return task

    async def drain(self, grace_seconds: float) -> int:
        """Start nothing more, let what runs finish for so long, and put the rest back; return how many were."""
        self.scheduler.is_draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                while self._helpers:
                    await asyncio.wait(self._helpers)
                await self._idle.wait()
        left = len(self._active)
        tasks = [task for _, task in self._active.values()] + [*self._helpers]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        with suppress(StoreError):
            await self.store.release_runs()
        return left


def encode(data: Any) -> bytes:
    """Return event data as JSON."""
    try:
        return orjson.dumps(data)
    except TypeError:
        return to_json(data)


def decode_event(row: EventRow, data_type: TypeAdapter[Any] | None) -> Event[Any]:
    """Return a stored event; its data is of the sensor's type where that still fits, and plain JSON where not."""
    data: Any
    try:
        data = orjson.loads(row.data) if data_type is None else data_type.validate_json(row.data)
    except ValueError:
        data = orjson.loads(row.data)
    return Event(
        id=row.id,
        source=row.source,
        type=row.type,
        time=from_micros(row.time),
        data=data,
        subject=row.subject,
    )
