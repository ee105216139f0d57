"""From events to durable rows: what they fire, the credit they need, one commit, and what begins when it is done."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import compress, count, repeat
from operator import not_
from typing import TYPE_CHECKING, Any, Protocol

from reactor.clock import monotonic
from reactor.engine.arrivals import Arrivals
from reactor.engine.commit import Commit, Placed, refuse
from reactor.engine.matching import spell_decisions
from reactor.errors import OverloadedError, StoreStoppedError
from reactor.model.sensor import Accepted
from reactor.model.trigger import Failed, Fired
from reactor.store.contract import DeadLetterRow, Offer, PendingRun, RunRow
from reactor.telemetry.facts import EventsAccepted, EventsDeadLettered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from reactor.clock import Clock
    from reactor.engine.arrivals import Arrived
    from reactor.engine.credits import Budget
    from reactor.engine.matching import Listener
    from reactor.engine.scheduler import Lane, Scheduler
    from reactor.model.event import Event
    from reactor.model.trigger import Decision
    from reactor.store.contract import RunState, Store
    from reactor.telemetry import Telemetry


# So long a source that brings many events at once waits for a run to end, and so long for all places that it wants.
PATIENCE_SECONDS = 0.02
LONGEST_WAIT_SECONDS = 0.5


# Their own constructors are calls of Python.
_accepted: Callable[[Iterable[Any]], Accepted] = partial(tuple.__new__, Accepted)
_placed: Callable[[Iterable[Any]], Placed] = partial(tuple.__new__, Placed)
_pending_run: Callable[[Iterable[Any]], PendingRun] = partial(tuple.__new__, PendingRun)
_run_row: Callable[[Iterable[Any]], RunRow] = partial(tuple.__new__, RunRow)


class Starter(Protocol):
    """What the rest of the engine does once events are durable."""

    def moved(self, at: float) -> None:
        """Note that something was made durable, at this monotonic time."""
        ...

    def begin(self, place: Placed) -> None:
        """Begin a run whose row is durable and running."""
        ...

    def await_turn(self, place: Placed) -> None:
        """Take note of a run whose row is durable and pending."""
        ...

    def gathered(self, workflow: str, events: Sequence[Arrived]) -> None:
        """Count durable events, in the order of their numbers, towards the next batches of a workflow."""
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
        json: Sequence[bytes] | None = None,
        rejected: Sequence[DeadLetterRow] = (),
    ) -> list[Accepted]:
        """Return when the events are durable, with all that they start. See `Intake.accept`, and `accept_many`."""
        observed_at = self._clock.now_micros()
        if wait and len(events) > 1:
            await self._let_runs_end(self.listeners.get(sensor, ()), len(events))
        while True:
            listeners = self.listeners
            arrivals = Arrivals.of(events, listeners.get(sensor, ()), json)
            # What is rejected needs none, and does not stand in line for it.
            taken = await self._take_credit(arrivals, wait=wait) if events else []
            if self.listeners is listeners:
                return await self._commit(sensor, arrivals, rejected, cursor, taken, observed_at)
            # The project was read again while this waited for credit: other workflows may listen now.
            self._give_back(taken)

    async def _let_runs_end(self, listeners: Sequence[Listener], count: int) -> None:
        """Wait while places come free: a run that starts with its event costs half of one that waits as a row."""
        lanes = [
            self._scheduler.lanes[listener.graph.name]
            for listener in listeners
            if listener.graph.batch is None
        ]
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

    async def _take_credit(self, arrivals: Arrivals, *, wait: bool) -> list[tuple[Budget, int]]:
        if not wait:
            return self.take_now(arrivals)
        taken: list[tuple[Budget, int]] = []
        try:
            for budget, amount in self.wanted(arrivals):
                await budget.take(amount)
                taken.append((budget, amount))
        except BaseException:
            self._give_back(taken)
            raise
        return taken

    def take_together(self, arrivals: Arrivals) -> bool:
        """Take the credit of all events if there is enough for every one of them; return whether there was."""
        wanted = self.wanted(arrivals)
        if not all(budget.has(amount) for budget, amount in wanted):
            return False
        now = monotonic()
        for budget, amount in wanted:
            budget.take_nowait(amount, now=now)
        return True

    def take_now(self, arrivals: Arrivals) -> list[tuple[Budget, int]]:
        """Take the credit that events need, or none at all and raise OverloadedError."""
        wanted = self.wanted(arrivals)
        now = monotonic()
        for number, (budget, amount) in enumerate(wanted):
            try:
                budget.take_nowait(amount, now=now)
            except OverloadedError:
                self._give_back(wanted[:number])
                raise
        return wanted

    def wanted(self, arrivals: Arrivals) -> list[tuple[Budget, int]]:
        """Return the credit that events need, in the order in which all take it."""
        wanted = [(self._credit[name], count) for name, count in sorted(arrivals.wanted().items())]
        wanted.append((self._memory, arrivals.size_bytes))
        return wanted

    def _give_back(self, taken: Iterable[tuple[Budget, int]]) -> None:
        now = monotonic()
        for budget, amount in taken:
            if amount:
                budget.give(amount, now=now)

    def _commit(
        self,
        sensor: str,
        arrivals: Arrivals,
        rejected: Sequence[DeadLetterRow],
        cursor: Mapping[str, bytes | None],
        taken: list[tuple[Budget, int]],
        observed_at: int,
    ) -> asyncio.Future[list[Accepted]]:
        """Write the events; the answer comes when they are durable and their runs have begun.

        All that follows the write hangs on the write and not on who waits for the answer: a sensor that is cancelled
        meanwhile must not leave places taken by runs nobody knows of.
        """
        offer, placed = self.offer(sensor, arrivals, self._clock.now_micros())
        if rejected:
            offer.rejected = rejected
            offer.size_bytes += sum([len(letter.raw) for letter in rejected])
        commit = Commit(sensor, arrivals, offer, placed, taken, observed_at)
        try:
            written = asyncio.ensure_future(self._store.accept(offer, sensor, cursor))
        except StoreStoppedError:
            self.undo(commit)
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
            self.undo(commit)
            refuse((answer,), error)
            return
        try:
            accepted = self.accepted(commit, written.result())
        except Exception as fault:
            # A fault of ours. The sensor must not wait for ever for what is durable already.
            refuse((answer,), fault)
            raise
        if not answer.done():
            answer.set_result(accepted)

    def undo(self, commit: Commit) -> None:
        """Give back what was taken for events that are not durable."""
        self.give_up(commit.placed)
        self._give_back(commit.taken)

    def accepted(self, commit: Commit, are_new: Sequence[bool]) -> list[Accepted]:
        """Start what may start of durable events, and tell of them and of what is rejected."""
        self._starter.moved(monotonic())
        first = commit.first
        events = len(commit.arrivals.ids)
        known: Collection[int] = ()
        if not all(are_new):
            known = {seq for seq, is_new in enumerate(are_new[:events], first) if not is_new}
        if events:
            self._tell(commit, are_new[:events])
        letters = [letter for letter in commit.offer.dead if letter.event not in known]
        letters += compress(commit.offer.rejected, are_new[events:])
        self._tell_letters(commit.sensor, letters)
        # Of the credit that was taken, what waits as a row keeps its part. All bytes but those of runs that start
        # now, which are taken anew, live in the store from here on.
        spare = dict(commit.taken)
        for place in commit.placed:
            if place.row.event in known:
                self._settle(place, is_durable=False)
            elif place.starts:
                self._starter.begin(place)
            else:
                self._settle(place, is_durable=True)
                spare[self._credit[place.row.workflow]] -= 1
                self._starter.await_turn(place)
        self._give_back(spare.items())
        for workflow, gathered in commit.arrivals.gathered(first, known).items():
            self._starter.gathered(workflow, gathered)
        self._starter.kick()
        ids = commit.arrivals.ids
        if rejected := commit.offer.rejected:
            ids = [*ids, *[letter.event_id for letter in rejected]]
        return list(map(_accepted, zip(ids, map(not_, are_new), strict=True)))

    def offer(self, sensor: str, arrivals: Arrivals, now: int) -> tuple[Offer, Sequence[Placed]]:
        """Return what the store is to keep, and the places that were taken for runs."""
        first = self._clock.next_id()
        # Those of runs and dead letters stand behind those of the events.
        numbers = count(first + len(arrivals.events))
        placed: list[Placed] = []
        letters: list[DeadLetterRow] = []
        spelled: Iterable[str]
        if arrivals.fire_nothing:
            shared = [(each.graph.name, decision, None) for each, decision in arrivals.shared or ()]
            decisions = spell_decisions(shared)
            if blocks := arrivals.blocks(first, sensor, now, decisions):
                self._clock.never_below(next(numbers) - 1)
                return Offer(size_bytes=arrivals.size_bytes, blocks=blocks), ()
            spelled = repeat(decisions)
        else:
            spelled = []
            for arrived, made in zip(arrivals.numbered(first), arrivals.decisions, strict=True):
                told: list[tuple[str, Decision, int | None]] = []
                for listener, decision in made:
                    run = None
                    if isinstance(decision, Fired):
                        run = next(numbers)
                        placed.append(self._place(run, listener, decision.key, arrived, now))
                    elif isinstance(decision, Failed):
                        letters.append(
                            _letter(next(numbers), sensor, listener, decision, arrived, now)
                        )
                    told.append((listener.graph.name, decision, run))
                spelled.append(spell_decisions(told))
        self._clock.never_below(next(numbers) - 1)
        rows = arrivals.rows(first, sensor, now, spelled)
        offer = Offer(rows, [place.row for place in placed], letters, arrivals.size_bytes)
        return offer, placed

    def _place(
        self, number: int, listener: Listener, key: str | None, arrived: Arrived, now: int
    ) -> Placed:
        name = listener.graph.name
        lane = self._scheduler.lanes[name]
        run = _pending_run((number, key))
        starts = self._scheduler.place(lane, run)
        state: RunState = "running" if starts else "pending"
        row = _run_row((number, name, arrived.seq, key, state, now, now if starts else None))
        return _placed((lane, run, row, starts, arrived))

    def give_up(self, placed: Iterable[Placed]) -> None:
        """Take back the places of runs that will not be."""
        for place in placed:
            self._settle(place, is_durable=False)

    def _settle(self, place: Placed, *, is_durable: bool) -> None:
        self._scheduler.placed(place.lane, place.run, starts=place.starts, is_durable=is_durable)

    def _tell(self, commit: Commit, are_new: Sequence[bool]) -> None:
        observed_at, times = commit.observed_at, commit.arrivals.times
        ids = [*compress(commit.arrivals.ids, are_new)]
        self._telemetry.emit(
            EventsAccepted(
                sensor=commit.sensor,
                event_ids=ids,
                duplicates=len(are_new) - len(ids),
                ages_seconds=[(observed_at - time) / 1e6 for time in compress(times, are_new)],
                took_seconds=(self._clock.now_micros() - observed_at) / 1e6,
            )
        )

    def _tell_letters(self, sensor: str, letters: Sequence[DeadLetterRow]) -> None:
        """Tell once of all that have the same reason: a line of the log costs three times what a dead letter does."""
        alike: dict[tuple[str, str], list[DeadLetterRow]] = {}
        for letter in letters:
            alike.setdefault((letter.workflow, letter.reason), []).append(letter)
        for (workflow, reason), together in alike.items():
            self._telemetry.emit(
                EventsDeadLettered(
                    sensor=sensor,
                    workflow=workflow or None,
                    reason=reason,
                    event_ids=[letter.event_id for letter in together],
                    detail=together[0].detail,
                )
            )


def _letter(
    number: int, sensor: str, listener: Listener, decision: Failed, arrived: Arrived, now: int
) -> DeadLetterRow:
    return DeadLetterRow(
        id=number,
        sensor=sensor,
        event_id=arrived.event.id,
        workflow=listener.graph.name,
        event=arrived.seq,
        reason="trigger_failed",
        detail=f"{decision.clause}: {decision.error}",
        subject=arrived.event.subject,
        raw=arrived.raw,
        created_at=now,
    )


def _in_hand(lanes: Sequence[Lane]) -> int:
    return sum(lane.running + lane.pending for lane in lanes)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
