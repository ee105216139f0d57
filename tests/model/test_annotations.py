"""Annotations of steps: which fit, what they say about results, and those that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Optional, Protocol

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from reactor.errors import ResultError
from reactor.model.context import Context
from reactor.model.event import Event
from reactor.model.graph import Graph, compile_workflow, may_fit
from reactor.model.sensor import Sensor
from reactor.model.workflow import Workflow


class Probe(Sensor):
    kind: ClassVar[str] = "probe"


class Shape(Protocol):
    size: int


class Model(BaseModel):
    size: int


class Row(TypedDict):
    size: int


@dataclass
class Point:
    x: float


class Opaque:
    """No JSON can be made of it."""


class Hostile:
    """Its schema cannot even be asked for."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        raise RuntimeError("not today")


def empty() -> Workflow:
    return Workflow("rates", on=Probe())


def compiled(workflow: Workflow) -> Graph:
    graph, faults = compile_workflow(workflow)
    assert [str(fault) for fault in faults] == []
    assert graph is not None
    return graph


def messages(workflow: Workflow) -> list[str]:
    graph, faults = compile_workflow(workflow)
    assert graph is None
    return [fault.message for fault in faults]


@pytest.mark.parametrize(
    ("produced", "wanted"),
    [
        (int, int),
        (int, int | None),
        (int | None, int),
        (int, Optional[int]),  # noqa: UP045  # the other spelling is another class
        (None, int | None),
        (int, float),
        (bool, int),
        (list[int], list),
        (list[int], list[int]),
        (dict[str, Any], Row),
        (Row, dict[str, Any]),
        (str, Literal["a", "b"]),
        (Annotated[int, Field(gt=0)], int),
        (int, Annotated[int, Field(gt=0)]),
        (Annotated[int | None, Field()], str),
        (Any, int),
        (int, Any),
        (int, object),
        (Model, Shape),
        (Model, BaseModel),
    ],
)
def test_annotations_that_can_fit_are_no_fault(produced: Any, wanted: Any) -> None:
    assert may_fit(produced, wanted)


@pytest.mark.parametrize(
    ("produced", "wanted"),
    [
        (int, str),
        (float, int),
        (list[int], dict[str, int]),
        (Model, dict),
        (None, int),
        (int, None),
        (Annotated[int, Field(gt=0)], str),
        (list[int], Row),
    ],
)
def test_two_classes_that_have_nothing_in_common_are_a_fault(produced: Any, wanted: Any) -> None:
    produced = type(None) if produced is None else produced
    wanted = type(None) if wanted is None else wanted
    assert not may_fit(produced, wanted)


def test_a_step_may_take_an_optional_of_what_another_returns() -> None:
    workflow = empty()

    @workflow.step
    def parse(event: Event[Any]) -> int:
        return 1

    @workflow.step
    def load(parse: int | None) -> None: ...

    compiled(workflow)


def test_what_annotated_says_about_a_result_is_kept() -> None:
    workflow = empty()

    @workflow.step
    def parse(event: Event[Any]) -> Annotated[int, Field(gt=0)]:
        return 1

    with pytest.raises(ResultError, match="greater than 0"):
        compiled(workflow).step("parse").result.dump(-1)


def test_a_step_without_annotations_takes_and_returns_plain_json() -> None:
    workflow = empty()
    workflow.step(name="a")(lambda event, ctx: 1)
    step = compiled(workflow).step("a")
    assert step.result.annotation is Any
    assert step.event_data is None


def test_the_data_of_an_annotated_event_is_read_as_its_type() -> None:
    workflow = empty()

    @workflow.step
    def parse(event: Event[Point], ctx: Context) -> None: ...

    step = compiled(workflow).step("parse")
    assert step.event_data is not None
    assert step.event_data.from_plain({"x": 1}) == Point(1.0)


@pytest.mark.parametrize("annotation", [Opaque, list[Opaque], Hostile])
@pytest.mark.parametrize("place", ["return", "event"])
def test_an_annotation_that_is_no_json_is_a_fault(annotation: Any, place: str) -> None:
    workflow = empty()

    def parse(event: Any) -> Any: ...

    parse.__annotations__ = {place: Event[annotation] if place == "event" else annotation}
    workflow.step(parse)
    (message,) = messages(workflow)
    assert message.startswith("step 'parse': an annotation cannot be written as JSON: ")


def test_an_annotation_that_cannot_be_read_is_a_fault() -> None:
    workflow = empty()

    def parse(event: Any) -> Any: ...

    parse.__annotations__ = {"return": "NoSuchType"}
    workflow.step(parse)
    (message,) = messages(workflow)
    assert "an annotation cannot be read: name 'NoSuchType' is not defined" in message
