"""What every store must do with events that come in blocks. Part of `StoreContract`, which inherits it."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from itertools import cycle, islice
from typing import TYPE_CHECKING, Protocol

import pytest

from reactor.store.contract import (
    BatchRow,
    DeadLetterRow,
    EventBlock,
    EventRow,
    Offer,
    OpenBatch,
    Retention,
    RunEnd,
    RunRow,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reactor.store.contract import Store


# Of which the events of a block take turns. Their numbers have no common divisor: all pairs come up.
SUBJECTS = ("plain", None, "", "a\0b", "\0", "Grüße, ☃ and 𝄞")
DATA = (b'{"n":1}', b"", bytes(range(256)), b"\0", b"x" * 5_000)
GATHERED = '[["w","gathered","batch",""]]'
GATHERED_BY_ANOTHER = '[["other","gathered","batch",""]]'


class OpenStore(Protocol):
    """Opens the same store again and again; the one opened before is closed first."""

    async def __call__(self) -> Store: ...


def event_block(
    first: int,
    numbers: Sequence[int],
    *,
    series: str = "e/",
    source: str = "s",
    at: int = 0,
    decisions: str = "[]",
    subjects: Sequence[str | None] = SUBJECTS,
    data: Sequence[bytes] = DATA,
) -> EventBlock:
    """Return a block of which the events take turns at `subjects` and `data`."""
    return EventBlock(
        first=first,
        source=source,
        series=series,
        numbers=numbers,
        sensor="s",
        type="type",
        subjects=[*islice(cycle(subjects), len(numbers))],
        times=[at - number for number in numbers],
        accepted_at=at,
        data=[*islice(cycle(data), len(numbers))],
        decisions=decisions,
    )


def rows_in(block: EventBlock) -> list[EventRow]:
    """Return what a reader is to find of a block."""
    return [
        EventRow(
            seq=block.first + place,
            source=block.source,
            id=f"{block.series}{number}",
            sensor=block.sensor,
            type=block.type,
            subject=block.subjects[place],
            time=block.times[place],
            accepted_at=block.accepted_at,
            data=block.data[place],
            decisions=block.decisions,
        )
        for place, number in enumerate(block.numbers)
    ]


def single(
    seq: int,
    number: int,
    *,
    series: str = "e/",
    source: str = "s",
    at: int = 0,
    decisions: str = "[]",
) -> EventRow:
    """Return the event that `event_block` would make of the number, to come alone."""
    block = event_block(seq, [number], series=series, source=source, at=at, decisions=decisions)
    return rows_in(block)[0]


async def add_blocks(store: Store, *blocks: EventBlock) -> list[bool]:
    """Accept blocks in one call; return which of their events were new."""
    return await store.accept(Offer(blocks=blocks), "s", {})


async def add_singles(store: Store, *events: EventRow) -> list[bool]:
    """Accept events in one call, each by itself; return which were new."""
    return await store.accept(Offer(events), "s", {})


async def known(store: Store, seqs: Sequence[int]) -> list[int]:
    """Return those of the sequence numbers under which there is an event."""
    return [seq for seq in seqs if await store.event(seq) is not None]


async def reject(store: Store, id: int) -> DeadLetterRow:  # noqa: A002  # its name
    """Keep a dead letter of input that was no event; return it."""
    letter = DeadLetterRow(
        id=id, sensor="s", event_id="x", reason="bad", detail="", raw=b"", created_at=0
    )
    assert await store.accept(Offer(rejected=[letter]), "s", {}) == [True]
    return letter


async def gather_some(store: Store) -> list[EventRow]:
    """Accept what waits for a batch of `w`, from 1 to 4, 6, and from 11 to 14, and what does not; return the former."""
    first = event_block(1, [11, 12, 13, 14], at=3, decisions=GATHERED)
    others = event_block(7, [11, 12], series="o/", decisions=GATHERED_BY_ANOTHER)
    second = event_block(11, [15, 16, 17], at=5, decisions=GATHERED)
    alone = [single(seq, seq, series="f/", at=4, decisions=GATHERED) for seq in (6, 14)]
    for offer in (
        Offer(blocks=[first]),
        Offer([single(5, 5, decisions=GATHERED_BY_ANOTHER), alone[0]]),
        Offer(blocks=[others, second]),
        Offer([alone[1]]),
    ):
        assert all(await store.accept(offer, "s", {}))
    return sorted([*rows_in(first), *alone, *rows_in(second)])


class BlockContract:
    """Inherit, define the fixture `open_store`, and run pytest."""

    @pytest.fixture
    @abstractmethod
    def open_store(self) -> OpenStore: ...

    async def test_the_events_of_a_block_are_new_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        assert await add_blocks(store, event_block(1, [11, 12, 13])) == [True] * 3
        assert await add_blocks(store, event_block(4, [11, 12, 13])) == [False] * 3
        assert await known(store, range(8)) == [1, 2, 3]

    async def test_of_a_block_that_overlaps_another_the_rest_is_new(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [13, 14, 15]))
        behind = event_block(11, [14, 15, 16, 17])
        assert await add_blocks(store, behind) == [False, False, True, True]
        assert await add_blocks(store, event_block(21, [11, 12, 13])) == [True, True, False]
        assert await add_blocks(store, event_block(31, [*range(10, 20)])) == [
            *(True, False, False, False, False, False, False, False, True, True)
        ]
        assert [await store.event(seq) for seq in (12, 13)] == [None, rows_in(behind)[2]]

    async def test_two_blocks_of_one_call_may_overlap(self, open_store: OpenStore) -> None:
        store = await open_store()
        blocks = (event_block(1, [11, 12]), event_block(3, [12, 13]), event_block(5, [11, 13]))
        assert await add_blocks(store, *blocks) == [True, True, False, True, False, False]

    async def test_a_gap_in_a_block_is_filled_by_another(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [11, 14, 19]))
        assert await add_blocks(store, event_block(4, [12, 13, 15])) == [True] * 3
        assert await add_blocks(store, event_block(7, [*range(11, 20)])) == [
            *(False, False, False, False, False, True, True, True, False)
        ]

    async def test_an_event_that_came_alone_is_known_in_a_block(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add_singles(store, single(1, 12))
        assert await add_blocks(store, event_block(2, [11, 12, 13])) == [True, False, True]
        assert await add_singles(store, single(5, 11), single(6, 13)) == [False, False]

    async def test_an_event_of_a_block_is_known_when_it_comes_alone(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [11, 13]))
        again = [single(3, 11), single(4, 13), single(5, 11)]
        assert await add_singles(store, *again) == [False] * 3
        assert await known(store, range(6)) == [1, 2]

    @pytest.mark.parametrize(
        "stranger",
        [
            single(3, 12),
            single(3, 10),
            single(3, 14),
            single(3, 1),
            single(3, 113),
            single(3, 11, series="e"),
            single(3, 11, series="f/"),
            single(3, 11, source="t"),
            single(3, 0)._replace(id="e/"),
            single(3, 0)._replace(id="e/011"),
            single(3, 0)._replace(id="e/11/"),
        ],
    )
    async def test_an_event_that_is_only_like_those_of_a_block_is_new(
        self, open_store: OpenStore, stranger: EventRow
    ) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [11, 13]))
        assert await add_singles(store, stranger) == [True]
        assert await store.event(3) == stranger

    @pytest.mark.parametrize("number", [1, 12, 110, 1_100])
    async def test_a_block_is_new_where_only_ids_like_its_own_are_known(
        self, open_store: OpenStore, number: int
    ) -> None:
        store = await open_store()
        await add_singles(store, single(1, number))
        assert await add_blocks(store, event_block(2, [11, 13])) == [True, True]

    async def test_blocks_of_more_and_of_fewer_digits_do_not_hide_each_other(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        blocks = (event_block(1, [8, 9]), event_block(3, [10, 11]), event_block(5, [100, 800]))
        assert await add_blocks(store, *blocks) == [True] * 6
        assert await add_blocks(store, *blocks) == [False] * 6
        numbers = (7, 8, 9, 10, 11, 12, 99, 100, 800)
        alone = [single(10 + number, number) for number in numbers]
        assert await add_singles(store, *alone) == [
            *(True, False, False, False, False, True, True, False, False)
        ]

    async def test_the_same_numbers_of_another_source_or_series_are_new(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [11, 12]))
        others = event_block(3, [11, 12], source="t"), event_block(5, [11, 12], series="f/")
        assert await add_blocks(store, *others) == [True] * 4

    async def test_calls_at_the_same_time_take_each_event_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second, third = await asyncio.gather(
            add_blocks(store, event_block(1, [11, 12, 13])),
            add_blocks(store, event_block(11, [12, 13, 14])),
            add_singles(store, single(21, 11), single(22, 14), single(23, 15)),
        )
        assert first[0] + third[0] == 1
        assert (first[1:], second[:2]) == ([True, True], [False, False])
        assert second[2] + third[1] == 1
        assert third[2]
        assert len(await known(store, range(30))) == 5

    async def test_events_and_their_runs_come_along_with_blocks(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [11, 12]))
        offer = Offer(
            [single(11, 12), single(12, 13)],
            [RunRow(event + 10, "w", event, None, "pending", 0, None) for event in (11, 12)],
            blocks=[event_block(31, [13, 14]), event_block(33, [21])],
        )
        # Those of blocks come last.
        assert await store.accept(offer, "s", {}) == [False, True, False, True, True]
        assert [run.id for run in await store.pending_runs("w", 0, 9)] == [22]

    async def test_a_cursor_moves_with_a_block(self, open_store: OpenStore) -> None:
        store = await open_store()
        await store.accept(Offer(blocks=[event_block(1, [11])]), "s", {"a": b"1", "b": b"2"})
        await store.accept(Offer(blocks=[event_block(2, [12])]), "s", {"a": None, "b": b"3"})
        assert await store.cursor("s") == {"b": b"3"}

    async def test_the_last_event_of_a_block_may_have_the_largest_id(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add_singles(store, single(1, 1))
        await add_blocks(store, event_block(2, [11, 12, 15]))
        assert await store.largest_id() == 4

    async def test_each_event_of_a_block_is_read_as_it_came(self, open_store: OpenStore) -> None:
        store = await open_store()
        blocks = (event_block(1, [*range(10, 50)], at=7), event_block(41, [*range(51, 60)], at=8))
        await add_blocks(store, *blocks)
        expected = [None, *rows_in(blocks[0]), *rows_in(blocks[1]), None]
        for _ in range(2):
            assert [await store.event(seq) for seq in range(51)] == expected
            store = await open_store()

    async def test_what_is_left_of_a_block_is_read_as_it_came(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add_singles(store, single(1, 20))
        block = event_block(11, [*range(10, 50)])
        await add_blocks(store, block)
        expected = [row for row in rows_in(block) if row.id != "e/20"]
        assert [await store.event(row.seq) for row in expected] == expected

    @pytest.mark.parametrize("subject", SUBJECTS)
    async def test_events_that_are_all_alike_are_read_as_they_came(
        self, open_store: OpenStore, subject: str | None
    ) -> None:
        store = await open_store()
        block = event_block(1, [11, 12], subjects=[subject], data=[b""])
        await add_blocks(store, block)
        assert [await store.event(seq) for seq in (1, 2)] == rows_in(block)

    async def test_the_events_of_a_block_are_known_after_opening_again(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [11, 13]))
        store = await open_store()
        assert await add_singles(store, single(3, 12), single(4, 13)) == [True, False]
        assert await add_blocks(store, event_block(5, [13, 14])) == [False, True]

    async def test_a_batch_begins_and_ends_within_blocks(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [*range(1, 7)], at=7, decisions=GATHERED))
        assert await store.open_batch("w", ["s"], 2, 3) == OpenBatch(
            count=3, first=3, last=5, oldest_at=7
        )
        assert await store.open_batch("w", ["t"], 2, 3) is None
        assert await store.open_batch("w", ["s"], 0, 9) == OpenBatch(
            count=4, first=3, last=6, oldest_at=7
        )
        await store.add_batches([BatchRow(20, "w", 3, 5, 99)])
        assert await store.open_batch("w", ["s"], 0, 9) == OpenBatch(
            count=1, first=6, last=6, oldest_at=7
        )
        await store.add_batches([BatchRow(21, "w", 6, 6, 99)])
        assert await store.open_batch("w", ["s"], 0, 9) is None

    @pytest.mark.parametrize(
        ("most", "last"), [(1, 2), (2, 3), (3, 4), (4, 6), (5, 11), (7, 13), (8, 14), (99, 14)]
    )
    async def test_a_batch_counts_single_events_and_those_of_blocks_together(
        self, open_store: OpenStore, most: int, last: int
    ) -> None:
        store = await open_store()
        await gather_some(store)
        assert await store.open_batch("w", ["s"], 1, most) == OpenBatch(
            count=min(most, 8), first=2, last=last, oldest_at=3
        )

    async def test_a_batch_is_loaded_with_what_lies_between_its_ends_in_order(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        rows = await gather_some(store)
        await store.add_batches([BatchRow(20, "w", 1, 2, 99)])
        await store.add_batches([BatchRow(21, "w", 3, 12, 99)])
        await store.add_batches([BatchRow(22, "w", 13, 14, 99)])
        for _ in range(2):
            runs = await store.load_runs([20, 21, 22])
            assert [run.batch for run in runs] == [rows[:2], rows[2:7], rows[7:]]
            assert [run.event for run in runs] == [rows[0], rows[2], rows[7]]
            store = await open_store()

    async def test_a_batch_that_died_is_parked_with_its_first_event_and_redriven(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        block = event_block(1, [11, 12, 13], decisions=GATHERED)
        await add_blocks(store, block)
        await store.add_batches([BatchRow(20, "w", 3, 3, 0)])
        await store.start_runs([20], 1)
        (letter,) = await store.count_deaths(most=1, at=2)
        assert (letter.run, letter.event, letter.sensor) == (20, 3, "s")
        assert (letter.event_id, letter.raw) == ("e/13", block.data[2])
        assert await store.dead_letters(ids=None, reason="process_died") == [letter]
        assert await store.remove_settled(Retention(before=100, limit=9)) <= 2
        assert await store.redrive(letter, None, 3)
        (run,) = await store.load_runs([20])
        assert (run.state, run.batch) == ("pending", rows_in(block)[2:])

    async def test_a_run_may_be_added_to_an_event_of_a_block(self, open_store: OpenStore) -> None:
        store = await open_store()
        block = event_block(1, [11, 12], decisions=GATHERED)
        await add_blocks(store, block)
        await store.add_batches([BatchRow(20, "w", 2, 2, 0)])
        await store.start_runs([20], 1)
        (letter,) = await store.count_deaths(most=1, at=2)
        offer = Offer(runs=[RunRow(21, "v", 2, None, "pending", 3, None)])
        assert await store.redrive(letter, offer, 3)
        (run,) = await store.load_runs([21])
        assert (run.event, run.batch) == (rows_in(block)[1], ())

    async def test_an_event_of_a_block_is_known_when_it_comes_of_a_dead_letter(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [11, 12]))
        letter = await reject(store, 3)
        assert await store.redrive(letter, Offer([single(4, 12), single(5, 13)]), 1)
        assert await known(store, range(9)) == [1, 2, 5]

    async def test_retention_removes_the_events_of_blocks_and_counts_each(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add_singles(store, single(1, 1), single(2, 2, at=100))
        await add_blocks(store, event_block(3, [11, 12, 13], at=99))
        await add_blocks(store, event_block(6, [14, 15], at=100))
        assert await store.remove_settled(Retention(before=100, limit=10)) == 4
        assert await known(store, range(9)) == [2, 6, 7]
        assert await store.remove_settled(Retention(before=100, limit=10)) == 0

    async def test_retention_goes_on_until_all_blocks_are_gone(self, open_store: OpenStore) -> None:
        store = await open_store()
        for first in (11, 21, 31):
            await add_blocks(store, event_block(first, [first, first + 1, first + 2]))
        removed = []
        while count := await store.remove_settled(Retention(before=100, limit=2)):
            removed.append(count)
        assert sum(removed) == 9
        assert min(removed[:-1]) >= 2
        assert await known(store, range(40)) == []

    async def test_what_retention_removed_is_new_again(self, open_store: OpenStore) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [11, 12]))
        assert await store.remove_settled(Retention(before=100, limit=10)) == 2
        assert await add_singles(store, single(3, 11)) == [True]
        assert await add_blocks(store, event_block(4, [11, 12])) == [False, True]

    async def test_retention_keeps_the_events_of_a_batch_until_it_has_finished(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [11, 12, 13], decisions=GATHERED))
        await store.add_batches([BatchRow(20, "w", 2, 2, 0)])
        removed = await store.remove_settled(Retention(before=100, limit=9))
        assert 2 in await known(store, range(9))
        await store.start_runs([20], 1)
        await store.finish_steps([], [RunEnd(20, "succeeded", 5, None)])
        assert await store.remove_settled(Retention(before=5, limit=9)) == 0
        assert removed + await store.remove_settled(Retention(before=100, limit=9)) == 3
        assert await store.load_runs([20]) == []

    @pytest.mark.parametrize(("begin", "end"), [(2, 12), (2, 11), (3, 13), (1, 4), (4, 12)])
    async def test_retention_keeps_all_blocks_into_which_an_open_batch_reaches(
        self, open_store: OpenStore, begin: int, end: int
    ) -> None:
        store = await open_store()
        await add_blocks(store, event_block(1, [11, 12, 13], decisions=GATHERED))
        await add_singles(store, single(4, 4, decisions=GATHERED))
        await add_blocks(store, event_block(11, [14, 15, 16], decisions=GATHERED))
        await store.add_batches([BatchRow(20, "w", begin, end, 0)])
        (before,) = await store.load_runs([20])
        removed = await store.remove_settled(Retention(before=100, limit=99))
        assert await store.load_runs([20]) == [before]
        await store.start_runs([20], 1)
        await store.finish_steps([], [RunEnd(20, "succeeded", 5, None)])
        assert removed + await store.remove_settled(Retention(before=100, limit=99)) == 7
        assert await known(store, range(20)) == []
