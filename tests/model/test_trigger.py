"""The decision about one event: fired, refused with the actual value, or failed. Never an exception."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from reactor.errors import DefinitionError
from reactor.model.event import Event
from reactor.model.sensor import Sensor
from reactor.model.trigger import (
    LONGEST_ACTUAL,
    LONGEST_KEY,
    Decision,
    Failed,
    Fired,
    Refused,
    Trigger,
    decide,
    describe_predicate,
    value_at,
)

quick = settings(max_examples=150, deadline=None)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Probe(Sensor):
    kind: ClassVar[str] = "probe"


class Order(BaseModel):
    customer: str
    lines: list[dict[str, int]]


class Odd:
    """What an author's own class may do in the wrong moment."""

    def __init__(self, *, raises_on: str) -> None:
        self._raises_on = raises_on

    def _maybe(self, what: str) -> None:
        if what == self._raises_on:
            raise ValueError(f"no {what}")

    def __bool__(self) -> bool:
        self._maybe("bool")
        return False

    def __repr__(self) -> str:
        self._maybe("repr")
        return "odd"

    def __str__(self) -> str:
        self._maybe("str")
        return "odd"


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


def event(data: Any = None, *, subject: str | None = None) -> Event[Any]:
    return Event(
        id="1",
        source="here",
        type="t",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        data=data,
        subject=subject,
    )


def decided(where: Callable[[Event[Any]], object], data: Any = None) -> Decision:
    return decide(Probe().where(where), event(data))


@quick
@given(plain)
def test_a_trigger_without_conditions_fires_for_everything(data: Any) -> None:
    assert decide(Trigger(sensor=Probe()), event(data)) == Fired(None)


@quick
@given(plain)
def test_truth_is_what_python_says_it_is(data: Any) -> None:
    assert isinstance(decided(lambda e: e.data, data), Fired) == bool(data)


@quick
@given(st.lists(st.booleans(), max_size=5))
def test_all_conditions_are_required_and_the_first_that_fails_is_named(answers: list[bool]) -> None:
    trigger = Trigger(sensor=Probe())
    for index, _ in enumerate(answers):
        trigger = trigger.where(functools.partial(lambda at, e: e.data[at], index))
    decision = decide(trigger, event(answers))
    assert isinstance(decision, Fired) == all(answers)
    if isinstance(decision, Refused):
        assert decision.clause == f"where {trigger.conditions[answers.index(False)].text}"


def test_a_refusal_names_the_clause_and_what_the_event_had() -> None:
    decision = decided(lambda e: e.data["size"] > 10, {"size": 3})
    assert decision == Refused("where e.data['size'] > 10", "data.size = 3")


def test_a_refusal_by_a_function_names_it() -> None:
    def is_large(event: Event[Any]) -> bool:
        return bool(event.data["size"] > 10)

    decision = decided(is_large, {"size": 3})
    assert isinstance(decision, Refused)
    assert decision.clause.endswith("is_large")
    assert decision.actual == "data.size = 3"


def test_a_method_that_is_called_is_no_place_in_the_event() -> None:
    trigger = Probe().where(lambda e: e.source.endswith(".csv"))
    assert decide(trigger, event()) == Refused("where e.source.endswith('.csv')", "source = 'here'")


def test_a_key_with_a_dot_in_it_is_no_path() -> None:
    decision = decided(lambda e: e.data["a.b"] > 1, {"a.b": 1})
    assert isinstance(decision, Refused)
    assert decision.actual == "data = {'a.b': 1}"


def test_what_was_there_is_cut_where_it_is_long() -> None:
    decision = decided(lambda e: not e.data["text"], {"text": "x" * 10_000})
    assert isinstance(decision, Refused)
    assert len(decision.actual) <= LONGEST_ACTUAL + 1


@pytest.mark.parametrize(
    "predicate",
    [
        lambda e: e.data["missing"],
        lambda e: 1 / 0,
        lambda e: Odd(raises_on="bool"),
        lambda e: (_ for _ in ()).throw(SilentError()),
        functools.partial(lambda at, e: e.data[at], "missing"),
    ],
)
def test_a_condition_that_raises_is_a_failure_and_not_a_refusal(
    predicate: Callable[[Event[Any]], object],
) -> None:
    decision = decided(predicate, {})
    assert isinstance(decision, Failed)
    assert decision.clause.startswith("where ")
    assert "Error" in decision.error


def test_a_refusal_survives_a_value_that_cannot_be_shown() -> None:
    decision = decided(lambda e: Odd(raises_on="repr"))
    assert isinstance(decision, Refused)
    assert "Odd" in decision.actual


def test_after_a_failure_no_further_condition_is_asked() -> None:
    asked: list[str] = []
    trigger = Probe().where(lambda e: 1 / 0).where(lambda e: asked.append("second"))
    assert isinstance(decide(trigger, event()), Failed)
    assert asked == []


