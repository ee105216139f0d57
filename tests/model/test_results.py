"""Results of steps: what is written, what a dependant sees, what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from reactor.errors import ResultError
from reactor.model.duration import Duration
from reactor.model.results import ResultType

quick = settings(max_examples=150, deadline=None)
LIMIT = 1_048_576
ANYTHING = ResultType(Any, largest_bytes=LIMIT)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAN, INFINITE = float("nan"), float("inf")


class Level(Enum):
    LOW = "low"


@dataclass
class Point:
    x: float
    y: float = 0.0


class Order(BaseModel):
    id: int
    total: Decimal
    at: datetime


class Row(TypedDict):
    name: str
    size: int


@quick
@given(plain)
def test_plain_data_is_seen_as_it_was_returned(value: Any) -> None:
    raw, seen = ANYTHING.dump(value)
    assert seen == value
    assert ANYTHING.load(raw) == value


@quick
@given(
    st.one_of(
        st.tuples(st.just(int), st.integers()),
        st.tuples(st.just(str), st.text()),
        st.tuples(st.just(bool), st.booleans()),
        st.tuples(st.just(bytes), st.text().map(str.encode)),
        st.tuples(st.just(datetime), st.datetimes(timezones=st.just(UTC))),
        st.tuples(st.just(Decimal), st.decimals(allow_nan=False, allow_infinity=False)),
        st.tuples(st.just(set[int]), st.sets(st.integers())),
        st.tuples(st.just(tuple[int, str]), st.tuples(st.integers(), st.text())),
        st.tuples(st.just(UUID), st.uuids()),
        st.tuples(st.just(dict[int, str]), st.dictionaries(st.integers(), st.text())),
    )
)
def test_an_annotated_value_is_of_its_type_again_after_a_restart(typed: tuple[Any, Any]) -> None:
    annotation, value = typed
    raw, seen = ResultType(annotation, largest_bytes=LIMIT).dump(value)
    assert type(seen) is type(value)
    assert seen == value
    assert ResultType(annotation, largest_bytes=LIMIT).load(raw) == seen


@quick
@given(plain | st.sets(st.integers()) | st.tuples(st.integers(), st.text()) | st.datetimes())
def test_what_a_dependant_sees_is_what_it_would_see_after_a_restart(value: Any) -> None:
    raw, seen = ANYTHING.dump(value)
    assert ANYTHING.load(raw) == seen
    assert ANYTHING.dump(seen) == (raw, seen)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Point, Point(1.0)),
        (Order, Order(id=1, total=Decimal("1.10"), at=datetime(2026, 1, 1, tzinfo=UTC))),
        (Row, {"name": "a", "size": 1}),
        (Level, Level.LOW),
        (list[Point], [Point(1.0, 2.0)]),
        (int | None, None),
        (Path, Path("a/b")),
        (timedelta, timedelta(seconds=1.5)),
        (Duration, timedelta(seconds=90)),
        (None, None),
    ],
)
def test_models_dataclasses_and_dates_survive(annotation: Any, value: Any) -> None:
    raw, seen = ResultType(annotation, largest_bytes=LIMIT).dump(value)
    assert seen == value
    assert ResultType(annotation, largest_bytes=LIMIT).load(raw) == value


def test_a_value_is_made_to_fit_its_annotation_the_first_time_too() -> None:
    raw, seen = ResultType(float, largest_bytes=LIMIT).dump(2)
    assert (raw, seen, type(seen)) == (b"2.0", 2.0, float)


def test_the_constraints_of_an_annotation_hold() -> None:
    positive = ResultType(Annotated[int, Field(gt=0)], largest_bytes=LIMIT)
    with pytest.raises(ResultError, match="Input should be greater than 0"):
        positive.dump(-1)


@pytest.mark.parametrize(
    ("annotation", "value", "place"),
    [
        (int, "five", ""),
        (Order, {"id": 1}, "total: "),
        (list[Point], [Point(1), {"x": "no"}], "1.x: "),
    ],
)
def test_a_value_that_breaks_its_annotation_is_named_with_its_place(
    annotation: Any, value: Any, place: str
) -> None:
    with pytest.raises(ResultError, match=f"the result does not fit the annotation .*: {place}"):
        ResultType(annotation, largest_bytes=LIMIT).dump(value)


@pytest.mark.parametrize(
    "value", [object(), {"a": object()}, b"\xff", {"a": "\ud800"}, lambda: None, [open]]
)
def test_what_is_no_json_is_refused_with_a_way_out(value: Any) -> None:
    with pytest.raises(ResultError, match="return plain data, a dataclass or a pydantic model"):
        ANYTHING.dump(value)


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ResultError, match="not valid Unicode"):
        ANYTHING.dump("\ud800")


def test_data_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ResultError, match="cannot be written as JSON"):
        ANYTHING.dump(endless)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Any, NAN),
        (float, INFINITE),
        (float | None, -INFINITE),
        (Any, {"rows": [1.0, None, NAN]}),
        (list[float], [1.0, INFINITE]),
        (list[float | None], [None, NAN]),
        (Point, Point(NAN)),
        (Any, Point(1.0, NAN)),
    ],
)
def test_a_number_that_json_does_not_have_is_refused_at_any_depth(
    annotation: Any, value: Any
) -> None:
    with pytest.raises(ResultError, match="JSON has no number"):
        ResultType(annotation, largest_bytes=LIMIT).dump(value)


def test_null_is_no_nan() -> None:
    assert ANYTHING.dump({"a": None, "b": [1.5, None]})[1] == {"a": None, "b": [1.5, None]}


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**63, 2**64, -(2**63) - 1, 10**50])
@pytest.mark.parametrize("annotation", [int, Any])
def test_whole_numbers_are_exact_however_large(value: int, annotation: Any) -> None:
    raw, seen = ResultType(annotation, largest_bytes=LIMIT).dump(value)
    assert seen == value
    assert ResultType(annotation, largest_bytes=LIMIT).load(raw) == value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [nested(250), 10**4400], ids=["deep", "long"])
def test_what_could_be_written_but_not_read_is_not_blamed_on_the_annotation(value: Any) -> None:
    with pytest.raises(ResultError) as caught:
        ANYTHING.dump(value)
    assert "no longer fits" not in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "value"), [(str, "12345678"), (Any, "12345678"), (Any, [1, "34"]), (int, 10**9)]
)
def test_a_result_may_be_as_large_as_the_limit_and_no_larger(annotation: Any, value: Any) -> None:
    raw, _ = ANYTHING.dump(value)
    assert ResultType(annotation, largest_bytes=len(raw)).dump(value)[1] == value
    with pytest.raises(ResultError, match="return a reference to it"):
        ResultType(annotation, largest_bytes=len(raw) - 1).dump(value)


def test_the_limit_counts_bytes_and_not_characters() -> None:
    with pytest.raises(ResultError, match="12 bytes of JSON, more than the 10 allowed"):
        ResultType(str, largest_bytes=10).dump("äöüßé")


@pytest.mark.parametrize("raw", [b"", b"{", b"nul", b'"five"', b"[1]", b"null"])
def test_a_record_that_no_longer_fits_says_so(raw: bytes) -> None:
    with pytest.raises(ResultError, match="the recorded result no longer fits the annotation"):
        ResultType(int, largest_bytes=LIMIT).load(raw)
