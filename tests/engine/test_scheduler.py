"""Who goes next: what the scheduler hands out agrees with the rows, however late it read them."""

from __future__ import annotations

from typing import Any

from reactor import Event, Workflow
from reactor.api import Sensor
from reactor.engine.scheduler import Lane, Scheduler
from reactor.model.graph import compile_workflow
from reactor.store.contract import PendingRun


def scheduler_with_lane(*, concurrency: int) -> tuple[Scheduler, Lane]:
    flow = Workflow("flow", on=Sensor(name="s"), concurrency=concurrency)

    @flow.step
    async def work(event: Event[Any]) -> None: ...

    graph, _ = compile_workflow(flow)
    assert graph is not None
    scheduler = Scheduler(limit=100)
    scheduler.define([graph])
    return scheduler, scheduler.lanes["flow"]


def add_pending(scheduler: Scheduler, lane: Lane, run: PendingRun) -> None:
    assert not scheduler.place(lane, run.key)
    scheduler.placed(lane, run, starts=False, is_durable=True)


def test_a_window_that_was_read_too_early_holds_no_run_that_has_started() -> None:
    """The rows were read before the start of the first run was durable, and arrive after its end."""
    scheduler, lane = scheduler_with_lane(concurrency=1)
    assert scheduler.place(lane, None)
    rows = [PendingRun(id=number, key=None) for number in (1, 2)]
    for row in rows:
        add_pending(scheduler, lane, row)
    lane.is_refilling = True
    scheduler.leave(lane, None)
    (start,) = scheduler.next_starts()
    scheduler.started(start)
    scheduler.leave(lane, None)
    scheduler.refill(lane, rows, ())
    assert [start.run.id for start in scheduler.next_starts()] == [2]
    assert lane.pending == 0


def test_many_new_runs_have_places_once_none_waits_before_them() -> None:
    scheduler, lane = scheduler_with_lane(concurrency=10)
    assert scheduler.has_places([lane], 5)
    for _ in range(6):
        scheduler.place(lane, None)
    assert not scheduler.has_places([lane], 5)
    scheduler.leave(lane, None)
    assert scheduler.has_places([lane], 5)


def test_more_new_runs_than_places_wait_for_nothing_but_the_pending_ones() -> None:
    scheduler, lane = scheduler_with_lane(concurrency=1)
    scheduler.place(lane, None)
    assert scheduler.has_places([lane], 500)
    add_pending(scheduler, lane, PendingRun(id=1, key=None))
    assert not scheduler.has_places([lane], 500)
