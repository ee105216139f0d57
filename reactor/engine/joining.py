"""Events that come one by one and are written together: one write holds what comes turn after turn of the loop.

Thirty webhooks that are read from thirty sockets cross to the writer's thread and back once, not thirty times; so do
single events that a sensor accepts in many tasks. That takes nothing from any of them: they would share the commit,
and one that there is no credit for, or that the store refuses, fails alone.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from reactor.engine.arrivals import Arrivals
from reactor.engine.commit import Commit, refuse
from reactor.engine.event_json import encode
from reactor.errors import OverloadedError, StoreError, StoreStoppedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reactor.clock import Clock
    from reactor.engine.acceptance import Acceptance
    from reactor.model.event import Event
    from reactor.model.sensor import Accepted
    from reactor.store.contract import Store

# A small part of what the store writes in one batch.
MOST_EVENTS = 128
MOST_BYTES = 1024 * 1024
# Two events or more are written once so many turns brought no other: senders that were answered together send their
# next within a few turns. Written in two parts, the second would wait for the commit of the first, and the loop's work
# on the second would hold that commit up.
QUIET_TURNS = 4
# But no later than this: where the loop has much else to do its turns are long.
LONGEST_SECONDS = 0.005


class Joint:
    """Events of a sensor that become one write, and an answer for each."""

    __slots__ = ("answers", "events", "late_at", "observed_at", "raws", "sensor", "size_bytes")

    def __init__(self, sensor: str, observed_at: int, late_at: float) -> None:
        self.sensor = sensor
        self.observed_at = observed_at
        # By the loop's clock.
        self.late_at = late_at
        self.events: list[Event[Any]] = []
        self.raws: list[bytes] = []
        self.answers: list[asyncio.Future[Accepted]] = []
        self.size_bytes = 0

    @property
    def is_full(self) -> bool:
        return len(self.events) >= MOST_EVENTS or self.size_bytes >= MOST_BYTES

    def add(self, event: Event[Any], raw: bytes, answer: asyncio.Future[Accepted]) -> None:
        """Let one more event join; `raw` is its data."""
        self.events.append(event)
        self.raws.append(raw)
        self.answers.append(answer)
        self.size_bytes += len(raw)


class Joining:
    """Accepts single events for the engine that have credit at once or are refused."""

    def __init__(self, store: Store, acceptance: Acceptance, clock: Clock) -> None:
        self._store = store
        self._acceptance = acceptance
        self._clock = clock
        self._open: dict[str, Joint] = {}

    def accept_now(self, sensor: str, event: Event[Any]) -> asyncio.Future[Accepted]:
        """Return a future that is done when the event is durable, with all that it starts.

        What it starts and whether there is credit is decided when the write begins, a few turns of the loop from now:
        the future raises OverloadedError where there is none.
        """
        raw = encode(event.data)
        loop = asyncio.get_running_loop()
        joint = self._open.get(sensor)
        if joint is None:
            late_at = loop.time() + LONGEST_SECONDS
            joint = self._open[sensor] = Joint(sensor, self._clock.now_micros(), late_at)
            loop.call_soon(self._look, joint, 1, QUIET_TURNS - 1)
        answer: asyncio.Future[Accepted] = loop.create_future()
        joint.add(event, raw, answer)
        if joint.is_full:
            self._close(joint)
        return answer

    def close(self) -> None:
        """Write what was accepted and is not being written yet."""
        for joint in tuple(self._open.values()):
            self._close(joint)

    def _look(self, joint: Joint, count: int, quiet: int) -> None:
        """Look once a turn whether more than `count` have joined; `quiet` turns before this one none did."""
        if self._open.get(joint.sensor) is not joint:
            return
        loop = asyncio.get_running_loop()
        now = len(joint.events)
        quiet = 0 if now > count else quiet + 1
        if quiet < QUIET_TURNS and loop.time() < joint.late_at:
            loop.call_soon(self._look, joint, now, quiet)
        else:
            self._close(joint)

    def _close(self, joint: Joint) -> None:
        del self._open[joint.sensor]
        self._begin(joint)

    def _begin(self, joint: Joint) -> None:
        answers: Sequence[asyncio.Future[Accepted]] = joint.answers
        listeners = self._acceptance.listeners.get(joint.sensor, ())
        try:
            arrivals = Arrivals.of(joint.events, listeners, joint.raws)
        except Exception as fault:  # noqa: BLE001  # whoever offered it is told, and nobody waits for ever
            self._begin_alone(joint, fault)
            return
        if not self._acceptance.take_together(arrivals):
            arrivals, answers = self._with_credit(arrivals, answers)
        if answers:
            self._write(joint.sensor, joint.observed_at, arrivals, answers)

    def _begin_alone(self, joint: Joint, fault: Exception) -> None:
        """Begin each of the events by itself: one of them is none, and fails alone."""
        if len(joint.events) == 1:
            refuse(joint.answers, fault)
            return
        for event, raw, answer in zip(joint.events, joint.raws, joint.answers, strict=True):
            alone = Joint(joint.sensor, joint.observed_at, joint.late_at)
            alone.add(event, raw, answer)
            self._begin(alone)

    def _with_credit(
        self, arrivals: Arrivals, answers: Sequence[asyncio.Future[Accepted]]
    ) -> tuple[Arrivals, list[asyncio.Future[Accepted]]]:
        """Take the credit of each event that there is credit for, and refuse the others."""
        parts: list[Arrivals] = []
        answered: list[asyncio.Future[Accepted]] = []
        for part, answer in zip(arrivals.singles(), answers, strict=True):
            try:
                self._acceptance.take_now(part)
            except OverloadedError as error:
                refuse((answer,), error)
            else:
                parts.append(part)
                answered.append(answer)
        return Arrivals.joined(parts), answered

    def _write(
        self,
        sensor: str,
        observed_at: int,
        arrivals: Arrivals,
        answers: Sequence[asyncio.Future[Accepted]],
    ) -> None:
        acceptance = self._acceptance
        offer, placed = acceptance.offer(sensor, arrivals, self._clock.now_micros())
        commit = Commit(sensor, arrivals, offer, placed, acceptance.wanted(arrivals), observed_at)
        try:
            written = asyncio.ensure_future(self._store.accept(offer, sensor, {}))
        except StoreStoppedError as error:
            self._fail(commit, answers, error)
            return
        acceptance.writes.add(written)
        written.add_done_callback(partial(self._written, commit, answers))

    def _written(
        self,
        commit: Commit,
        answers: Sequence[asyncio.Future[Accepted]],
        written: asyncio.Future[list[bool]],
    ) -> None:
        acceptance = self._acceptance
        acceptance.writes.discard(written)
        error = asyncio.CancelledError() if written.cancelled() else written.exception()
        if error is None:
            try:
                accepted = acceptance.accepted(commit, written.result())
            except Exception as fault:
                # As in `Acceptance`: nobody must wait for ever.
                refuse(answers, fault)
                raise
            for answer, one in zip(answers, accepted, strict=True):
                if not answer.done():
                    answer.set_result(one)
        elif type(error) is StoreError and len(answers) > 1:
            # One of them is wrong. Together they failed together; alone, only the wrong one does.
            acceptance.give_up(commit.placed)
            for part, answer in zip(commit.arrivals.singles(), answers, strict=True):
                self._write(commit.sensor, commit.observed_at, part, (answer,))
        else:
            self._fail(commit, answers, error)

    def _fail(
        self, commit: Commit, answers: Sequence[asyncio.Future[Accepted]], error: BaseException
    ) -> None:
        self._acceptance.undo(commit)
        refuse(answers, error)
