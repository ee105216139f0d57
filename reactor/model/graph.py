"""From a workflow as written to a graph that can run, or to every fault that stands in the way. Pure."""

from __future__ import annotations

import graphlib
import heapq
import inspect
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reactor.model.event import Event
from reactor.model.event_data import EventData
from reactor.model.results import ResultType
from reactor.model.sensor import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from reactor.model.retry import Retry
    from reactor.model.trigger import Batch, KeyOf, Trigger
    from reactor.model.workflow import Executor, StepDefinition, Workflow

GIVEN = ("event", "events", "ctx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong with a definition, and where. `line` is 0 where a file as a whole is wrong."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that can run. `upstream` holds all it waits for; `arguments` what it is called with, in order."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    upstream: frozenset[str]
    retry: Retry | None
    timeout: timedelta | None
    executor: Executor
    result: ResultType
    event_data: EventData | None
    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A workflow that can run. `steps` are in an order in which each comes after all it waits for.

    `roots` wait for none; `dependants` are the steps that wait for one.
    """

    name: str
    triggers: tuple[Trigger, ...]
    steps: tuple[Step, ...]
    roots: tuple[Step, ...]
    dependants: Mapping[str, tuple[Step, ...]]
    owner: str
    description: str
    concurrency: int
    key: KeyOf | None
    batch: Batch | None
    timeout: timedelta | None
    priority: int
    pending: int
    file: str
    line: int

    def step(self, name: str) -> Step:
        """Return the step of that name."""
        return next(step for step in self.steps if step.name == name)


def compile_workflow(workflow: Workflow) -> tuple[Graph | None, list[Fault]]:
    """Return the graph, or None and every fault found."""
    faults = list(_duplicate_names(workflow))
    if not workflow.steps:
        faults.append(
            Fault(
                file=workflow.file,
                line=workflow.line,
                message=f"workflow {workflow.name!r} has no steps; "
                f"add one with @{workflow.name}.step below its definition",
            )
        )
    names = [step.name for step in workflow.steps]
    steps: dict[str, Step] = {}
    for definition in workflow.steps:
        step, found = _compile_step(definition, names, workflow)
        faults += found
        if step is not None:
            steps[step.name] = step
    faults += _annotation_faults(steps)
    faults += _batch_faults(workflow)
    order, cycles = _order(workflow)
    faults += cycles
    if faults:
        return None, faults
    return _graph(workflow, [steps[name] for name in order]), []


def ready_steps(graph: Graph, done: frozenset[str] | set[str], begun: set[str]) -> list[Step]:
    """Return the steps that have not begun and whose upstream is all done, in graph order."""
    return [step for step in graph.steps if step.name not in begun and step.upstream <= done]


def downstream(graph: Graph, name: str) -> list[str]:
    """Return every step that waits for `name`, directly or not, in graph order."""
    reached = {name}
    for step in graph.steps:
        if step.upstream & reached:
            reached.add(step.name)
    return [step.name for step in graph.steps if step.name in reached and step.name != name]


def _graph(workflow: Workflow, steps: list[Step]) -> Graph:
    return Graph(
        name=workflow.name,
        triggers=workflow.triggers,
        steps=tuple(steps),
        roots=tuple(step for step in steps if not step.upstream),
        dependants={
            step.name: tuple(other for other in steps if step.name in other.upstream)
            for step in steps
        },
        owner=workflow.owner,
        description=workflow.description,
        concurrency=workflow.concurrency,
        key=workflow.key,
        batch=workflow.triggers[0].batch_of,
        timeout=workflow.timeout,
        priority=workflow.priority,
        pending=workflow.pending,
        file=workflow.file,
        line=workflow.line,
    )


def _duplicate_names(workflow: Workflow) -> list[Fault]:
    seen: dict[str, StepDefinition] = {}
    faults = []
    for step in workflow.steps:
        first = seen.setdefault(step.name, step)
        if first is not step:
            faults.append(
                _fault(
                    step,
                    f"step {step.name!r} is defined twice in workflow {workflow.name!r}; first at line {first.line}",
                )
            )
        if step.name in GIVEN:
            faults.append(
                _fault(
                    step,
                    f"a step cannot be called {step.name!r}: that parameter is given by Reactor",
                )
            )
    return faults


def _compile_step(
    definition: StepDefinition, names: list[str], workflow: Workflow
) -> tuple[Step | None, list[Fault]]:
    faults: list[Fault] = []
    where = f"step {definition.name!r}"
    signature = inspect.signature(definition.function)
    for parameter in signature.parameters.values():
        if parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
            parameter.POSITIONAL_ONLY,
        ):
            faults.append(
                _fault(
                    definition,
                    f"{where}: parameter {parameter} has no single name to give a value by",
                )
            )
        elif parameter.name not in names and parameter.name not in GIVEN:
            hint = nearest(parameter.name, [*names, *GIVEN])
            faults.append(
                _fault(
                    definition,
                    f"{where}: parameter {parameter.name!r} is neither a step, nor 'event', 'events' or 'ctx'{hint}",
                )
            )
    faults += [
        _fault(definition, f"{where}: after names {name!r}, which is no step{nearest(name, names)}")
        for name in definition.after
        if name not in names
    ]
    try:
        hints = typing.get_type_hints(definition.function, include_extras=True)
    except Exception as error:  # noqa: BLE001  # any code may stand in an annotation
        return None, [
            *faults,
            _fault(definition, f"{where}: an annotation cannot be read: {error}"),
        ]
    result, event_data = None, None
    try:
        result = ResultType(hints.get("return", Any), largest_bytes=workflow.largest_result_bytes)
        event_data = _event_data(hints.get("event", hints.get("events")))
    except Exception as error:  # noqa: BLE001  # a type may bring a schema of its own, and that any code
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        faults.append(
            _fault(definition, f"{where}: an annotation cannot be written as JSON: {first_line}")
        )
    if faults or result is None:
        return None, faults
    arguments = tuple(signature.parameters)
    return (
        Step(
            name=definition.name,
            function=definition.function,
            arguments=arguments,
            upstream=frozenset(arguments).difference(GIVEN) | frozenset(definition.after),
            retry=definition.retry,
            timeout=definition.timeout,
            executor=definition.executor,
            result=result,
            event_data=event_data,
            file=definition.file,
            line=definition.line,
        ),
        [],
    )


def _event_data(annotation: Any) -> EventData | None:
    """Return how to read the data of an `Event[T]` parameter; None for a bare `Event`, whose sensor knows."""
    if typing.get_origin(annotation) in (list, Sequence):
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) is Event:
        return EventData(typing.get_args(annotation)[0])
    return None


def _batch_faults(workflow: Workflow) -> list[Fault]:
    """Return what does not go together with batches: one workflow takes single events, or batches of one kind."""
    batch = workflow.triggers[0].batch_of
    where = f"workflow {workflow.name!r}"
    messages = []
    if any(trigger.batch_of != batch for trigger in workflow.triggers):
        messages.append(f"{where}: all of its triggers gather the same batch, or none does")
    if batch and (workflow.key or any(trigger.key_of for trigger in workflow.triggers)):
        messages.append(f"{where}: a batch has no key; its events are of many")
    faults = [Fault(file=workflow.file, line=workflow.line, message=text) for text in messages]
    wrong, right = ("event", "events") if batch else ("events", "event")
    for step in workflow.steps:
        names = inspect.signature(step.function).parameters
        if wrong in names:
            gathers = "gathers batches" if batch else "has no batch()"
            message = (
                f"step {step.name!r}: {where} {gathers}, so its steps take {right!r}, not {wrong!r}"
            )
            faults.append(_fault(step, message))
        elif batch and right in names and step.executor == "process":
            message = f'step {step.name!r}: executor="process" does not take {right!r}; read them in a step before'
            faults.append(_fault(step, message))
    return faults


def _annotation_faults(steps: dict[str, Step]) -> list[Fault]:
    faults = []
    for step in steps.values():
        hints = typing.get_type_hints(step.function, include_extras=True)
        for name in step.arguments:
            # A step with faults of its own is not among them.
            if name not in steps or name not in hints:
                continue
            produced = steps[name].result.annotation
            if not may_fit(produced, hints[name]):
                faults.append(
                    Fault(
                        file=step.file,
                        line=step.line,
                        message=f"step {step.name!r} takes {name!r} as {spell(hints[name])}, "
                        f"but step {name!r} returns {spell(produced)}",
                    )
                )
    return faults


def may_fit(produced: Any, wanted: Any) -> bool:
    """Return False only where no value of `produced` can be a `wanted`: two plain classes that differ."""
    produced, wanted = _plain(produced), _plain(wanted)
    if produced is None or wanted is None:
        return True
    return (
        issubclass(produced, wanted)
        or issubclass(wanted, produced)
        or (produced, wanted) == (int, float)
    )


def spell(annotation: Any) -> str:
    """Return an annotation as its author would write it."""
    return (
        annotation.__name__ if type(annotation) is type else str(annotation).replace("typing.", "")
    )


def _plain(annotation: Any) -> type | None:
    if annotation is type(None):
        return type(None)
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    origin = typing.get_origin(annotation) or annotation
    # Not typing.is_typeddict: before Python 3.12 pydantic wants those of typing_extensions, which it does not know.
    if isinstance(origin, type) and issubclass(origin, dict) and hasattr(origin, "__total__"):
        return dict
    # `Any` is a class since Python 3.11; protocols fit by shape, which nobody can tell from here.
    if (
        not isinstance(origin, type)
        # The origin of `int | None` is a class, of `Optional[int]` it is none.
        or origin in (Any, object, types.UnionType)
        or getattr(origin, "_is_protocol", False)
    ):
        return None
    return origin


def _order(workflow: Workflow) -> tuple[list[str], list[Fault]]:
    """Return the steps, each after all it waits for, and a fault for every cycle.

    In the order of definition wherever the graph leaves a choice, so that pictures and logs are stable.
    """
    place = {step.name: index for index, step in enumerate(workflow.steps)}
    known = {
        step.name: {*inspect.signature(step.function).parameters, *step.after} & place.keys()
        for step in workflow.steps
    }
    faults: list[Fault] = []
    while True:
        sorter = graphlib.TopologicalSorter(known)
        try:
            sorter.prepare()
            break
        except graphlib.CycleError as error:
            # It tells one cycle at a time; the next is found without the steps of this one.
            cycle: list[str] = error.args[1]
            message = f"workflow {workflow.name!r} waits for itself: {' → '.join(reversed(cycle))}"
            faults.append(_fault(workflow.steps[place[cycle[0]]], message))
            known = {name: known[name].difference(cycle) for name in known if name not in cycle}
    order: list[str] = []
    ready: list[tuple[int, str]] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, (place[name], name))
        _, first = heapq.heappop(ready)
        order.append(first)
        sorter.done(first)
    return order, faults


def _fault(step: StepDefinition, message: str) -> Fault:
    return Fault(file=step.file, line=step.line, message=message)
