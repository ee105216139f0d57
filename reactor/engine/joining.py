"""Events that come one by one and are written together: those of one turn of the loop are one write.

Thirty webhooks that are read from thirty sockets in one turn cross to the writer's thread and back once, not thirty
times; so do single events that a sensor accepts in many tasks. That takes nothing from any of them: they would share
the commit, and one that the store refuses fails alone.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from reactor.engine.arrivals import Arrivals
from reactor.engine.commit import Commit, refuse
from reactor.errors import StoreError, StoreStoppedError

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


class Joint:
    """Events of a sensor that have their credit and become one write, and an answer for each."""

    __slots__ = ("answers", "observed_at", "parts", "sensor", "size_bytes")

    def __init__(self, sensor: str, observed_at: int) -> None:
        self.sensor = sensor
        self.observed_at = observed_at
        self.parts: list[Arrivals] = []
        self.answers: list[asyncio.Future[Accepted]] = []
        self.size_bytes = 0

    @property
    def is_full(self) -> bool:
        return len(self.parts) >= MOST_EVENTS or self.size_bytes >= MOST_BYTES

    def add(self, part: Arrivals, answer: asyncio.Future[Accepted]) -> None:
        """Let one more event join."""
        self.parts.append(part)
        self.answers.append(answer)
        self.size_bytes += part.size_bytes


class Joining:
    """Accepts single events for the engine that have credit at once or are refused."""

    def __init__(self, store: Store, acceptance: Acceptance, clock: Clock) -> None:
        self._store = store
        self._acceptance = acceptance
        self._clock = clock
        self._open: dict[str, Joint] = {}

    def accept_now(self, sensor: str, event: Event[Any]) -> asyncio.Future[Accepted]:
        """Return a future that is done when the event is durable, with all that it starts. Raises OverloadedError.

        What it starts and whether there is credit is decided here and now; the write waits until the end of this turn
        of the loop.
        """
        acceptance = self._acceptance
        part = Arrivals.of((event,), acceptance.listeners.get(sensor, ()))
        acceptance.take_now(part)
        loop = asyncio.get_running_loop()
        joint = self._open.get(sensor)
        if joint is None:
            joint = self._open[sensor] = Joint(sensor, self._clock.now_micros())
            loop.call_soon(self._close, joint)
        answer: asyncio.Future[Accepted] = loop.create_future()
        joint.add(part, answer)
        if joint.is_full:
            self._close(joint)
        return answer

    def close(self) -> None:
        """Write what was accepted in this turn of the loop now, not at its end."""
        for joint in tuple(self._open.values()):
            self._close(joint)

    def _close(self, joint: Joint) -> None:
        if self._open.get(joint.sensor) is joint:
            del self._open[joint.sensor]
            self._write(joint.sensor, joint.observed_at, joint.parts, joint.answers)

    def _write(
        self,
        sensor: str,
        observed_at: int,
        parts: Sequence[Arrivals],
        answers: Sequence[asyncio.Future[Accepted]],
    ) -> None:
        acceptance = self._acceptance
        arrivals = Arrivals.joined(parts)
        offer, placed = acceptance.offer(sensor, arrivals, self._clock.now_micros())
        commit = Commit(sensor, arrivals, offer, placed, acceptance.wanted(arrivals), observed_at)
        try:
            written = asyncio.ensure_future(self._store.accept(offer, sensor, {}))
        except StoreStoppedError as error:
            self._fail(commit, answers, error)
            return
        acceptance.writes.add(written)
        written.add_done_callback(partial(self._written, commit, parts, answers))

    def _written(
        self,
        commit: Commit,
        parts: Sequence[Arrivals],
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
        elif type(error) is StoreError and len(parts) > 1:
            # One of them is wrong. Together they failed together; alone, only the wrong one does.
            acceptance.give_up(commit.placed)
            for part, answer in zip(parts, answers, strict=True):
                self._write(commit.sensor, commit.observed_at, (part,), (answer,))
        else:
            self._fail(commit, answers, error)

    def _fail(
        self, commit: Commit, answers: Sequence[asyncio.Future[Accepted]], error: BaseException
    ) -> None:
        self._acceptance.undo(commit)
        refuse(answers, error)
