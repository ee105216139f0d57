"""Batches: one run for many events, whole whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from reactor import Event, Workflow
from reactor.api import DefinitionError, Sensor
from reactor.engine import gathering
from reactor.model.graph import compile_workflow
from reactor.model.ids import spell_id
from reactor.store.contract import BatchRow, DeadLetterRow, Offer, Retention, StoredRun
from reactor.testing.harness import Harness, harness

pytestmark = pytest.mark.virtual_time


class Source(Sensor):
    kind = "source"

    def revive(self, raw: bytes, *, event_id: str, subject: str | None, at: datetime) -> Event[int]:
        return Event(id=event_id, source="s", type="t", time=at, data=int(raw))


SOURCE = Source(name="s")


def summing(size: int, within: str, got: list[list[int]], **options: Any) -> Workflow:
    """Return a workflow that notes the numbers of each batch."""
    flow = Workflow("flow", on=SOURCE.batch(size, within=within), **options)

    @flow.step
    async def add(events: list[Event[int]]) -> int:
        got.append([event.data for event in events])
        return sum(event.data for event in events)

    return flow


async def fire(h: Harness, *numbers: int) -> None:
    for number in numbers:
        await h.fire("s", number, id=str(number))


async def test_a_full_batch_starts_at_once(tmp_path: Path) -> None:
    got: list[list[int]] = []
    loop = asyncio.get_running_loop()
    async with harness(summing(3, "1h", got), state=tmp_path) as h:
        began = loop.time()
        await fire(h, 1, 2, 3, 4, 5, 6, 7)
        await h.wait_for_ends(2)
        assert loop.time() - began < 1
    assert got == [[1, 2, 3], [4, 5, 6]]


async def test_a_batch_that_is_not_full_starts_after_its_time(tmp_path: Path) -> None:
    got: list[list[int]] = []
    loop = asyncio.get_running_loop()
    async with harness(summing(100, "10s", got), state=tmp_path) as h:
        began = loop.time()
        await fire(h, 1)
        await asyncio.sleep(7)
        await fire(h, 2)
        (end,) = await h.wait_for_ends(1)
        assert 10 <= loop.time() - began < 11
        stored = await h.stored(end.run_id)
    assert got == [[1, 2]]
    assert [step.result for step in stored.steps] == [b"3"]


async def test_events_in_one_accept_fill_batches_too(tmp_path: Path) -> None:
    got: list[list[int]] = []
    async with harness(summing(4, "5s", got), state=tmp_path) as h:
        now = h.engine.clock.now()
        events = [Event(id=str(n), source="s", type="t", time=now, data=n) for n in range(10)]
        await h.engine.accept("s", events, {}, wait=True)
        await h.wait_for_ends(3)
    assert sorted(got) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("most_kept", [100, 3])
async def test_only_batches_that_are_not_all_at_hand_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_kept: int
) -> None:
    got: list[list[int]] = []
    read: list[int] = []
    monkeypatch.setattr(gathering, "MOST_KEPT", most_kept)
    async with harness(summing(2, "1h", got, concurrency=1), state=tmp_path) as h:
        load = h.engine.store.load_runs

        async def load_runs(runs: Sequence[int]) -> list[StoredRun]:
            read.extend(runs)
            return await load(runs)

        monkeypatch.setattr(h.engine.store, "load_runs", load_runs)
        now = h.engine.clock.now()
        events = [Event(id=str(n), source="s", type="t", time=now, data=n) for n in range(6)]
        await h.engine.accept("s", events, {}, wait=True)
        await h.wait_for_ends(3)
        # Room again, and nothing left of what was let go.
        await fire(h, 6, 7)
        await h.wait_for_ends(4)
    assert got == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert len(read) == (0 if most_kept == 100 else 2)


async def test_events_at_hand_are_read_again_after_a_reload(tmp_path: Path) -> None:
    got: list[list[int]] = []
    flow = summing(3, "1h", got)
    async with harness(flow, state=tmp_path) as h:
        await fire(h, 1, 2)
        graph, _ = compile_workflow(flow)
        assert graph is not None
        h.engine.define([graph], {"s": SOURCE})
        await fire(h, 3)
        await h.wait_for_ends(1)
    assert got == [[1, 2, 3]]


@pytest.mark.parametrize("before", [0, 1, 2, 3])
async def test_a_redriven_event_is_in_one_batch_in_its_turn(tmp_path: Path, before: int) -> None:
    got: list[list[int]] = []
    async with harness(summing(3, "5s", got), state=tmp_path) as h:
        letter = DeadLetterRow(
            id=h.engine.clock.next_id(),
            sensor="s",
            event_id="9",
            reason="not_json",
            detail="",
            raw=b"9",
            created_at=1,
        )
        await h.engine.store.accept(Offer(rejected=[letter]), "s", {})
        await fire(h, *range(before))
        assert await h.engine.redrive(letter, SOURCE) is None
        await fire(h, *range(before, 4))
        await h.wait_for_ends(2)
    numbers = [*range(before), 9, *range(before, 4)]
    assert got == [numbers[:3], numbers[3:]]


async def test_an_event_whose_trigger_failed_is_refused_by_a_workflow_of_batches(
    tmp_path: Path,
) -> None:
    """It was settled once, and no batch ever had it."""
    got: list[list[int]] = []
    is_mended = False

    def is_wanted(event: Event[int]) -> bool:
        if not is_mended:
            raise LookupError("not mended")
        return True

    flow = Workflow("flow", on=SOURCE.where(is_wanted).batch(2, within="5s"))

    @flow.step
    async def add(events: list[Event[int]]) -> None:
        got.append([event.data for event in events])

    async with harness(flow, state=tmp_path) as h:
        await fire(h, 1)
        is_mended = True
        (letter,) = await h.engine.store.dead_letters(ids=None, reason=None)
        refusal = await h.engine.redrive(letter, SOURCE)
        assert refusal is not None
        assert "gathers batches" in refusal
        assert len(await h.engine.store.dead_letters(ids=None, reason=None)) == 1
        await fire(h, 2, 3)
        await h.wait_for_ends(1)
    assert got == [[2, 3]]


async def test_a_repeated_event_is_in_one_batch_once(tmp_path: Path) -> None:
    got: list[list[int]] = []
    async with harness(summing(3, "5s", got), state=tmp_path) as h:
        await fire(h, 1, 1, 2, 2, 1, 3)
        await h.wait_for_ends(1)
    assert got == [[1, 2, 3]]


async def test_what_was_gathered_before_a_restart_goes_with_what_comes_after(
    tmp_path: Path,
) -> None:
    got: list[list[int]] = []
    flow = summing(4, "1h", got)
    async with harness(flow, state=tmp_path) as h:
        await fire(h, 1, 2, 3, 4, 5, 6)
        await h.wait_for_ends(1)
    async with harness(flow, state=tmp_path) as h:
        await fire(h, 7, 8)
        await h.wait_for_ends(1)
    assert got == [[1, 2, 3, 4], [5, 6, 7, 8]]


async def test_time_goes_on_while_the_daemon_is_down(tmp_path: Path) -> None:
    got: list[list[int]] = []
    flow = summing(100, "10s", got)
    async with harness(flow, state=tmp_path) as h:
        clock = h.engine.clock
        await fire(h, 1, 2)
        await asyncio.sleep(6)
    await asyncio.sleep(3)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with harness(flow, state=tmp_path, clock=clock) as h:
        await h.wait_for_ends(1)
        assert loop.time() - began < 2
    assert got == [[1, 2]]


async def test_a_batch_cut_off_is_resumed_with_all_its_events(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE.batch(2, within="1h"))
    got: list[list[int]] = []
    is_at_second = asyncio.Event()

    @flow.step
    async def first(events: list[Event[int]]) -> int:
        got.append([event.data for event in events])
        return len(events)

    @flow.step
    async def second(first: int, events: list[Event[int]]) -> int:
        got.append([event.data for event in events])
        if len(got) == 2:
            is_at_second.set()
            await asyncio.sleep(3600)
        return first

    async with harness(flow, state=tmp_path, drain_seconds=0) as h:
        await fire(h, 1, 2)
        await is_at_second.wait()
    async with harness(flow, state=tmp_path) as h:
        await h.wait_for_ends(1)
    assert got == [[1, 2]] * 3


async def test_only_events_that_match_are_gathered(tmp_path: Path) -> None:
    got: list[list[int]] = []
    trigger = SOURCE.where(lambda e: e.data % 2 == 0).batch(2, within="1h")
    flow = Workflow("flow", on=trigger)
    other = Workflow("other", on=SOURCE)

    @flow.step
    async def even(events: list[Event[int]]) -> None:
        got.append([event.data for event in events])

    @other.step
    async def each(event: Event[int]) -> None: ...

    async with harness(flow, other, state=tmp_path) as h:
        await fire(h, 1, 2, 3, 4, 5)
        await h.wait_for_ends(1, "flow")
        assert len(await h.wait_for_ends(5, "other")) == 5
    assert got == [[2, 4]]


async def test_a_workflow_that_comes_back_finds_what_it_had_gathered(tmp_path: Path) -> None:
    got: list[list[int]] = []
    flow = summing(3, "1h", got)
    async with harness(flow, state=tmp_path) as h:
        await fire(h, 1, 2)
        graph, _ = compile_workflow(flow)
        assert graph is not None
        h.engine.define([], {})
        await h.engine.take_over_pending()
        h.engine.define([graph], {"s": SOURCE})
        # Accepted before the store was read again.
        await fire(h, 3)
        await h.engine.take_over_pending()
        await h.wait_for_ends(1)
    assert got == [[1, 2, 3]]


async def test_no_batch_is_too_large_after_a_death_before_a_full_one_was_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[list[int]] = []

    async def never(rows: Sequence[BatchRow]) -> None:
        await asyncio.Event().wait()

    async with harness(summing(2, "1h", got), state=tmp_path, drain_seconds=0.0) as h:
        monkeypatch.setattr(h.engine.store, "add_batches", never)
        await fire(h, 1, 2, 3)
    async with harness(summing(2, "1h", got), state=tmp_path) as h:
        await h.wait_for_ends(1)
        await fire(h, 4)
        await h.wait_for_ends(2)
    assert got == [[1, 2], [3, 4]]


async def test_a_batch_starts_with_its_row_where_there_is_room_and_waits_in_order_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[list[int]] = []
    started: list[int] = []
    async with harness(summing(1, "1h", got, concurrency=2), state=tmp_path) as h:
        start = h.engine.store.start_runs

        async def start_runs(runs: Sequence[int], at: int) -> None:
            started.extend(runs)
            await start(runs, at)

        monkeypatch.setattr(h.engine.store, "start_runs", start_runs)
        now = h.engine.clock.now()
        events = [Event(id=str(n), source="s", type="t", time=now, data=n) for n in range(5)]
        await h.engine.accept("s", events, {}, wait=True)
        ends = await h.wait_for_ends(5)
    assert sorted(got[:2]) == [[0], [1]]
    assert got[2:] == [[2], [3], [4]]
    assert len(started) == 3
    assert {*map(spell_id, started)} < {end.run_id for end in ends}


async def test_a_batch_that_has_its_place_is_read_where_the_project_was_read_again_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[list[int]] = []
    flow = summing(2, "1h", got)
    graph, _ = compile_workflow(flow)
    assert graph is not None
    async with harness(flow, state=tmp_path) as h:
        add = h.engine.store.add_batches

        async def reload_and_add(rows: Sequence[BatchRow]) -> None:
            assert [row.started_at is None for row in rows] == [False]
            h.engine.define([graph], {"s": SOURCE})
            await add(rows)

        monkeypatch.setattr(h.engine.store, "add_batches", reload_and_add)
        await fire(h, 1, 2)
        await h.wait_for_ends(1)
    assert got == [[1, 2]]


@pytest.mark.parametrize("count", [15, 16])
async def test_many_numbered_events_that_only_wait_are_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    got: list[list[int]] = []
    offers: list[Offer] = []
    async with harness(summing(count, "1h", got), state=tmp_path) as h:
        accept = h.engine.store.accept

        def look(offer: Offer, *others: Any) -> Any:
            offers.append(offer)
            return accept(offer, *others)

        monkeypatch.setattr(h.engine.store, "accept", look)
        now = h.engine.clock.now()
        events = [
            Event(id=f"e{n}", source="s", type="t", time=now, data=n)
            for n in range(100, 100 + count)
        ]
        answers = await h.engine.accept("s", events, {}, wait=True)
        again = await h.engine.accept("s", events, {}, wait=True)
        await h.wait_for_ends(1)
    assert got == [[*range(100, 100 + count)]]
    assert [len(offer.blocks) for offer in offers] == [int(count == 16)] * 2
    assert [answer.event_id for answer in answers] == [event.id for event in events]
    assert {answer.duplicate for answer in answers} == {False}
    assert {answer.duplicate for answer in again} == {True}


async def test_retention_keeps_the_events_of_a_batch_that_waits(tmp_path: Path) -> None:
    got: list[list[int]] = []
    async with harness(summing(2, "1h", got), state=tmp_path) as h:
        h.engine.scheduler.is_draining = True
        await fire(h, 1, 2)
        await asyncio.sleep(1)
        far = h.engine.clock.now_micros() * 2
        assert await h.engine.store.remove_settled(Retention(before=far, limit=10)) == 0
        h.engine.scheduler.is_draining = False
        h.engine.kick()
        await h.wait_for_ends(1)
        assert await h.engine.store.remove_settled(Retention(before=far, limit=10)) == 2
    assert got == [[1, 2]]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Workflow("w", on=[SOURCE.batch(2, within="1s"), Source(name="t")]), "all of its"),
        (lambda: Workflow("w", on=SOURCE.key("data").batch(2, within="1s")), "has no key"),
        (lambda: Workflow("w", on=SOURCE.batch(2, within="1s"), key="data"), "has no key"),
    ],
)
def test_what_does_not_go_with_a_batch_is_a_fault(make: Callable[[], Workflow], said: str) -> None:
    flow = make()

    @flow.step
    async def step() -> None: ...

    _, faults = compile_workflow(flow)
    assert said in str(faults[0])


def test_a_step_takes_the_events_of_a_batch_and_no_other() -> None:
    batch = Workflow("batch", on=SOURCE.batch(2, within="1s"))
    single = Workflow("single", on=SOURCE)

    @batch.step
    async def one(event: Event[int]) -> None: ...

    @single.step
    async def many(events: list[Event[int]]) -> None: ...

    assert "take 'events', not 'event'" in str(compile_workflow(batch)[1][0])
    assert "take 'event', not 'events'" in str(compile_workflow(single)[1][0])


@pytest.mark.parametrize(("size", "within"), [(0, "1s"), (True, "1s"), (10_001, "1s")])
def test_a_size_that_cannot_be_meant_is_refused(size: int, within: str) -> None:
    with pytest.raises(DefinitionError, match="takes a size from 1 to 10,000"):
        SOURCE.batch(size, within=within)
