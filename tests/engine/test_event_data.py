"""What steps find in their event: what no other step changed, and no more work than that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from reactor import Event, Workflow
from reactor.api import Sensor
from reactor.testing.harness import harness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.virtual_time


@dataclass(frozen=True)
class Fixed:
    name: str


@dataclass
class Changing:
    name: str


class Probe(Sensor):
    """Its events bring whatever a test makes them bring."""

    def __init__(self, data_type: Any) -> None:
        super().__init__(name="s")
        self._data_type = data_type

    @property
    def data_type(self) -> Any:
        return self._data_type


async def seen_of(data: Any, kind: Any, state: Path) -> list[Any]:
    """Return the data that two steps got, one after the other; the first changes them where it can."""
    flow = Workflow("flow", on=Probe(kind))
    seen: list[Any] = []

    async def first(event: Any) -> None:
        seen.append(event.data)
        if isinstance(event.data, Changing):
            event.data.name = "changed"

    async def second(first: None, event: Any) -> None:
        seen.append(event.data)

    for step in (first, second):
        step.__annotations__["event"] = Event[kind]
        flow.step(step)
    async with harness(flow, state=state) as h:
        now = h.engine.clock.now()
        await h.engine.accept(
            "s", [Event(id="1", source="s", type="t", time=now, data=data)], {}, wait=True
        )
        (end,) = await h.wait_for_ends(1)
    assert end.outcome == "succeeded", end.error
    return seen


async def test_a_step_does_not_find_what_another_changed(tmp_path: Path) -> None:
    first, second = await seen_of(Changing("one"), Changing, tmp_path)
    assert first.name == "changed"
    assert second == Changing("one")


async def test_what_cannot_change_is_one_object_for_all_steps(tmp_path: Path) -> None:
    data = Fixed("one")
    first, second = await seen_of(data, Fixed, tmp_path)
    assert first is data
    assert second is data


async def test_what_a_sensor_brings_otherwise_is_read_as_the_step_wants_it(tmp_path: Path) -> None:
    first, second = await seen_of({"name": "one"}, Fixed, tmp_path)
    assert first == second == Fixed("one")