def test_cancellation_and_exit_pass_through_a_condition() -> None:
    def leave(event: Event[Any]) -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decided(leave)


@pytest.mark.parametrize(
    "callable_object",
    [
        operator.attrgetter("data"),
        functools.partial(lambda n, e: e.data > n, 1),
        bool,
        Odd.__init__,
    ],
)
def test_anything_that_can_be_called_may_be_a_condition(callable_object: Any) -> None:
    assert Probe().where(callable_object).conditions[0].text


async def too_late(event: Event[Any]) -> bool:
    return False


@pytest.mark.parametrize("wrong", ["data.size > 3", None, 5, too_late])
def test_a_condition_that_is_no_plain_function_is_refused_where_it_is_written(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match=r"where\(\) takes a plain function of the event"):
        Probe().where(wrong)


@pytest.mark.parametrize("wrong", ["", "data..id", ".data", 5, too_late])
def test_a_key_that_is_neither_path_nor_function_is_refused_where_it_is_written(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="takes a dotted path"):
        Probe().key(wrong)


@pytest.mark.parametrize(
    ("key_of", "expected"),
    [
        ("data.customer", "acme"),
        ("data.lines.1.n", "8"),
        ("subject", None),
        ("source", "here"),
        (lambda e: e.data.customer.upper(), "ACME"),
        (lambda e: None, None),
        (lambda e: 5, "5"),
        (lambda e: "", ""),
    ],
)
def test_a_key_is_a_path_or_a_function(key_of: Any, expected: str | None) -> None:
    order = Order(customer="acme", lines=[{"n": 7}, {"n": 8}])
    assert decide(Probe().key(key_of), event(order)) == Fired(expected)


@pytest.mark.parametrize(
    "key_of",
    [
        "data.nobody",
        "data.lines.2.n",
        "data.lines.x",
        "data.customer._private",
        lambda e: 1 / 0,
        lambda e: Odd(raises_on="str"),
        lambda e: (_ for _ in ()).throw(SilentError()),
    ],
)
def test_a_key_that_is_not_there_or_raises_is_a_failure(key_of: Any) -> None:
    order = Order(customer="acme", lines=[{"n": 7}])
    decision = decide(Probe().key(key_of), event(order))
    assert isinstance(decision, Failed)
    assert decision.clause.startswith("key ")


def test_the_key_of_the_trigger_goes_before_that_of_the_workflow() -> None:
    own, shared = Probe().key("data.own"), Trigger(sensor=Probe())
    data = {"own": "a", "other": "b"}
    assert decide(own, event(data), key_of="data.other") == Fired("a")
    assert decide(shared, event(data), key_of="data.other") == Fired("b")


@quick
@given(st.text(alphabet=st.characters(), max_size=700))
def test_a_key_can_always_be_stored(text: str) -> None:
    decision = decide(Probe().key(lambda e: text), event())
    assert isinstance(decision, Fired)
    assert decision.key is not None
    decision.key.encode()
    assert len(decision.key) <= LONGEST_KEY


def test_a_key_with_a_lone_surrogate_is_spelled_out() -> None:
    assert decide(Probe().key("data"), event("a\udcff")) == Fired("a\\udcff")


@quick
@given(plain, st.text(alphabet="ab01.-_", min_size=1, max_size=8))
def test_a_path_is_a_value_or_a_lookup_error_that_names_it(data: Any, path: str) -> None:
    try:
        value_at(event(data), f"data.{path}")
    except LookupError as error:
        assert path in str(error)  # noqa: PT017  # both ways out are right


@pytest.mark.parametrize("path", ["__class__", "data.__class__", "data._x", "data.lines.0.__len__"])
def test_a_path_does_not_reach_what_is_private(path: str) -> None:
    with pytest.raises(LookupError, match="there is no '_"):
        value_at(event(Order(customer="a", lines=[{}])), path)


def test_a_trigger_reads_as_it_was_written() -> None:
    trigger = (
        Probe()
        .where(lambda e: e.data > 1)
        .where(lambda e: e.subject)
        .key("data.id")
    )  # fmt: skip
    assert trigger.describe() == "probe where e.data > 1 where e.subject key data.id"


def test_two_lambdas_on_one_line_are_not_taken_for_each_other() -> None:
    pair = (lambda e: e.data > 1, lambda e: e.subject == "b")
    for predicate in pair:
        text, paths = describe_predicate(predicate)
        assert "<lambda>" in text
        assert paths == ()


def test_a_trigger_is_a_value_of_its_own() -> None:
    first = Probe().where(lambda e: e.data)
    second = first.where(lambda e: e.subject)
    assert len(first.conditions) == 1
    assert len(second.conditions) == 2
