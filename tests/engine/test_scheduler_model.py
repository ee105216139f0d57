"""The scheduler against a model: rows are read late, answers come late, and each run starts once, in its turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from reactor import Event, Workflow
from reactor.api import Sensor
from reactor.engine import scheduler
from reactor.engine.scheduler import Lane, Scheduler, Start
from reactor.model.graph import Graph, compile_workflow
from reactor.store.contract import PendingRun

LIMIT = 4
# Small, so that most rows lie behind it.
WINDOW = 4
CONCURRENCY = {"v": 1, "w": 4}
KEYS = (None, "a", "b")


class Source(Sensor):
    kind = "source"


def graph(name: str) -> Graph:
    flow = Workflow(name, on=Source(name="s"), concurrency=CONCURRENCY[name])

    @flow.step
    async def work(event: Event[Any]) -> None: ...

    compiled, faults = compile_workflow(flow)
    assert compiled is not None, faults
    return compiled


GRAPHS = {name: graph(name) for name in CONCURRENCY}


@dataclass
class Row:
    """A run in the model: where it is durable, and whether it has its place."""

    lane: Lane
    run: PendingRun
    state: str


class SchedulerMachine(RuleBasedStateMachine):
    """The model is the table of rows; reads of it are handed to the scheduler some steps later."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler(limit=LIMIT)
        self.scheduler.define(GRAPHS.values())
        self.rows: dict[int, Row] = {}
        self.lined_up: list[Lane] = []
        self.placed: list[tuple[Row, bool]] = []
        self.starting: list[Start] = []
        self.reads: list[tuple[Lane, list[PendingRun], list[PendingRun]]] = []

    @initialize(left=st.lists(st.sampled_from(KEYS), max_size=3))
    def recover(self, left: list[str | None]) -> None:
        """An earlier process left rows."""
        for lane in self.scheduler.lanes.values():
            for key in left:
                run = PendingRun(id=len(self.rows) + 1, key=key)
                self.rows[run.id] = Row(lane, run, "pending")
            self.scheduler.count(lane, len(left))

    @rule(name=st.sampled_from("vw"), key=st.sampled_from(KEYS))
    def place(self, name: str, key: str | None) -> None:
        lane = self.scheduler.find(name)
        if lane is None or name not in self.scheduler.lanes:
            return
        run = PendingRun(id=len(self.rows) + 1, key=key)
        starts = self.scheduler.place(lane, run)
        row = Row(lane, run, "running" if starts else "new")
        self.rows[run.id] = row
        self.placed.append((row, starts))

    @precondition(lambda self: self.placed)
    @rule(count=st.integers(1, 3), is_durable=st.sampled_from([True, True, True, False]))
    def commit(self, count: int, is_durable: bool) -> None:
        """Rows become visible to readers before the scheduler hears of it."""
        for row, starts in self.placed[:count]:
            if row.state == "new":
                row.state = "pending" if is_durable else "gone"
            elif row.state == "running" and starts and not is_durable:
                row.state = "never"

    @precondition(lambda self: self.placed and self.placed[0][0].state != "new")
    @rule()
    def answer(self) -> None:
        row, starts = self.placed.pop(0)
        is_durable = row.state not in ("gone", "never")
        self.scheduler.placed(row.lane, row.run, starts=starts, is_durable=is_durable)

    @rule()
    def start(self) -> None:
        for start in self.scheduler.next_starts():
            row = self.rows[start.run.id]
            assert row.state == "pending", f"run {start.run.id} starts and is {row.state}"
            row.state = "starting"
            self.starting.append(start)

    @precondition(lambda self: self.starting)
    @rule()
    def started(self) -> None:
        start = self.starting.pop(0)
        self.scheduler.started(start)
        self.rows[start.run.id].state = "running"

    @rule()
    def read(self) -> None:
        for lane in self.scheduler.lanes_to_refill():
            lane.is_refilling = True
            # A start that is not durable yet leaves its row as it was.
            rows = [
                row.run
                for row in self.rows.values()
                if row.lane is lane and row.state in ("pending", "starting")
            ]
            heads = {run.key: run for run in reversed(rows) if run.key}
            shown = sorted(key for key in heads if key > lane.after_key)
            self.reads.append((lane, rows[:WINDOW], [heads[key] for key in shown[:WINDOW]]))

    @precondition(lambda self: self.reads)
    @rule()
    def refill(self) -> None:
        self.scheduler.refill(*self.reads.pop(0))

    @rule(name=st.sampled_from("vw"))
    def gather(self, name: str) -> None:
        """A batch is durable; the scheduler hears of it later, and not which row it is."""
        lane = self.scheduler.find(name)
        if lane is not None and not any(row.state == "new" for row in self.rows.values()):
            run = PendingRun(id=len(self.rows) + 1, key=None)
            self.rows[run.id] = Row(lane, run, "pending")
            self.lined_up.append(lane)

    @precondition(lambda self: self.lined_up)
    @rule()
    def line_up(self) -> None:
        self.scheduler.line_up(self.lined_up.pop(0))

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        busy = {row.run.id for row, _ in self.placed}
        row = data.draw(st.sampled_from(self.running()))
        if row.run.id not in busy:
            row.state = "finished"
            self.scheduler.leave(row.lane, row.run.key)

    @rule(names=st.sets(st.sampled_from("vw")))
    def reload(self, names: set[str]) -> None:
        self.scheduler.define([GRAPHS[name] for name in sorted(names)])
        for lane in self.scheduler.lanes.values():
            if not lane.is_counted:
                self.scheduler.count(lane, 0)

    def running(self) -> list[Row]:
        return [row for row in self.rows.values() if row.state == "running"]

    @invariant()
    def no_limit_is_passed(self) -> None:
        held = [row for row in self.rows.values() if row.state in ("running", "starting")]
        assert len(held) <= LIMIT
        for name, limit in CONCURRENCY.items():
            mine = [row for row in held if row.lane.graph.name == name]
            assert len(mine) <= limit
            keys = [row.run.key for row in mine if row.run.key is not None]
            assert len(keys) == len(set(keys))

    @invariant()
    def runs_of_a_key_start_in_order(self) -> None:
        waits: set[tuple[str, str]] = set()
        for row in self.rows.values():
            if row.run.key is None or row.state in ("gone", "never"):
                continue
            lane = (row.lane.graph.name, row.run.key)
            assert row.state in ("new", "pending") or lane not in waits
            if row.state == "pending":
                waits.add(lane)

    def teardown(self) -> None:
        """Whatever was in between: in the end every row has had its turn, and nothing is held."""
        self.reload({"v", "w"})
        for _ in range(4 * len(self.rows) + 4):
            if self.placed:
                self.commit(len(self.placed), True)
                while self.placed:
                    self.answer()
            while self.lined_up:
                self.line_up()
            while self.reads:
                self.refill()
            self.start()
            while self.starting:
                self.started()
            for row in self.running():
                row.state = "finished"
                self.scheduler.leave(row.lane, row.run.key)
            self.read()
        assert {row.state for row in self.rows.values()} <= {"finished", "gone", "never"}
        assert self.scheduler.running == 0
        for lane in self.scheduler.lanes.values():
            assert (lane.running, lane.pending, lane.arriving, lane.busy_keys) == (
                0,
                0,
                set(),
                set(),
            )


@pytest.mark.timeout(180)
def test_each_run_starts_once_in_its_turn_whatever_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "WINDOW", WINDOW)
    run_state_machine_as_test(
        SchedulerMachine,
        settings=settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[*HealthCheck],
        ),
    )
