"""The store against a model of dictionaries: any sequence of calls leaves both with the same answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from reactor.errors import StoreError, StoreFullError
from reactor.store.contract import AttemptRow, DeadLetterRow, EventRow, Offer, RunEnd, RunRow
from reactor.testing import VirtualTimeLoop
from reactor.testing.block_contract import event_block
from reactor.testing.store_contract import event_row, run_row, step_row
from tests.simulation.disk import Disk, SimulatedStore

T = TypeVar("T")
# Those of the events that come alone, and in parts of as many digits.
NUMBERS = (range(10), range(10, 12))
MOST_DEATHS = 2
WORKFLOWS = ("v", "w")
KEYS = (None, "a", "b")


@dataclass
class ModelRun:
    workflow: str
    event: int
    key: str | None
    state: str
    deaths: int = 0
    steps: dict[str, bytes] = field(default_factory=dict)


class StoreMachine(RuleBasedStateMachine):
    """Writes go to both, and after each the answers of both are compared."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.disk = Disk(random.Random(0))
        self.store = self.run(self._open())
        self.number = 0
        self.events: dict[str, int] = {}
        self.runs: dict[int, ModelRun] = {}
        self.cursor: dict[str, bytes] = {}
        self.rejected: set[str] = set()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    async def _open(self) -> SimulatedStore:
        return SimulatedStore(self.disk)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()
        self.disk.close()

    def next(self) -> int:
        self.number += 1
        return self.number

    @rule(
        names=st.lists(
            st.sampled_from([f"e{n}" for part in NUMBERS for n in part]), min_size=1, max_size=3
        ),
        keys=st.lists(st.sampled_from(KEYS), min_size=2, max_size=2),
        starts=st.booleans(),
        at=st.binary(max_size=3),
    )
    def accept(self, names: list[str], keys: list[str | None], starts: bool, at: bytes) -> None:
        events: list[EventRow] = []
        runs: list[RunRow] = []
        new = []
        for name in names:
            seq = self.next()
            rows = [
                run_row(
                    self.next(),
                    seq,
                    workflow=workflow,
                    key=key,
                    state="running" if starts else "pending",
                )
                for workflow, key in zip(WORKFLOWS, keys, strict=True)
            ]
            events.append(event_row(seq, id=name))
            runs += rows
            new.append(name not in self.events)
            if new[-1]:
                self.events[name] = seq
                for row in rows:
                    self.runs[row.id] = ModelRun(row.workflow, seq, row.key, row.state)

        async def accept() -> list[bool]:
            return await self.store.accept(Offer(events, runs), "s", {"at": at})

        assert self.run(accept()) == new
        self.cursor = {"at": at}

    @rule(
        parts=st.lists(
            st.sampled_from(NUMBERS).flatmap(
                lambda numbers: st.lists(st.sampled_from(numbers), min_size=1, unique=True)
            ),
            min_size=1,
            max_size=3,
        ),
        names=st.lists(st.sampled_from(["e0", "e5", "e11"]), max_size=1),
        at=st.binary(max_size=3),
    )
    def accept_block(self, parts: list[list[int]], names: list[str], at: bytes) -> None:
        # Single events come first in a call, and those of blocks last.
        events = [event_row(self.next(), id=name) for name in names]
        blocks = []
        rows = [(name, event.seq) for name, event in zip(names, events, strict=True)]
        for part in parts:
            seqs = [self.next() for _ in part]
            blocks.append(event_block(seqs[0], sorted(part), series="e"))
            rows += [(f"e{n}", seq) for n, seq in zip(sorted(part), seqs, strict=True)]
        new = []
        for name, seq in rows:
            new.append(name not in self.events)
            self.events.setdefault(name, seq)

        async def accept() -> list[bool]:
            return await self.store.accept(Offer(events, blocks=blocks), "s", {"at": at})

        assert self.run(accept()) == new
        self.cursor = {"at": at}

    @rule(name=st.sampled_from(["x", "y"]), is_full=st.booleans())
    def reject(self, name: str, is_full: bool) -> None:
        letter = DeadLetterRow(
            id=self.next(),
            sensor="s",
            event_id=name,
            reason="bad",
            detail="",
            raw=b"",
            created_at=0,
        )
        self.disk.is_full = lambda: is_full
        if is_full:
            with pytest.raises(StoreFullError):
                self.run(self._reject(letter, {"at": b"never"}))
            self.disk.is_full = lambda: False
        else:
            assert self.run(self._reject(letter, {})) == [name not in self.rejected]
            self.rejected.add(name)

    async def _reject(self, letter: DeadLetterRow, cursor: dict[str, bytes | None]) -> list[bool]:
        return await self.store.accept(Offer(rejected=[letter]), "s", cursor)

    def _in(self, *states: str) -> list[int]:
        return [number for number, run in self.runs.items() if run.state in states]

    @precondition(lambda self: self._in("pending", "waiting"))
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        runs = data.draw(st.lists(st.sampled_from(self._in("pending", "waiting")), unique=True))
        self.run(self.store.start_runs(runs, 5))
        for run in runs:
            self.runs[run].state = "running"

    @precondition(lambda self: self._in("running"))
    @rule(data=st.data(), name=st.sampled_from("abc"), ends=st.booleans(), cut=st.booleans())
    def finish(self, data: st.DataObject, name: str, ends: bool, cut: bool) -> None:
        number = data.draw(st.sampled_from(self._in("running")))
        run = self.runs[number]
        row = step_row(number, name, b"%d" % self.next())
        rest = [RunEnd(number, "succeeded", 9, None)] if ends else []

        async def finish() -> None:
            if not cut:
                return await self.store.finish_steps([row], rest)
            # A caller that is gone: its write is done, or not, and never half.
            caller = asyncio.ensure_future(self.store.finish_steps([row], rest))
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            return await self.store.move_cursor("other", {})

        if name in run.steps and not cut:
            with pytest.raises(StoreError):
                self.run(finish())
        else:
            self.run(finish())
            if name not in run.steps:
                run.steps[name] = row.result or b""
                run.state = "finished" if ends else run.state

    @precondition(lambda self: self._in("running"))
    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self._in("running")))
        attempt = AttemptRow(number, "z", self.next(), "failed", 0, 1, "boom", 9)
        self.run(self.store.record_attempt(attempt, is_waiting=True))
        self.runs[number].state = "waiting"

    @rule()
    def die(self) -> None:
        self.store = self.run(self._open())
        parked = self.run(self.store.count_deaths(most=MOST_DEATHS, at=self.next()))
        expected = set()
        for number, run in self.runs.items():
            if run.state == "running":
                run.deaths += 1
                if run.deaths >= MOST_DEATHS:
                    expected.add(number)
            elif run.state in ("pending", "waiting"):
                run.deaths = 0
            if run.state != "finished":
                run.state = "finished" if number in expected else "pending"
        assert {letter.run for letter in parked} == expected

    @rule()
    def release(self) -> None:
        self.run(self.store.release_runs())
        for number in self._in("running", "waiting"):
            self.runs[number].state = "pending"

    @rule()
    def redrive(self) -> None:
        for letter in self.run(self.store.dead_letters(ids=None, reason="process_died")):
            assert self.run(self.store.redrive(letter, None, 1))
            assert not self.run(self.store.redrive(letter, None, 1))
            run = self.runs[letter.run or 0]
            run.state, run.deaths = "pending", 0

    @invariant()
    def runs_are_the_same(self) -> None:
        loaded = {run.id: run for run in self.run(self.store.load_runs([*self.runs]))}
        assert loaded.keys() == self.runs.keys()
        for number, run in self.runs.items():
            stored = loaded[number]
            assert (stored.state, stored.key, stored.event.seq) == (run.state, run.key, run.event)
            assert {step.name: step.result for step in stored.steps} == run.steps

    @invariant()
    def pending_rows_are_the_same(self) -> None:
        pending = self._in("pending")
        counts = self.run(self.store.pending_counts())
        for workflow in WORKFLOWS:
            mine = sorted(number for number in pending if self.runs[number].workflow == workflow)
            assert counts.get(workflow, 0) == len(mine)
            rows = self.run(self.store.pending_runs(workflow, 0, 1000))
            assert [row.id for row in rows] == mine
            heads: dict[str, int] = {}
            for number in mine:
                key = self.runs[number].key
                if key is not None:
                    heads.setdefault(key, number)
            found = self.run(self.store.pending_heads(workflow, "", 1000))
            assert [(row.key, row.id) for row in found] == sorted(heads.items())

    @invariant()
    def events_are_the_same(self) -> None:
        for name, seq in self.events.items():
            event = self.run(self.store.event(seq))
            assert event is not None
            assert (event.seq, event.id) == (seq, name)
        ids = self.disk.rows("SELECT seq, id FROM event ORDER BY seq")
        assert ids == sorted((seq, name) for name, seq in self.events.items())

    @invariant()
    def the_cursor_is_the_same(self) -> None:
        assert self.run(self.store.cursor("s")) == self.cursor


@pytest.mark.timeout(180)
def test_any_sequence_of_calls_leaves_the_store_as_the_model() -> None:
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[*HealthCheck],
        ),
    )
