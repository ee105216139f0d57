"""Runs in memory, made of what is known of them: an event just accepted, a batch at hand, or rows of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reactor.engine.arrivals import Arrived
from reactor.engine.event_json import decode_event
from reactor.engine.runner import ActiveRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import TypeAdapter

    from reactor.engine.commit import Placed
    from reactor.engine.crew import Crew
    from reactor.engine.tools import Tools
    from reactor.model.graph import Graph
    from reactor.store.contract import BatchRow, StoredRun


class Births:
    """Makes runs that the crew will see through. `data_types` are by sensor, as they are when a run is made."""

    def __init__(
        self, tools: Tools, crew: Crew, data_types: Mapping[str, TypeAdapter[Any]]
    ) -> None:
        self._tools = tools
        self._crew = crew
        self._data_types = data_types

    def of_event(self, place: Placed, started_at: int) -> ActiveRun:
        """Return the run that an event started, whose row is durable and running."""
        row, arrived = place.row, place.arrived
        return ActiveRun(
            self._tools,
            self._crew,
            place.lane.graph,
            run=row.id,
            key=row.key,
            event=arrived.event,
            event_json=arrived.raw,
            created_at=row.created_at,
            started_at=started_at,
        )

    def of_batch(self, graph: Graph, row: BatchRow, batch: Sequence[Arrived]) -> ActiveRun:
        """Return the run of a batch that was started."""
        return ActiveRun(
            self._tools,
            self._crew,
            graph,
            run=row.id,
            key=None,
            event=batch[0].event,
            event_json=batch[0].raw,
            batch=batch,
            created_at=row.created_at,
            started_at=row.started_at or row.created_at,
        )

    def of_rows(self, graph: Graph, run: StoredRun) -> ActiveRun:
        """Return a run that starts, or goes on, with what is stored of it."""
        return ActiveRun(
            self._tools,
            self._crew,
            graph,
            run=run.id,
            key=run.key,
            event=decode_event(run.event, self._data_types.get(run.event.sensor)),
            event_json=run.event.data,
            batch=[
                Arrived(row.seq, decode_event(row, self._data_types.get(row.sensor)), row.data)
                for row in run.batch
            ],
            created_at=run.created_at,
            started_at=run.started_at or run.created_at,
            steps=run.steps,
            attempts=run.attempts,
        )
