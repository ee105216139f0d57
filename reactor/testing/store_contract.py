"""What every store must do. A store's tests inherit `StoreContract` and give it the fixture `open_store`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reactor.errors import StoreError
from reactor.store.contract import (
    AttemptRow,
    Backlog,
    BatchRow,
    DeadLetterRow,
    EventRow,
    Offer,
    OpenBatch,
    OutgoingRow,
    Retention,
    RunEnd,
    RunRow,
    StepRow,
)
from reactor.store.outgoing import lane_of, letter_of
from reactor.testing.block_contract import BlockContract
from reactor.testing.block_contract import OpenStore as OpenStore

if TYPE_CHECKING:
    from reactor.store.contract import RunState, Store


LANE = lane_of("o", "{}", "l")


def event_row(seq: int, *, id: str | None = None, sensor: str = "s", at: int = 0) -> EventRow:  # noqa: A002  # its name
    """Return an event that differs from others by `seq`."""
    return EventRow(seq, sensor, id or str(seq), sensor, "type", None, at, at, b'{"n":1}', "[]")


def run_row(
    run: int,
    event: int,
    *,
    workflow: str = "w",
    key: str | None = None,
    state: RunState = "pending",
) -> RunRow:
    """Return a run of an event."""
    return RunRow(run, workflow, event, key, state, 0, 0 if state == "running" else None)


def step_row(run: int, name: str = "a", result: bytes = b"1") -> StepRow:
    """Return the success of a step."""
    return StepRow(run, name, "succeeded", 1, 0, 1, result, None)


def outgoing_row(run: int, part: int, *, lane: str = "l", payload: bytes = b"x") -> OutgoingRow:
    """Return what step `a` of a run emitted, to the target that is named like the lane."""
    name = lane_of("o", "{}", lane)
    return OutgoingRow(0, name, "w", run, "a", part, "o", "{}", lane, b"k", "{}", payload, 5)


async def add(store: Store, seq: int, *runs: RunRow) -> bool:
    """Accept one event with its runs; return whether it was new."""
    return (await store.accept(Offer([event_row(seq)], runs), "s", {}))[0]


class StoreContract(BlockContract):
    """Inherit, define the fixture `open_store`, and run pytest."""

    async def test_an_event_is_new_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = Offer([event_row(1, id="x")], [run_row(2, 1)])
        again = Offer([event_row(3, id="x")], [run_row(4, 3)])
        assert await store.accept(first, "s", {}) == [True]
        assert await store.accept(again, "s", {}) == [False]
        assert await store.pending_counts() == {"w": 1}

    async def test_one_call_sorts_new_events_from_known_ones(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add(store, 1)
        offer = Offer(
            [event_row(2, id="1"), event_row(3), event_row(4, id="3")],
            [run_row(10, 2), run_row(11, 3), run_row(12, 4)],
        )
        assert await store.accept(offer, "s", {}) == [False, True, False]
        assert [run.id for run in await store.pending_runs("w", 0, 10)] == [11]

    async def test_a_cursor_moves_with_its_events(self, open_store: OpenStore) -> None:
        store = await open_store()
        await store.accept(Offer([event_row(1)]), "s", {"a": b"1", "b": b"2"})
        await store.accept(Offer([event_row(2)]), "s", {"a": None, "b": b"3"})
        assert await store.cursor("s") == {"b": b"3"}
        assert await store.cursor("other") == {}

    async def test_what_was_written_is_there_after_opening_again(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, key="k"))
        store = await open_store()
        (run,) = await store.load_runs([2])
        assert (run.workflow, run.key, run.state, run.event.data) == (
            "w",
            "k",
            "pending",
            b'{"n":1}',
        )
        assert await store.largest_id() == 2

    async def test_a_step_ends_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        await store.finish_steps([step_row(2, result=b"1")])
        with pytest.raises(StoreError):
            await store.finish_steps([step_row(2, result=b"2")])
        (run,) = await store.load_runs([2])
        assert [step.result for step in run.steps] == [b"1"]

    async def test_a_write_that_fails_takes_no_other_with_it(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        await store.finish_steps([step_row(2)])
        with pytest.raises(StoreError):
            await store.finish_steps([step_row(2), step_row(2, "b")])
        await store.finish_steps([step_row(2, "c")])
        (run,) = await store.load_runs([2])
        assert [step.name for step in run.steps] == ["a", "c"]

    async def test_a_finished_run_is_no_longer_in_flight(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        await store.finish_steps([step_row(2)], [RunEnd(2, "succeeded", 5, None)])
        assert await store.count_deaths(most=1, at=6) == []
        (run,) = await store.load_runs([2])
        assert run.state == "finished"

    async def test_a_run_in_flight_at_a_death_resumes_with_its_results(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        await store.finish_steps([step_row(2)])
        assert await store.count_deaths(most=3, at=1) == []
        assert await store.pending_counts() == {"w": 1}
        (run,) = await store.load_runs([2])
        assert (run.deaths, [step.name for step in run.steps]) == (1, ["a"])

    async def test_a_run_in_flight_at_too_many_deaths_is_parked(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        for at in (1, 2):
            assert await store.count_deaths(most=3, at=at) == []
            await store.start_runs([2], at)
        (letter,) = await store.count_deaths(most=3, at=3)
        assert (letter.run, letter.reason) == (2, "process_died")
        assert await store.pending_counts() == {}

    async def test_only_deaths_in_a_row_count(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        for at in (1, 2, 3, 4):
            assert await store.count_deaths(most=2, at=at) == []
            if at % 2 == 0:
                # The death before this one found it waiting for its turn.
                await store.start_runs([2], at)
        (run,) = await store.load_runs([2])
        assert run.deaths <= 1

    async def test_a_run_that_waits_for_a_retry_did_not_cause_a_death(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        attempt = AttemptRow(2, "a", 1, "failed", 0, 1, "boom", 99)
        await store.record_attempt(attempt, is_waiting=True)
        assert await store.count_deaths(most=1, at=1) == []
        (run,) = await store.load_runs([2])
        assert (run.deaths, run.state, run.attempts) == (0, "pending", [attempt])

    async def test_releasing_counts_no_death(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        await store.release_runs()
        (run,) = await store.load_runs([2])
        assert (run.deaths, run.state) == (0, "pending")

    async def test_pending_runs_come_in_order_and_in_parts(self, open_store: OpenStore) -> None:
        store = await open_store()
        for seq in range(1, 6):
            await add(store, seq, run_row(10 + seq, seq))
        assert [run.id for run in await store.pending_runs("w", 0, 2)] == [11, 12]
        assert [run.id for run in await store.pending_runs("w", 12, 9)] == [13, 14, 15]

    async def test_each_key_shows_its_oldest_run(self, open_store: OpenStore) -> None:
        store = await open_store()
        for seq, key in enumerate(("b", "a", "b", "c", "a"), start=1):
            await add(store, seq, run_row(10 + seq, seq, key=key))
        heads = await store.pending_heads("w", "", 10)
        assert [(run.key, run.id) for run in heads] == [("a", 12), ("b", 11), ("c", 14)]
        assert [run.key for run in await store.pending_heads("w", "a", 1)] == ["b"]

    async def test_gathered_events_are_found_until_their_batch_is_there(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        assert await store.open_batch("w", ["s"], 10, 9) is None
        for seq, workflow in ((11, "w"), (12, "other"), (13, "w"), (14, "w")):
            decisions = f'[["{workflow}","gathered","batch",""]]'
            row = event_row(seq, at=seq)._replace(decisions=decisions)
            await store.accept(Offer([row]), "s", {})
        store = await open_store()
        # Where a workflow's batches begin is kept from the first call.
        found = await store.open_batch("w", ["s"], 13, 9)
        assert found == OpenBatch(count=3, first=11, last=14, oldest_at=11)
        assert await store.open_batch("w", ["t"], 13, 9) is None
        await store.add_batches([BatchRow(20, "w", 11, 13, 99)])
        found = await store.open_batch("w", ["s"], 0, 9)
        assert found == OpenBatch(count=1, first=14, last=14, oldest_at=14)
        (run,) = await store.load_runs([20])
        assert [event.seq for event in run.batch] == [11, 13]
        assert await store.pending_counts() == {"w": 1}

    async def test_no_id_is_below_where_batches_begin(self, open_store: OpenStore) -> None:
        store = await open_store()
        await store.open_batch("w", ["s"], 99, 9)
        assert await store.largest_id() == 99
        store = await open_store()
        assert await store.largest_id() == 99

    async def test_of_more_events_than_a_batch_may_hold_the_first_are_found(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        assert await store.open_batch("w", ["s"], 10, 9) is None
        for seq in (11, 12, 13):
            decisions = '[["w","gathered","batch",""]]'
            row = event_row(seq, at=seq)._replace(decisions=decisions)
            await store.accept(Offer([row]), "s", {})
        found = await store.open_batch("w", ["s"], 0, 2)
        assert found == OpenBatch(count=2, first=11, last=12, oldest_at=11)

    async def test_pending_runs_are_counted_up_to_an_id(self, open_store: OpenStore) -> None:
        store = await open_store()
        for seq in (1, 2, 3):
            await add(store, seq, run_row(10 + seq, seq))
        assert await store.pending_counts(below=13) == {"w": 2}

    async def test_rejected_input_is_kept_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        letter = DeadLetterRow(
            id=1, sensor="s", event_id="x", reason="not_json", detail="", raw=b"\xff", created_at=0
        )
        assert await store.accept(Offer(rejected=[letter]), "s", {"c": b"1"}) == [True]
        again = Offer(rejected=[replace(letter, id=2), replace(letter, id=3, event_id="y")] * 2)
        assert await store.accept(again, "s", {"c": b"2"}) == [False, True, False, False]
        kept = await store.dead_letters(ids=None, reason="not_json")
        assert [(one.id, one.event_id, one.raw) for one in kept] == [
            (1, "x", b"\xff"),
            (3, "y", b"\xff"),
        ]
        assert await store.cursor("s") == {"c": b"2"}

    async def test_what_is_rejected_stands_behind_the_events_it_came_with(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        letter = DeadLetterRow(
            id=9, sensor="s", event_id="x", reason="not_json", detail="", raw=b"{", created_at=0
        )
        await store.accept(Offer([event_row(1, id="a")]), "s", {})
        events = [event_row(2, id="a"), event_row(3, id="b")]
        offer = Offer(events, [run_row(7, 2), run_row(8, 3)], rejected=[letter])
        assert await store.accept(offer, "s", {"c": b"1"}) == [False, True, True]
        assert await store.pending_counts() == {"w": 1}
        assert len(await store.dead_letters(ids=None, reason=None)) == 1

    async def test_a_skipped_occurrence_is_kept_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        assert await store.skip("s", "noon", "missed", 0, {"last": b"noon"})
        assert not await store.skip("s", "noon", "missed", 0, {})
        assert await store.cursor("s") == {"last": b"noon"}

    async def test_a_parked_run_is_redriven_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        (letter,) = await store.count_deaths(most=1, at=1)
        assert await store.redrive(letter, None, 2)
        assert not await store.redrive(letter, None, 3)
        assert await store.pending_counts() == {"w": 1}
        assert await store.dead_letters(ids=None, reason=None) == []

    async def test_retention_removes_what_is_settled_and_nothing_else(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add(store, 1, run_row(11, 1, state="running"))
        await add(store, 2, run_row(12, 2))
        await add(store, 3)
        await store.finish_steps([step_row(11)], [RunEnd(11, "succeeded", 5, None)])
        assert await store.remove_settled(Retention(before=100, limit=10)) == 2
        assert await store.event(1) is None
        assert await store.event(2) is not None
        assert await store.event(3) is None

    async def test_retention_keeps_what_finished_late(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add(store, 1, run_row(11, 1, state="running"))
        await store.finish_steps([step_row(11)], [RunEnd(11, "succeeded", 500, None)])
        assert await store.remove_settled(Retention(before=100, limit=10)) == 0

    async def test_what_a_step_emits_is_in_the_outbox_with_its_result(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        emitted = [outgoing_row(2, 1), outgoing_row(2, 2), outgoing_row(2, 3, lane="m")]
        await store.finish_steps([step_row(2)], [RunEnd(2, "succeeded", 5, None)], emitted)
        store = await open_store()
        backlogs = sorted(await store.outbox_backlogs(), key=lambda one: one.target)
        assert backlogs == [
            Backlog(LANE, "w", 2, "o", "{}", "l"),
            Backlog(lane_of("o", "{}", "m"), "w", 1, "o", "{}", "m"),
        ]
        rows = await store.outbox_window(LANE, rows=10, size_bytes=100)
        ids = [row.id for row in rows]
        assert ids == sorted(ids)
        assert [replace(row, id=0) for row in rows] == emitted[:2]

    async def test_a_result_that_is_refused_takes_what_it_emitted_with_it(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        await store.finish_steps([step_row(2)])
        with pytest.raises(StoreError):
            await store.finish_steps([step_row(2)], (), [outgoing_row(2, 1)])
        assert await store.outbox_backlogs() == []

    async def test_a_window_of_the_outbox_is_bounded_in_rows_and_bytes(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        sizes = (50, 30, 30, 30)
        emitted = [outgoing_row(2, n, payload=b"x" * size) for n, size in enumerate(sizes)]
        await store.finish_steps([step_row(2)], (), emitted)
        for rows, size_bytes, expected in ((2, 1000, 2), (9, 80, 2), (9, 79, 1), (9, 1, 1)):
            found = await store.outbox_window(LANE, rows=rows, size_bytes=size_bytes)
            assert [row.part for row in found] == [*range(expected)]

    async def test_what_was_delivered_leaves_the_outbox_and_its_id_is_not_used_again(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        await store.finish_steps([step_row(2)], (), [outgoing_row(2, 1)])
        (first,) = await store.outbox_window(LANE, rows=9, size_bytes=9)
        await store.delivered([first.id])
        await store.delivered([first.id])
        assert await store.outbox_backlogs() == []
        await store.finish_steps([step_row(2, "b")], (), [outgoing_row(2, 1)])
        (second,) = await store.outbox_window(LANE, rows=9, size_bytes=9)
        assert second.id > first.id

    async def test_what_cannot_be_delivered_is_parked_and_redriven_once(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        await store.finish_steps([step_row(2)], (), [outgoing_row(2, 1, payload=b"\xff")])
        (row,) = await store.outbox_window(LANE, rows=9, size_bytes=9)
        made = letter_of(row, id=9, reason="undeliverable", detail="no", at=7)
        assert await store.park_outgoing(row.id, made)
        assert not await store.park_outgoing(row.id, replace(made, id=10))
        assert await store.outbox_backlogs() == []
        (letter,) = await store.dead_letters(ids=None, reason="undeliverable")
        assert letter == made
        assert letter.raw == b"\xff"
        assert await store.redrive(letter, None, 8)
        assert not await store.redrive(letter, None, 8)
        (again,) = await store.outbox_window(LANE, rows=9, size_bytes=9)
        assert replace(again, id=row.id, created_at=row.created_at) == row

    async def test_retention_leaves_the_outbox_alone(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add(store, 1, run_row(2, 1, state="running"))
        end = RunEnd(2, "succeeded", 5, None)
        await store.finish_steps([step_row(2)], [end], [outgoing_row(2, 1)])
        assert await store.remove_settled(Retention(before=100, limit=10)) == 1
        assert len(await store.outbox_window(LANE, rows=9, size_bytes=9)) == 1
