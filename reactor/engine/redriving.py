"""Dead letters accepted again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reactor.clock import from_micros
from reactor.engine.arrivals import Arrivals
from reactor.engine.event_json import decode_event, encode
from reactor.engine.matching import match
from reactor.model.event import Event
from reactor.model.trigger import Failed, Gathered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import TypeAdapter

    from reactor.clock import Clock
    from reactor.engine.acceptance import Acceptance
    from reactor.engine.matching import Listener
    from reactor.model.sensor import Sensor
    from reactor.model.trigger import Decision
    from reactor.store.contract import DeadLetterRow, Offer, Store


class Redriving:
    """Redrives for the engine.

    `lined_up` is called with the workflow of each run that now waits, `gathered` with each that gathered the event.
    """

    def __init__(
        self,
        store: Store,
        acceptance: Acceptance,
        data_types: Mapping[str, TypeAdapter[Any]],
        clock: Clock,
        *,
        lined_up: Callable[[str], None],
        gathered: Callable[[str], None],
    ) -> None:
        self._store = store
        self._acceptance = acceptance
        self._data_types = data_types
        self._clock = clock
        self._lined_up = lined_up
        self._gathered = gathered

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
        listeners = self._acceptance.listeners.get(letter.sensor, ())
        if letter.event is not None:
            listeners = [one for one in listeners if one.graph.name == letter.workflow]
            if not listeners:
                return f"workflow {letter.workflow!r} no longer listens to {letter.sensor!r}"
        decisions = [(listener, match(listener, event)) for listener in listeners]
        failures = [d for _, d in decisions if isinstance(d, Failed)]
        if letter.event is not None and failures:
            return f"{failures[0].clause} fails again: {failures[0].error}"
        if letter.event is not None and any(isinstance(d, Gathered) for _, d in decisions):
            # A batch is a range of what was journaled, and this event was journaled long ago.
            return (
                f"workflow {letter.workflow!r} gathers batches, and those of its time have begun; "
                "`reactor emit` sends it as an event of today"
            )
        offer = self._redriven_offer(letter, event, decisions)
        refusal = await self._commit_redrive(letter, offer, None)
        if refusal is None:
            for listener, decision in decisions:
                if isinstance(decision, Gathered):
                    self._gathered(listener.graph.name)
        return refusal

    async def _event_of(self, letter: DeadLetterRow, sensor: Sensor | None) -> Event[Any] | None:
        if letter.event is not None:
            row = await self._store.event(letter.event)
            return None if row is None else decode_event(row, self._data_types.get(row.sensor))
        if sensor is None:
            return None
        revived = sensor.revive(
            letter.raw,
            event_id=letter.event_id,
            subject=letter.subject,
            at=from_micros(letter.created_at),
        )
        return revived if isinstance(revived, Event) else await revived

    def _redriven_offer(
        self,
        letter: DeadLetterRow,
        event: Event[Any],
        decisions: Sequence[tuple[Listener, Decision]],
    ) -> Offer:
        offer, placed = self._acceptance.offer(
            letter.sensor,
            Arrivals([event], [encode(event.data)], [decisions]),
            self._clock.now_micros(),
        )
        self._acceptance.give_up(placed)
        # They line up behind what waits already; a place is found for them there.
        offer.runs = [
            row._replace(state="pending", started_at=None, event=letter.event or row.event)
            for row in offer.runs
        ]
        return offer

    async def _commit_redrive(
        self, letter: DeadLetterRow, offer: Offer | None, workflow: str | None
    ) -> str | None:
        if not await self._store.redrive(letter, offer, self._clock.now_micros()):
            return "it was redriven before"
        workflows = (
            [workflow]
            if workflow is not None
            else [row.workflow for row in (offer.runs if offer else ())]
        )
        for name in workflows:
            self._lined_up(name or "")
        return None
