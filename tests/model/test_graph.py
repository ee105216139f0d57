"""From a workflow as written to a graph that runs, or to every fault with its file and line."""

from __future__ import annotations

import linecache
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.model.definition import describe_graph
from reactor.model.event import Event
from reactor.model.graph import Fault, Graph, compile_workflow, downstream, ready_steps
from reactor.model.retry import Retry
from reactor.model.sensor import Sensor
from reactor.model.workflow import Workflow

quick = settings(max_examples=60, deadline=None)


class Probe(Sensor):
    kind: ClassVar[str] = "probe"


def empty() -> Workflow:
    return Workflow("rates", on=Probe())


def add(workflow: Workflow, name: str, *parameters: str, after: tuple[str, ...] = ()) -> None:
    """Add a step written by its names only."""
    scope: dict[str, Any] = {}
    exec(f"def step({', '.join(parameters)}): ...", scope)
    workflow.step(name=name, after=after)(scope["step"])


def compiled(workflow: Workflow) -> Graph:
    graph, faults = compile_workflow(workflow)
    assert [str(fault) for fault in faults] == []
    assert graph is not None
    return graph


def faults_of(workflow: Workflow) -> list[Fault]:
    graph, faults = compile_workflow(workflow)
    assert graph is None
    assert faults
    return faults


def messages(workflow: Workflow) -> list[str]:
    return [fault.message for fault in faults_of(workflow)]


