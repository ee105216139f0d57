"""The other end of `executor="process"`: imported by a worker process, which has no loop and no store."""

from __future__ import annotations

import importlib.util
import logging
import sys
import typing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter

from reactor.model.context import Context
from reactor.model.event import Event
from reactor.model.graph import compile_workflow
from reactor.model.outlet import dump_outgoing
from reactor.model.workflow import Workflow

if typing.TYPE_CHECKING:
    from reactor.model.graph import Graph, Step


def call_step(
    file: str, workflow: str, step: str, request: bytes
) -> tuple[bytes, tuple[bytes, ...]]:
    """Import the workflow's file and call one step with arguments from JSON.

    Return its result as JSON, and what it emitted, each piece as JSON of its own.
    """
    called = _graph(file, workflow).step(step)
    message = orjson.loads(request)
    hints = typing.get_type_hints(called.function, include_extras=True)
    arguments: dict[str, Any] = {
        name: TypeAdapter(hints.get(name, Any)).validate_python(value)
        for name, value in message["arguments"].items()
    }
    if message["event"] is not None:
        arguments["event"] = _event(called, message["event"])
    if message["ctx"] is not None:
        log = logging.LoggerAdapter(logging.getLogger(f"reactor.step.{workflow}.{step}"), {})
        arguments["ctx"] = Context(**message["ctx"], log=log)
    raw, _ = called.result.dump(called.function(**arguments))
    context = arguments.get("ctx")
    emitted = context.end() if isinstance(context, Context) else ()
    return raw, tuple(map(dump_outgoing, emitted))


def _event(step: Step, fields: dict[str, Any]) -> Event[Any]:
    data = fields["data"]
    if step.event_data is not None:
        data = step.event_data.from_plain(data)
    return Event(**{**fields, "data": data, "time": datetime.fromisoformat(fields["time"])})


@cache
def _graph(file: str, workflow: str) -> Graph:
    path = Path(file)
    sys.path.append(str(path.parent))
    name = f"reactor_project_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    for value in vars(module).values():
        if isinstance(value, Workflow) and value.name == workflow:
            graph, faults = compile_workflow(value)
            if graph is None:
                raise ImportError("; ".join(map(str, faults)))
            return graph
    raise ImportError(f"{file} no longer defines workflow {workflow!r}; reload the project")
