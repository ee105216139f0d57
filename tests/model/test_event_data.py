"""The data of events as steps ask for them: when they are read anew, and when all steps may share them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from reactor.model.event_data import EventData, constant_fields
from reactor_sensors import FileArrived, Tick


@dataclass(frozen=True)
class Place:
    name: str
    floor: int | None
    since: datetime


@dataclass
class Changing:
    name: str


@dataclass(frozen=True)
class Holder:
    names: list[str]


@dataclass(frozen=True)
class Bounded:
    floor: Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Measured:
    degrees: float


class Child(Place):
    """No dataclass itself: anything may be put into it."""


class Model(BaseModel):
    name: str


@dataclass(frozen=True)
class Unreadable:
    name: Nowhere  # type: ignore[name-defined]  # noqa: F821  # as a type that is imported for the checker alone


@pytest.mark.parametrize("annotation", [Place, FileArrived, Tick, str, int, bool, None.__class__])
def test_values_of_some_types_cannot_change(annotation: Any) -> None:
    assert constant_fields(annotation) is not None


@pytest.mark.parametrize(
    "annotation",
    [
        *(Changing, Holder, Bounded, Measured, Child, Model, Unreadable),
        *(float, bytes, dict, list[str], dict[str, int], Any, Place | None, Annotated[Place, []]),
    ],
)
def test_values_of_all_others_may(annotation: Any) -> None:
    assert constant_fields(annotation) is None


def test_data_that_cannot_change_need_not_be_read_again() -> None:
    data = EventData(Place)
    place = Place("roof", None, datetime(2026, 1, 1, tzinfo=UTC))
    assert data.has(place)
    assert data.from_json(TypeAdapter(Place).dump_json(place)) == place
    assert not data.has(Child("roof", None, place.since))
    assert not data.has({"name": "roof"})


class Text(str):
    """One that has more than letters."""


@pytest.mark.parametrize(
    ("name", "floor"), [(["roof"], 1), (Text("roof"), 1), ("roof", 1.0), ("roof", True)]
)
def test_what_a_sensor_put_into_a_field_of_another_type_is_read(name: Any, floor: Any) -> None:
    assert not EventData(Place).has(Place(name, floor, datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("annotation", "value"), [(bool, 1), (int, True), (Changing, Changing("a")), (Any, None)]
)
def test_data_that_are_not_of_the_very_type_are_read(annotation: Any, value: Any) -> None:
    assert not EventData(annotation).has(value)


@pytest.mark.parametrize(
    "value",
    [datetime(2026, 1, 1, microsecond=1, tzinfo=UTC), timedelta(microseconds=-1), 2**80, ""],
)
def test_what_need_not_be_read_again_is_what_reading_would_give(value: Any) -> None:
    data = EventData(type(value))
    assert data.has(value)
    assert data.from_json(TypeAdapter(type(value)).dump_json(value)) == value
