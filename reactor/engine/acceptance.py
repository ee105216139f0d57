"""From events to durable rows: what they fire, the credit they need, one commit, and what begins when it is done."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from reactor.clock import monotonic, to_micros
from reactor.engine.event_json import encode
from reactor.engine.matching import Listener, match, spell_decisions
from reactor.errors import StoreStoppedError
from reactor.model.sensor import Accepted
from reactor.model.trigger import Failed, Fired, Gathered
from reactor.store.contract import DeadLetterRow, EventRow, Offer, PendingRun, RunRow
from reactor.telemetry.facts import EventAccepted, EventDeadLettered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from reactor.clock import Clock
    from reactor.engine.credits import Budget
    from reactor.engine.scheduler import Lane, Scheduler
    from reactor.model.event import Event
    from reactor.model.trigger import Decision
    from reactor.store.contract import RunState, Store
    from reactor.telemetry import Telemetry

    # An event, its data as JSON, and what each workflow that listens makes of it.
    Matched = tuple[Event[Any], bytes, list[tuple[Listener, Decision]]]


# So long a source that brings many events at once waits for a run to end, and so long for all places that it wants.
PATIENCE_SECONDS = 0.02
LONGEST_WAIT_SECONDS = 0.5


class Placed:
    """A run that a new event starts, and the place that the scheduler gave it."""

    __slots__ = ("lane", "row", "starts")

    def __init__(self, lane: Lane, row: RunRow, *, starts: bool) -> None:
        self.lane = lane
        self.row = row
        self.starts = starts


class Commit:
    """Events on their way into the store, and what was taken for them meanwhile."""

    __slots__ = ("observed_at", "offers", "placed", "rows", "sensor", "taken")

    def __init__(
        self,
        sensor: str,
        offers: Sequence[Matched],
        taken: list[tuple[Budget, int]],
        observed_at: datetime,
    ) -> None:
        self.sensor = sensor
        self.offers = offers
        self.taken = taken
        self.observed_at = observed_at
        self.rows: list[Offer] = []
        self.placed: list[list[Placed]] = []


class Starter(Protocol):
    """What the rest of the engine does once events are durable."""

    def moved(self, at: float) -> None:
        """Note that something was made durable, at this monotonic time."""
        ...

    def begin(self, place: Placed, event: Event[Any], raw: bytes) -> None:
        """Begin a run whose row is durable and running."""
        ...

    def await_turn(self, place: Placed, event: Event[Any], raw: bytes) -> None:
        """Take note of a run whose row is durable and pending."""
        ...

    def gathered(self, workflow: str, seq: int) -> None:
        """Count a durable event towards the next batch of a workflow."""
        ...

    def kick(self) -> None:
        """Start what else may start now."""
        ...


class Acceptance:
    """Accepts events for the engine. The budgets are the engine's: others give back what is taken here."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        telemetry: Telemetry,
        scheduler: Scheduler,
        credit: Mapping[str, Budget],
        memory: Budget,
        starter: Starter,
    ) -> None:
        self.listeners: Mapping[str, Sequence[Listener]] = {}
        self.writes: set[asyncio.Future[list[bool]]] = set()
        self._patient: list[asyncio.Future[None]] = []
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._scheduler = scheduler
        self._credit = credit
        self._memory = memory
        self._starter = starter

    async def accept(
        self,
        sensor: str,
        events: Sequence[Event[Any]],
        cursor: Mapping[str, bytes | None],
        *,
        wait: bool,
    ) -> list[Accepted]:
        """Return when the events are durable, with all that they start. See `Intake.accept`."""
        observed_at = self._clock.now()
        if wait and len(events) > 1:
            await self._let_runs_end(self.listeners.get(sensor, ()), len(events))
        while True:
            listeners = self.listeners
            offers = [self._matched(event, listeners.get(sensor, ())) for event in events]
            taken = await self._take_credit(offers, wait=wait)
            if self.listeners is listeners:
                return await self._commit(sensor, offers, cursor, taken, observed_at)
            # The project was read again while this waited for credit: other workflows may listen now.
            self._give_back(taken)

    async def _let_runs_end(self, listeners: Sequence[Listener], count: int) -> None:
        """Wait while places come free: a run that starts with its event costs half of one that waits as a row."""
        lanes = [self._scheduler.lanes[listener.graph.name] for listener in listeners]
        loop = asyncio.get_running_loop()
        now = loop.time()
        give_up_at, patient_until = now + LONGEST_WAIT_SECONDS, now + PATIENCE_SECONDS
        left = _in_hand(lanes)
        while not self._scheduler.has_places(lanes, count) and now < patient_until:
            room = loop.create_future()
            self._patient.append(room)
            late = loop.call_at(patient_until, _settle, room)
            try:
                await room
            finally:
                late.cancel()
            now = loop.time()
            if _in_hand(lanes) < left:
                left = _in_hand(lanes)
                patient_until = min(now + PATIENCE_SECONDS, give_up_at)

    def made_room(self) -> None:
        """Look again whether what waits for places can have them now."""
        patient, self._patient = self._patient, []
        for room in patient:
            _settle(room)

    def _matched(self, event: Event[Any], listeners: Sequence[Listener]) -> Matched:
        decisions = [(listener, match(listener, event)) for listener in listeners]
        return event, encode(event.data), decisions

    async def _take_credit(
        self, offers: Sequence[Matched], *, wait: bool
    ) -> list[tuple[Budget, int]]:
        wanted: dict[str, int] = {}
        for _, _, decisions in offers:
            for listener, decision in decisions:
                # A gathered event needs no place of its own; the credit is taken to wait for, and given back at once.
                if isinstance(decision, Fired | Gathered):
                    wanted[listener.graph.name] = wanted.get(listener.graph.name, 0) + 1
        amounts = [(self._credit[name], count) for name, count in sorted(wanted.items())]
        amounts.append((self._memory, sum(len(raw) for _, raw, _ in offers)))
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

    def _commit(
        self,
        sensor: str,
        offers: Sequence[Matched],
        cursor: Mapping[str, bytes | None],
        taken: list[tuple[Budget, int]],
        observed_at: datetime,
    ) -> asyncio.Future[list[Accepted]]:
        """Write the events; the answer comes when they are durable and their runs have begun.

        All that follows the write hangs on the write and not on who waits for the answer: a sensor that is cancelled
        meanwhile must not leave places taken by runs nobody knows of.
        """
        now = self._clock.now_micros()
        commit = Commit(sensor, offers, taken, observed_at)
        for event, raw, decisions in offers:
            offer, places = self.offer(sensor, event, raw, decisions, now)
            commit.rows.append(offer)
            commit.placed.append(places)
        try:
            written = asyncio.ensure_future(self._store.accept(commit.rows, sensor, cursor))
        except StoreStoppedError:
            self._undo(commit)
            raise
        self.writes.add(written)
        answer: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        written.add_done_callback(partial(self._written, commit, answer))
        return answer

    def _written(
        self,
        commit: Commit,
        answer: asyncio.Future[list[Accepted]],
        written: asyncio.Future[list[bool]],
    ) -> None:
        self.writes.discard(written)
        error = asyncio.CancelledError() if written.cancelled() else written.exception()
        if error is not None:
            self._undo(commit)
            if answer.done():
                return
            if isinstance(error, asyncio.CancelledError):
                answer.cancel()
            else:
                answer.set_exception(error)
            return
        accepted = self._accepted(commit, written.result())
        if not answer.done():
            answer.set_result(accepted)

    def _undo(self, commit: Commit) -> None:
        for places in commit.placed:
            self.settle(places, is_durable=False)
        self._give_back(commit.taken)

    def _accepted(self, commit: Commit, new: Sequence[bool]) -> list[Accepted]:
        """Start what may start of durable events, and tell of them."""
        now = monotonic()
        self._starter.moved(now)
        # The bytes of a run that starts now stay taken until it ends; all others live in the store from here on.
        self._memory.give(commit.taken[-1][1], now=now)
        durable_at = self._clock.now()
        answers = []
        for (event, raw, decisions), offer, places, is_new in zip(
            commit.offers, commit.rows, commit.placed, new, strict=True
        ):
            self.settle(places, is_durable=is_new)
            self._tell(commit, event, offer, durable_at, is_new=is_new)
            for place in places:
                if not is_new:
                    self._credit[place.row.workflow].give(1, now=now)
                elif place.starts:
                    self._credit[place.row.workflow].give(1, now=now)
                    self._starter.begin(place, event, raw)
                else:
                    self._starter.await_turn(place, event, raw)
            for listener, decision in decisions:
                if isinstance(decision, Gathered):
                    self._credit[listener.graph.name].give(1, now=now)
                    if is_new:
                        self._starter.gathered(listener.graph.name, offer.event.seq)
            answers.append(Accepted(event_id=event.id, duplicate=not is_new))
        self._starter.kick()
        return answers

    def offer(
        self,
        sensor: str,
        event: Event[Any],
        raw: bytes,
        decisions: Sequence[tuple[Listener, Decision]],
        now: int,
    ) -> tuple[Offer, list[Placed]]:
        seq = self._clock.next_id()
        places: list[Placed] = []
        letters: list[DeadLetterRow] = []
        spelled: list[tuple[str, Decision, int | None]] = []
        for listener, decision in decisions:
            name = listener.graph.name
            run = None
            if isinstance(decision, Fired):
                lane = self._scheduler.lanes[name]
                run = self._clock.next_id()
                starts = self._scheduler.place(lane, PendingRun(id=run, key=decision.key))
                state: RunState = "running" if starts else "pending"
                row = RunRow(run, name, seq, decision.key, state, now, now if starts else None)
                places.append(Placed(lane, row, starts=starts))
            elif isinstance(decision, Failed):
                letters.append(
                    DeadLetterRow(
                        id=self._clock.next_id(),
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

    def settle(self, places: Sequence[Placed], *, is_durable: bool) -> None:
        for place in places:
            pending = PendingRun(id=place.row.id, key=place.row.key)
            self._scheduler.placed(place.lane, pending, starts=place.starts, is_durable=is_durable)

    def _tell(
        self, commit: Commit, event: Event[Any], offer: Offer, durable_at: datetime, *, is_new: bool
    ) -> None:
        self._telemetry.emit(
            EventAccepted(
                sensor=commit.sensor,
                event_id=event.id,
                duplicate=not is_new,
                occurred_at=event.time,
                observed_at=commit.observed_at,
                durable_at=durable_at,
            )
        )
        if is_new:
            for letter in offer.dead:
                self._telemetry.emit(
                    EventDeadLettered(
                        sensor=commit.sensor,
                        workflow=letter.workflow,
                        reason=letter.reason,
                        event_id=event.id,
                        detail=letter.detail,
                    )
                )


def _in_hand(lanes: Sequence[Lane]) -> int:
    return sum(lane.running + lane.pending for lane in lanes)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
