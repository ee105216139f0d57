"""A workflow as plain data, for whoever shows it: the store keeps this, pictures are drawn from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reactor.model.duration import spell_duration
from reactor.model.trigger import spell_key

if TYPE_CHECKING:
    from reactor.model.graph import Graph, Step


def describe_graph(graph: Graph) -> dict[str, Any]:
    """Return a JSON object with the workflow's options, triggers, sensors and steps."""
    return {
        "name": graph.name,
        "owner": graph.owner,
        "description": graph.description,
        "concurrency": graph.concurrency,
        "key": spell_key(graph.key),
        "timeout": None if graph.timeout is None else spell_duration(graph.timeout),
        "priority": graph.priority,
        "pending": graph.pending,
        "file": graph.file,
        "line": graph.line,
        "sensors": sorted({trigger.sensor.sensor_name for trigger in graph.triggers}),
        "triggers": [trigger.describe() for trigger in graph.triggers],
        "steps": [_describe_step(step) for step in graph.steps],
    }


def _describe_step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "upstream": sorted(step.upstream),
        "executor": step.executor,
        "attempts": 1 if step.retry is None else step.retry.attempts,
        "timeout": None if step.timeout is None else spell_duration(step.timeout),
        "line": step.line,
    }
