"""What cannot become an event is parked in the commit of the events that it came with, and needs no credit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from reactor import Event, Workflow
from reactor.api import Accepted, Rejected, Sensor
from reactor.clock import from_micros
from reactor.engine.intake import SensorIntake
from reactor.telemetry.facts import EventsAccepted, EventsDeadLettered
from reactor.testing.harness import Harness, harness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.virtual_time
GARBAGE = Rejected(event_id="2", raw=b"{", reason="not_json", detail="it ends too early")


class Source(Sensor):
    kind = "source"


def flow(**options: Any) -> Workflow:
    made = Workflow("flow", on=Source(name="s"), **options)

    @made.step
    async def take(event: Event[Any]) -> None:
        await asyncio.sleep(10)

    return made


def intake_of(h: Harness, directory: Path) -> SensorIntake:
    # It serves nothing.
    routes: Any = None
    return SensorIntake(h.engine, "s", routes, directory, lambda: None)


def happened(name: str) -> Event[Any]:
    return Event(id=name, source="s", type="test", time=from_micros(0), data=None)


def told(h: Harness) -> list[tuple[str, ...]]:
    """Return what was accepted and what was parked, in order."""
    return [
        (*fact.event_ids, *([fact.reason] if isinstance(fact, EventsDeadLettered) else ()))
        for fact in h.facts
        if isinstance(fact, EventsDeadLettered | EventsAccepted)
    ]


async def test_garbage_is_parked_in_the_commit_of_the_events_it_came_with(tmp_path: Path) -> None:
    async with harness(flow(), state=tmp_path) as h:
        intake = intake_of(h, tmp_path)
        before = h.engine.store.statistics().commits
        answers = await intake.accept_many(
            [happened("1"), happened("3")], cursor={"at": b"4"}, rejected=[GARBAGE]
        )
        assert h.engine.store.statistics().commits == before + 1
        assert answers == [
            Accepted(event_id="1", duplicate=False),
            Accepted(event_id="3", duplicate=False),
            Accepted(event_id="2", duplicate=False),
        ]
        assert await intake.cursor() == {"at": b"4"}
        (letter,) = await h.engine.store.dead_letters(ids=None, reason=None)
        assert (letter.event_id, letter.raw, letter.event) == ("2", b"{", None)
        assert told(h) == [("1", "3"), ("2", "not_json")]


async def test_garbage_that_is_known_is_told_apart_from_what_is_new(tmp_path: Path) -> None:
    async with harness(flow(), state=tmp_path) as h:
        intake = intake_of(h, tmp_path)
        await intake.accept_many([happened("1")], rejected=[GARBAGE])
        answers = await intake.accept_many([happened("1"), happened("3")], rejected=[GARBAGE])
        assert [one.duplicate for one in answers] == [True, False, True]
        await h.wait_for_ends(2)
        assert told(h) == [("1",), ("2", "not_json"), ("3",)]


async def test_garbage_alone_needs_no_credit(tmp_path: Path) -> None:
    async with harness(flow(concurrency=1, pending=1), state=tmp_path) as h:
        intake = intake_of(h, tmp_path)
        for name in ("1", "3"):
            await intake.accept(happened(name))
        in_line = asyncio.create_task(intake.accept(happened("4")), name="waits for credit")
        await asyncio.sleep(1)
        accepted = await intake.reject(b"{", reason="not_json", detail="", event_id="2")
        assert accepted == Accepted(event_id="2", duplicate=False)
        assert not in_line.done()
        await in_line
        assert told(h) == [("1",), ("3",), ("2", "not_json"), ("4",)]