@st.composite
def dags(draw: st.DrawFn) -> dict[str, tuple[set[str], set[str]]]:
    """Steps with what they take and what they come after; defined in any order, without a cycle."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 8)))]
    edges = {}
    for index, name in enumerate(names):
        earlier = st.sets(st.sampled_from(names[:index])) if index else st.just(set[str]())
        edges[name] = (draw(earlier), draw(earlier))
    return {name: edges[name] for name in draw(st.permutations(names))}


def written(edges: dict[str, tuple[set[str], set[str]]]) -> Workflow:
    workflow = empty()
    for name, (taken, after) in edges.items():
        add(workflow, name, *sorted(taken), after=tuple(sorted(after)))
    return workflow


@quick
@given(dags())
def test_every_step_comes_after_all_it_waits_for(
    edges: dict[str, tuple[set[str], set[str]]],
) -> None:
    graph = compiled(written(edges))
    order = [step.name for step in graph.steps]
    assert sorted(order) == sorted(edges)
    for step in graph.steps:
        taken, after = edges[step.name]
        assert step.upstream == taken | after
        assert all(order.index(name) < order.index(step.name) for name in step.upstream)


@quick
@given(dags())
def test_an_order_of_definition_that_is_possible_is_kept(
    edges: dict[str, tuple[set[str], set[str]]],
) -> None:
    sorted_edges = {name: edges[name] for name in sorted(edges)}
    assert [step.name for step in compiled(written(sorted_edges)).steps] == sorted(edges)


@quick
@given(dags(), st.randoms())
def test_running_what_is_ready_reaches_every_step_once(
    edges: dict[str, tuple[set[str], set[str]]], random: Any
) -> None:
    graph = compiled(written(edges))
    done: set[str] = set()
    begun: set[str] = set()
    while ready := ready_steps(graph, done, begun):
        assert [step.name for step in ready] == [step.name for step in graph.steps if step in ready]
        begun.update(step.name for step in ready)
        done.update(step.name for step in random.sample(ready, k=random.randint(1, len(ready))))
        if not ready_steps(graph, done, begun):
            done |= begun
    assert begun == set(edges)


@quick
@given(dags())
def test_downstream_and_dependants_are_what_the_edges_say(
    edges: dict[str, tuple[set[str], set[str]]],
) -> None:
    graph = compiled(written(edges))
    waits = {name: taken | after for name, (taken, after) in edges.items()}
    for name in edges:
        reached = {name}
        for _ in edges:
            reached |= {other for other in edges if waits[other] & reached}
        assert set(downstream(graph, name)) == reached - {name}
        assert {step.name for step in graph.dependants[name]} == {
            other for other in edges if name in waits[other]
        }


@quick
@given(dags())
def test_a_graph_is_described_as_json(edges: dict[str, tuple[set[str], set[str]]]) -> None:
    described = describe_graph(compiled(written(edges)))
    assert orjson.loads(orjson.dumps(described)) == described
    assert {step["name"]: set(step["upstream"]) for step in described["steps"]} == {
        name: taken | after for name, (taken, after) in edges.items()
    }


@quick
@given(dags(), st.data())
def test_an_edge_back_is_found_as_a_cycle(
    edges: dict[str, tuple[set[str], set[str]]], data: st.DataObject
) -> None:
    last = data.draw(st.sampled_from(sorted(edges)))
    graph = compiled(written(edges))
    upstream = {last}
    for step in reversed(graph.steps):
        if step.name in upstream:
            upstream |= step.upstream
    first = data.draw(st.sampled_from(sorted(upstream)))
    taken, after = edges[first]
    (message,) = messages(written({**edges, first: (taken, after | {last})}))
    path = message.partition("waits for itself: ")[2].split(" → ")
    assert path[0] == path[-1]
    assert {first, last} <= set(path)


def test_two_cycles_are_two_faults() -> None:
    workflow = empty()
    add(workflow, "a", "b")
    add(workflow, "b", "a")
    add(workflow, "c", after=("d",))
    add(workflow, "d", after=("c",))
    add(workflow, "e", "e")
    found = messages(workflow)
    assert len(found) == 3
    assert all("waits for itself" in message for message in found)


def test_a_fault_is_reported_at_the_step_it_is_in() -> None:
    workflow = empty()

    @workflow.step
    def parse(event: Event[Any]) -> int:
        return 1

    @workflow.step
    def load(parze: int) -> None: ...

    (fault,) = faults_of(workflow)
    assert fault.file == __file__
    assert linecache.getline(fault.file, fault.line + 1).strip().startswith("def load")
    assert str(fault) == f"{__file__}:{fault.line}: {fault.message}"
    assert (
        "parameter 'parze' is neither a step, nor 'event', 'events' or 'ctx'; did you mean 'parse'"
        in str(fault)
    )


def test_a_workflow_without_steps_is_a_fault_at_its_own_line() -> None:
    workflow = empty()
    (fault,) = faults_of(workflow)
    assert (fault.file, fault.line) == (workflow.file, workflow.line)
    assert "has no steps; add one with @rates.step" in fault.message


def test_a_name_that_is_given_twice_names_the_first_line() -> None:
    workflow = empty()
    add(workflow, "a", "event")
    add(workflow, "a", "event")
    (message,) = messages(workflow)
    assert "step 'a' is defined twice in workflow 'rates'; first at line 1" in message


@pytest.mark.parametrize("name", ["event", "ctx"])
def test_a_step_may_not_take_the_name_of_what_is_given(name: str) -> None:
    workflow = empty()
    add(workflow, name)
    assert f"a step cannot be called '{name}'" in messages(workflow)[0]


def test_after_must_name_a_step() -> None:
    workflow = empty()
    add(workflow, "parse")
    add(workflow, "load", after=("prase", "event"))
    found = messages(workflow)
    assert "after names 'prase', which is no step; did you mean 'parse'" in found[0]
    assert "after names 'event', which is no step" in found[1]


@pytest.mark.parametrize("parameters", [("*rest",), ("**rest",), ("event", "/")])
def test_a_parameter_without_a_name_of_its_own_is_a_fault(parameters: tuple[str, ...]) -> None:
    workflow = empty()
    add(workflow, "a", *parameters)
    assert "has no single name to give a value by" in messages(workflow)[0]


def test_a_parameter_may_be_given_by_keyword_only() -> None:
    workflow = empty()
    add(workflow, "a", "event")
    add(workflow, "b", "*", "a", "ctx")
    assert compiled(workflow).step("b").arguments == ("a", "ctx")


def test_several_faults_are_told_at_once() -> None:
    workflow = empty()

    @workflow.step
    def number(event: Event[Any]) -> int:
        return 1

    @workflow.step
    def text(number: str) -> None: ...

    add(workflow, "unknown", "nobody")
    add(workflow, "one", "two", "nothing")
    add(workflow, "two", "one")
    add(workflow, "number", "event")
    found = "\n".join(messages(workflow))
    assert "'number' is defined twice" in found
    assert "'nobody' is neither a step" in found
    assert "'nothing' is neither a step" in found
    assert "waits for itself" in found


def test_an_annotation_fault_is_told_beside_others() -> None:
    workflow = empty()

    @workflow.step
    def number(event: Event[Any]) -> int:
        return 1

    @workflow.step
    def text(number: str) -> None: ...

    add(workflow, "unknown", "nobody")
    found = "\n".join(messages(workflow))
    assert "step 'text' takes 'number' as str, but step 'number' returns int" in found
    assert "'nobody' is neither a step" in found


def test_a_description_holds_the_options_as_people_write_them() -> None:
    workflow = Workflow(
        "rates",
        on=[Probe(name="b").where(lambda e: e.data), Probe(name="a"), Probe(name="a")],
        key="data.id",
        timeout="90s",
        owner="me",
    )
    workflow.step(name="one", retry=Retry(5), timeout="30s")(lambda event: 1)
    described = describe_graph(compiled(workflow))
    assert described["timeout"] == "1m30s"
    assert described["key"] == "data.id"
    assert described["sensors"] == ["a", "b"]
    assert described["triggers"] == ["b where e.data", "a", "a"]
    (step,) = described["steps"]
    assert (step["attempts"], step["timeout"], step["executor"]) == (5, "30s", "thread")
