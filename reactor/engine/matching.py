"""What one event starts: a decision for every workflow that listens to its sensor. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from reactor.model.ids import spell_id
from reactor.model.trigger import Failed, Fired, Gathered, Refused, decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reactor.model.event import Event
    from reactor.model.graph import Graph
    from reactor.model.trigger import Decision, Trigger


@dataclass(frozen=True, slots=True)
class Listener:
    """A workflow and those of its triggers that watch one sensor.

    `always` is its decision where that is the same for every event.
    """

    graph: Graph
    triggers: tuple[Trigger, ...]
    always: Decision | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "always", _always(self.triggers, self.graph))


def listeners_by_sensor(graphs: Sequence[Graph]) -> dict[str, list[Listener]]:
    """Return for each sensor name the workflows that listen to it, in order of name."""
    found: dict[str, list[Listener]] = {}
    for graph in sorted(graphs, key=lambda graph: graph.name):
        by_sensor: dict[str, list[Trigger]] = {}
        for trigger in graph.triggers:
            by_sensor.setdefault(trigger.sensor.sensor_name, []).append(trigger)
        for sensor, triggers in by_sensor.items():
            found.setdefault(sensor, []).append(Listener(graph, tuple(triggers)))
    return found


def _always(triggers: Sequence[Trigger], graph: Graph) -> Decision | None:
    if len(triggers) != 1 or triggers[0].conditions:
        return None
    if triggers[0].batch_of is not None:
        return Gathered(triggers[0].batch_of)
    return Fired(None) if triggers[0].key_of is None and graph.key is None else None


def match(listener: Listener, event: Event[Any]) -> Decision:
    """Return the decision of one workflow: the first trigger that fires, else the first that failed, else a refusal."""
    if listener.always is not None:
        return listener.always
    if len(listener.triggers) == 1:
        return decide(listener.triggers[0], event, key_of=listener.graph.key)
    decisions = [decide(trigger, event, key_of=listener.graph.key) for trigger in listener.triggers]
    for kind in (Fired, Gathered, Failed):
        for decision in decisions:
            if isinstance(decision, kind):
                return decision
    return decisions[0]


def spell_decisions(decisions: Sequence[tuple[str, Decision, int | None]]) -> str:
    """Return the decisions as they are stored: JSON rows of workflow, verdict, clause (or run id) and actual value."""
    if len(decisions) == 1:
        workflow, decision, run = decisions[0]
        # The two that come by the thousand.
        if type(decision) is Fired and decision.key is None and run is not None:
            return f'[[{_as_json(workflow)},"fired","{spell_id(run)}",""]]'
    rows: list[list[str]] = []
    for workflow, decision, run in decisions:
        match decision:
            case Fired():
                rows.append([workflow, "fired", spell_id(run or 0), decision.key or ""])
            case Gathered(batch):
                rows.append([workflow, "gathered", batch.describe(), ""])
            case Refused(clause, actual):
                rows.append([workflow, "refused", clause, actual])
            case Failed(clause, error):
                rows.append([workflow, "failed", clause, error])
    # A hostile value may hold lone surrogates, which JSON cannot.
    return orjson.dumps(rows).decode() if _is_clean(rows) else _escaped(rows)


@lru_cache
def _as_json(text: str) -> str:
    return orjson.dumps(_escaped_text(text)).decode()


def _is_clean(rows: list[list[str]]) -> bool:
    return all(text.isascii() for row in rows for text in row)


def _escaped(rows: list[list[str]]) -> str:
    return orjson.dumps([[_escaped_text(text) for text in row] for row in rows]).decode()


def _escaped_text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
