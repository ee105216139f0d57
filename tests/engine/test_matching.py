"""What one event starts: every workflow that listens gets one decision, and each can be stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.engine.matching import Listener, listeners_by_sensor, match, spell_decisions
from reactor.model.event import Event
from reactor.model.graph import Graph, compile_workflow
from reactor.model.ids import spell_id
from reactor.model.sensor import Sensor
from reactor.model.trigger import Decision, Failed, Fired, Refused, Trigger
from reactor.model.workflow import Workflow

quick = settings(max_examples=150, deadline=None)


class Probe(Sensor):
    kind: ClassVar[str] = "probe"


def event(data: Any = None) -> Event[Any]:
    return Event(id="1", source="s", type="t", time=datetime(2026, 1, 1, tzinfo=UTC), data=data)


def graph(name: str, on: Sequence[Sensor | Trigger], **options: Any) -> Graph:
    workflow = Workflow(name, on=on, **options)
    workflow.step(name="one")(lambda event: 1)
    compiled, faults = compile_workflow(workflow)
    assert compiled is not None, faults
    return compiled


def listener(*triggers: Trigger, **options: Any) -> Listener:
    (found,) = listeners_by_sensor([graph("rates", triggers, **options)])["probe"]
    return found


def fires(key: str | None = None) -> Trigger:
    trigger = Probe().where(lambda e: True)
    return trigger if key is None else trigger.key(lambda e: key)


def refuses(actual: str) -> Trigger:
    return Probe().where(lambda e: e.data and actual)


def fails() -> Trigger:
    return Probe().where(lambda e: 1 / 0)


def test_workflows_are_found_by_the_sensors_they_listen_to() -> None:
    one, two = Probe(name="one"), Probe(name="two")
    graphs = [graph("z", [one, two]), graph("a", [one]), graph("m", [two, two.key("data")])]
    found = listeners_by_sensor(graphs)
    assert {name: [each.graph.name for each in found[name]] for name in found} == {
        "one": ["a", "z"],
        "two": ["m", "z"],
    }
    assert [len(each.triggers) for each in found["two"]] == [2, 1]


@pytest.mark.parametrize(
    ("triggers", "expected"),
    [
        ([fires("a"), fires("b")], Fired("a")),
        ([refuses("no"), fires("b")], Fired("b")),
        ([fails(), fires("b")], Fired("b")),
    ],
)
def test_one_trigger_that_fires_is_enough_and_the_first_counts(
    triggers: list[Trigger], expected: Decision
) -> None:
    assert match(listener(*triggers), event()) == expected


@pytest.mark.parametrize(
    "triggers", [[fails()], [refuses("no"), fails()], [fails(), refuses("no")]]
)
def test_a_trigger_that_failed_goes_before_one_that_refused(triggers: list[Trigger]) -> None:
    decision = match(listener(*triggers), event())
    assert isinstance(decision, Failed)
    assert "ZeroDivisionError" in decision.error


def test_where_none_fires_the_first_refusal_is_told() -> None:
    first = Probe().where(lambda e: e.data == "first")
    second = Probe().where(lambda e: e.data == "second")
    decision = match(listener(first, second), event("third"))
    assert decision == Refused("where e.data == 'first'", "data = 'third'")


def test_the_key_of_the_workflow_serves_triggers_without_one() -> None:
    assert match(listener(fires(), key="data.id"), event({"id": 7})) == Fired("7")
    assert match(listener(fires("own"), key="data.id"), event({"id": 7})) == Fired("own")


def test_a_key_that_is_not_there_is_a_failure() -> None:
    assert isinstance(match(listener(fires(), key="data.id"), event({})), Failed)


texts = st.text(alphabet=st.characters(), max_size=20)
decisions = st.one_of(
    st.builds(Fired, st.none() | texts),
    st.builds(Refused, texts, texts),
    st.builds(Failed, texts, texts),
)


@quick
@given(st.lists(st.tuples(texts, decisions, st.integers(1, 2**63 - 1)), max_size=5))
def test_decisions_are_stored_as_json_rows_whatever_they_hold(
    rows: list[tuple[str, Decision, int]],
) -> None:
    text = spell_decisions([(name, decision, run) for name, decision, run in rows])
    text.encode()
    read = orjson.loads(text)
    verdicts = {Fired: "fired", Refused: "refused", Failed: "failed"}
    assert [row[1] for row in read] == [verdicts[type(decision)] for _, decision, _ in rows]
    assert all(len(row) == 4 for row in read)


def test_a_row_holds_workflow_verdict_clause_or_run_and_actual_value() -> None:
    text = spell_decisions(
        [
            ("a", Fired("k"), 7),
            ("b", Fired(None), 8),
            ("c", Refused("where x", "x = 1"), None),
            ("d", Failed("key y", "KeyError: 'ü\udcff'"), None),
        ]
    )
    assert orjson.loads(text) == [
        ["a", "fired", spell_id(7), "k"],
        ["b", "fired", spell_id(8), ""],
        ["c", "refused", "where x", "x = 1"],
        ["d", "failed", "key y", "KeyError: 'ü\\udcff'"],
    ]
