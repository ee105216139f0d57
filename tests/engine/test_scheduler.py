"""What the scheduler does with rows that were read a moment too early or too late."""

from __future__ import annotations

from typing import Any

import pytest

from reactor import Event, Workflow
from reactor.api import Sensor
from reactor.engine.scheduler import Lane, Scheduler
from reactor.model.graph import Graph, compile_workflow
from reactor.store.contract import PendingRun


class Source(Sensor):
    kind = "source"


def graph(name: str) -> Graph:
    flow = Workflow(name, on=Source(name="s"), concurrency=5)

    @flow.step
    async def work(event: Event[Any]) -> None: ...

    compiled, faults = compile_workflow(flow)
    assert compiled is not None, faults
    return compiled


FIRST = PendingRun(id=1, key=None)
SECOND = PendingRun(id=2, key=None)


@pytest.fixture
def scheduler() -> Scheduler:
    """A scheduler with one lane, behind which one row waits."""
    made = Scheduler(limit=10)
    made.define([graph("w")])
    made.count(made.lanes["w"], 1)
    return made


@pytest.fixture
def lane(scheduler: Scheduler) -> Lane:
    return scheduler.lanes["w"]


def read(scheduler: Scheduler, lane: Lane) -> None:
    """Begin a refill: the rows of this moment are handed over later."""
    assert scheduler.lanes_to_refill() == [lane]
    lane.is_refilling = True


def starts(scheduler: Scheduler) -> list[int]:
    return [start.run.id for start in scheduler.next_starts()]


def test_a_row_that_is_read_before_its_commit_is_told_of_starts_once(
    scheduler: Scheduler, lane: Lane
) -> None:
    assert not scheduler.place(lane, SECOND)
    read(scheduler, lane)
    scheduler.refill(lane, [FIRST, SECOND], ())
    scheduler.placed(lane, SECOND, starts=False, is_durable=True)
    assert starts(scheduler) == [1, 2]
    assert lane.pending == 0


def test_a_row_that_is_read_before_its_start_is_durable_does_not_start_again(
    scheduler: Scheduler, lane: Lane
) -> None:
    read(scheduler, lane)
    scheduler.refill(lane, [FIRST], ())
    (start,) = scheduler.next_starts()
    scheduler.line_up(lane)
    read(scheduler, lane)
    scheduler.started(start)
    scheduler.refill(lane, [FIRST, SECOND], ())
    assert starts(scheduler) == [2]


def test_a_run_that_is_lined_up_while_rows_are_read_is_looked_for_again(
    scheduler: Scheduler, lane: Lane
) -> None:
    read(scheduler, lane)
    scheduler.line_up(lane)
    scheduler.refill(lane, [], ())
    assert scheduler.lanes_to_refill() == [lane]


def test_a_workflow_that_comes_back_still_has_its_runs_in_flight(
    scheduler: Scheduler, lane: Lane
) -> None:
    read(scheduler, lane)
    scheduler.refill(lane, [PendingRun(id=1, key="k")], ())
    assert starts(scheduler) == [1]
    scheduler.define([])
    scheduler.define([graph("w")])
    assert scheduler.lanes["w"] is lane
    assert not scheduler.place(lane, PendingRun(id=2, key="k"))


def test_nothing_overtakes_rows_that_were_not_counted_yet(scheduler: Scheduler) -> None:
    scheduler.define([graph("w"), graph("new")])
    lane = scheduler.lanes["new"]
    assert not scheduler.place(lane, SECOND)
    scheduler.placed(lane, SECOND, starts=False, is_durable=True)
    assert starts(scheduler) == []
    scheduler.count(lane, 1)
    read_lanes = scheduler.lanes_to_refill()
    scheduler.refill(lane, [FIRST, SECOND], ())
    assert lane in read_lanes
    assert starts(scheduler) == [1, 2]


def test_many_new_runs_have_places_once_none_waits_before_them(scheduler: Scheduler) -> None:
    scheduler.define([graph("new")])
    lane = scheduler.lanes["new"]
    scheduler.count(lane, 0)
    assert scheduler.has_places([lane], 2)
    for number in range(4):
        assert scheduler.place(lane, PendingRun(id=number, key=None))
    assert not scheduler.has_places([lane], 2)
    scheduler.leave(lane, None)
    assert scheduler.has_places([lane], 2)


def test_more_new_runs_than_places_wait_for_nothing_but_the_pending_ones(
    scheduler: Scheduler, lane: Lane
) -> None:
    assert not scheduler.has_places([lane], 500)
    read(scheduler, lane)
    scheduler.refill(lane, [FIRST], ())
    assert starts(scheduler) == [1]
    assert scheduler.has_places([lane], 500)


def lined_up(scheduler: Scheduler, name: str, *runs: int) -> Lane:
    """Let runs wait in a lane, all in its window."""
    lane = scheduler.lanes[name]
    for run in runs:
        pending = PendingRun(id=run, key=None)
        assert not scheduler.place(lane, pending)
        scheduler.placed(lane, pending, starts=False, is_durable=True)
    return lane


def test_a_turn_looks_only_at_lanes_where_something_waits() -> None:
    scheduler = Scheduler(limit=0)
    scheduler.define([graph(f"w{number:03}") for number in range(100)])
    for lane in scheduler.lanes.values():
        scheduler.count(lane, 0)
    lined_up(scheduler, "w042", 1)
    assert starts(scheduler) == []
    assert [lane.graph.name for lane in scheduler._waiting.values()] == ["w042"]


def test_turns_go_on_after_the_lane_that_was_served_last() -> None:
    scheduler = Scheduler(limit=0)
    scheduler.define([graph(name) for name in "abc"])
    for lane in scheduler.lanes.values():
        scheduler.count(lane, 0)
    for name, runs in (("c", (5, 6)), ("a", (1, 2)), ("b", (3, 4))):
        lined_up(scheduler, name, *runs)
    served = []
    for _ in range(6):
        scheduler.limit += 1
        served += starts(scheduler)
    assert served == [1, 3, 5, 2, 4, 6]


def test_a_lane_that_comes_back_with_a_reload_is_looked_at_again() -> None:
    scheduler = Scheduler(limit=0)
    scheduler.define([graph("a"), graph("b")])
    for lane in scheduler.lanes.values():
        scheduler.count(lane, 0)
    lane = lined_up(scheduler, "a", 1)
    scheduler.define([graph("b")])
    scheduler.line_up(lane)
    scheduler.limit = 5
    assert (starts(scheduler), scheduler.lanes_to_refill()) == ([], [])
    scheduler.define([graph("a"), graph("b")])
    assert starts(scheduler) == [1]
    assert scheduler.lanes_to_refill() == [lane]
