"""Blocks in SQLite: how they are kept and found, and what onlookers see of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reactor.cli.ledger import balance
from reactor.store.contract import (
    DIGITS,
    BatchRow,
    EventBlock,
    EventRow,
    Offer,
    Retention,
    RunEnd,
    split_id,
)
from reactor.store.sqlite import SqliteStore, operations
from reactor.store.sqlite import statements as sql
from reactor.store.sqlite.blocks import event_in, insert_block, rows_of, unpack
from reactor.store.sqlite.connection import migrate
from reactor.store.sqlite.reader import Explanation, read
from reactor.testing.block_contract import (
    GATHERED,
    SUBJECTS,
    add_blocks,
    add_singles,
    event_block,
    rows_in,
    single,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INSTANTS = st.integers(-(2**63), 2**63 - 1)
# A database for all examples of a test: each ends with a rollback.
shared_database = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, Path("nowhere"))
        yield connection


def look(tmp_path: Path, query: str) -> list[tuple[object, ...]]:
    """Return the rows of a query, as an onlooker sees them."""
    with closing(sqlite3.connect(tmp_path / "reactor.db")) as connection:
        return connection.execute(query).fetchall()


def newest(
    tmp_path: Path,
    *,
    sensor: str | None = None,
    since: int | None = None,
    limit: int = 99,
    data_bytes: int | None = None,
) -> list[EventRow]:
    """Return what a reader finds of the newest events."""
    return read(
        tmp_path,
        lambda reader: reader.events(
            sensor=sensor, since=since, limit=limit, data_bytes=data_bytes
        ),
    )


def explain(tmp_path: Path, event_id: str, seq: int | None = None) -> Explanation:
    """Return what a reader knows of an id."""
    return read(tmp_path, lambda reader: reader.explanation(event_id, seq))


async def add_some(store: SqliteStore) -> list[EventRow]:
    """Accept events alone and in blocks by turns, of the sensors `s` and `t`; return them with the newest first."""
    other = event_block(6, [11, 12, 13], source="t", at=4, data=[b"123456"])
    other.sensor = "t"
    blocks = [event_block(2, [11, 12, 13], at=2, data=[b"12345"]), other]
    alone = [single(seq, seq, at=seq) for seq in (1, 5, 9)]
    for offer in (
        Offer([alone[0]]),
        Offer(blocks=[blocks[0]]),
        Offer([alone[1]]),
        Offer(blocks=[blocks[1]]),
        Offer([alone[2]]),
    ):
        assert all(await store.accept(offer, "s", {}))
    return sorted([*alone, *rows_in(blocks[0]), *rows_in(blocks[1])], reverse=True)


async def test_a_block_is_one_row_and_what_overlaps_it_is_not(
    store: SqliteStore, tmp_path: Path
) -> None:
    await add_blocks(store, event_block(1, [11, 12, 13]), event_block(4, [13, 14]))
    assert look(tmp_path, "SELECT first, last FROM event_block") == [(1, 3)]
    assert look(tmp_path, "SELECT seq, id FROM event_row") == [(5, "e/14")]


async def test_the_view_shows_the_events_of_blocks_beside_single_ones(
    store: SqliteStore, tmp_path: Path
) -> None:
    blocks = [event_block(2, [*range(10, 50)], at=7), event_block(50, [51], series="", source="t")]
    alone = single(1, 1)
    await store.accept(Offer([alone], blocks=blocks), "s", {})
    columns = ", ".join(EventRow._fields)
    assert look(tmp_path, f"SELECT {columns} FROM event ORDER BY seq") == [
        *(alone, *rows_of(blocks[0]), *rows_of(blocks[1]))
    ]


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_the_view_tells_an_empty_subject_from_none(
    store: SqliteStore, tmp_path: Path, subject: str | None
) -> None:
    await add_blocks(store, event_block(1, [11, 12], subjects=[subject]))
    assert look(tmp_path, "SELECT subject FROM event") == [(subject,), (subject,)]


async def test_the_view_may_be_used_where_schemas_are_not_trusted(
    store: SqliteStore, tmp_path: Path
) -> None:
    await add_blocks(store, event_block(1, [11, 12]))
    with closing(sqlite3.connect(tmp_path / "reactor.db")) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        assert connection.execute("SELECT id FROM event").fetchall() == [("e/11",), ("e/12",)]


async def test_a_run_whose_event_was_taken_out_by_hand_stops_nothing(
    store: SqliteStore, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "reactor.db", isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO run (id, workflow, event, state, created_at)"
            " VALUES (20, 'w', 77, 'running', 0)"
        )
    assert await store.count_deaths(most=1, at=9) == []
    assert await store.load_runs([20]) == []


async def test_the_view_shows_empty_data(store: SqliteStore, tmp_path: Path) -> None:
    await add_blocks(store, event_block(1, [11, 12], data=[b""]))
    assert look(tmp_path, "SELECT data FROM event") == [(b"",), (b"",)]


async def test_a_block_stays_whole_until_all_its_events_may_go(
    store: SqliteStore, tmp_path: Path
) -> None:
    await add_blocks(store, event_block(1, [11, 12, 13], decisions=GATHERED))
    await store.add_batches([BatchRow(20, "w", 2, 2, 0)])
    assert await store.remove_settled(Retention(before=100, limit=1)) == 0
    assert look(tmp_path, "SELECT seq FROM event") == [(1,), (2,), (3,)]
    await store.finish_steps([], [RunEnd(20, "succeeded", 5, None)])
    assert await store.remove_settled(Retention(before=100, limit=1)) == 3
    assert look(tmp_path, "SELECT seq FROM event") == []
    assert look(tmp_path, "SELECT id FROM run") == []


async def test_of_more_blocks_than_retention_may_remove_the_rest_is_left(
    store: SqliteStore,
) -> None:
    await add_singles(store, single(1, 1))
    await add_blocks(store, *(event_block(seq, [seq, seq + 1]) for seq in (11, 21, 31)))
    counts = [await store.remove_settled(Retention(before=100, limit=2)) for _ in range(4)]
    assert counts == [3, 2, 2, 0]


def accepted(database: sqlite3.Connection, *offers: Offer) -> list[list[bool]]:
    """Accept offers in one commit."""
    accepts = [operations.Accept(offer, "s", {}) for offer in offers]
    applier = operations.BatchApplier()
    applier.load(database)
    applier.apply(database, accepts)
    return [operation.result for operation in accepts]


def test_offers_of_one_commit_take_each_event_once(database: sqlite3.Connection) -> None:
    assert accepted(
        database,
        Offer(blocks=[event_block(1, [11, 12, 13])]),
        Offer(blocks=[event_block(4, [12, 13, 14])]),
        # Single events come before all blocks of their commit.
        Offer([single(7, 12), single(8, 14)]),
        Offer(blocks=[event_block(9, [14, 15])]),
    ) == [[True, False, True], [False, False, False], [True, True], [False, True]]


def test_events_are_known_to_whoever_opens_the_database_next(
    database: sqlite3.Connection,
) -> None:
    accepted(
        database,
        *(Offer(blocks=[event_block(seq, [11], source=f"s{seq}")]) for seq in (1, 2, 3)),
    )
    again = [single(10 + seq, 11, source=f"s{seq}") for seq in (1, 2, 3, 4)]
    assert accepted(database, Offer(again)) == [[False, False, False, True]]


def test_a_block_that_was_rolled_back_was_never_there(database: sqlite3.Connection) -> None:
    applier = operations.BatchApplier()
    database.execute("BEGIN")
    for _ in range(2):
        accept = operations.Accept(Offer(blocks=[event_block(1, [11, 12])]), "s", {})
        applier.apply(database, [accept])
        assert accept.result == [True, True]
        database.execute("ROLLBACK")
        applier.rolled_back()
        database.execute("BEGIN")
    accept = operations.Accept(Offer([single(1, 11)]), "s", {})
    applier.apply(database, [accept])
    assert accept.result == [True]


async def test_a_reader_finds_the_newest_events_first(store: SqliteStore, tmp_path: Path) -> None:
    rows = await add_some(store)
    assert [row.seq for row in rows] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    for limit in range(1, 11):
        assert newest(tmp_path, limit=limit) == rows[:limit]


async def test_a_reader_finds_the_events_of_one_sensor(store: SqliteStore, tmp_path: Path) -> None:
    rows = await add_some(store)
    for sensor in ("s", "t", "u"):
        expected = [row for row in rows if row.sensor == sensor]
        assert newest(tmp_path, sensor=sensor) == expected
        assert newest(tmp_path, sensor=sensor, limit=2) == expected[:2]
    assert len(newest(tmp_path, sensor="t")) == 3


@pytest.mark.parametrize(
    ("since", "count"), [(0, 9), (2, 8), (3, 5), (4, 5), (5, 2), (9, 1), (10, 0)]
)
async def test_a_reader_finds_the_events_since_an_instant(
    store: SqliteStore, tmp_path: Path, since: int, count: int
) -> None:
    rows = await add_some(store)
    found = newest(tmp_path, since=since)
    assert found == [row for row in rows if row.accepted_at >= since]
    assert len(found) == count


async def test_a_reader_takes_as_much_of_the_data_as_it_asked_for(
    store: SqliteStore, tmp_path: Path
) -> None:
    rows = await add_some(store)
    assert newest(tmp_path, data_bytes=3) == [row._replace(data=row.data[:3]) for row in rows]
    assert newest(tmp_path, data_bytes=None) == rows


async def test_the_history_of_a_batch_has_its_first_event(
    store: SqliteStore, tmp_path: Path
) -> None:
    block = event_block(1, [11, 12, 13], decisions=GATHERED)
    await add_blocks(store, block)
    await store.add_batches([BatchRow(20, "w", 2, 3, 0)])
    history = read(tmp_path, lambda reader: reader.history(20))
    assert history is not None
    assert (history.run.event, history.event) == (2, rows_in(block)[1])


async def test_an_id_is_explained_wherever_it_occurs(store: SqliteStore, tmp_path: Path) -> None:
    blocks = [event_block(1, [11, 13]), event_block(3, [12, 13], source="t")]
    alone = single(5, 13, source="r")
    await store.accept(Offer([alone], blocks=blocks), "s", {})
    first, second = map(rows_in, blocks)
    assert explain(tmp_path, "e/13").events == [first[1], second[1], alone]
    assert explain(tmp_path, "e/12").events == [second[0]]
    for stranger in ("e/10", "e/14", "e/3", "e/013", "e/", "f/13", "13"):
        assert explain(tmp_path, stranger).events == []


async def test_an_event_is_explained_by_its_number(store: SqliteStore, tmp_path: Path) -> None:
    rows = await add_some(store)
    for row in rows:
        assert explain(tmp_path, "unknown", row.seq).events == [row]
    assert explain(tmp_path, "unknown", 10).events == []


def stored_and_accepted(tmp_path: Path) -> tuple[int, int]:
    """Return how many events of the sensor are there and how many ever were; all sums have to agree."""
    tally, rows = read(tmp_path, lambda reader: reader.counts())
    assert balance(tally, rows).faults == []
    return rows["sensor", "s", "events"], tally["sensor", "s", "accepted"]


async def test_the_sums_agree_with_blocks_and_when_retention_removed_some(
    store: SqliteStore, tmp_path: Path
) -> None:
    await add_singles(store, single(1, 12), single(2, 2, at=100))
    await add_blocks(store, event_block(3, [11, 12]), event_block(5, [13, 14, 15], at=100))
    await add_blocks(store, event_block(8, [21, 22, 23], decisions=GATHERED))
    await store.add_batches([BatchRow(20, "w", 8, 9, 0)])
    assert stored_and_accepted(tmp_path) == (9, 9)
    assert await store.remove_settled(Retention(before=100, limit=99)) == 2
    assert stored_and_accepted(tmp_path) == (7, 9)
    await store.finish_steps([], [RunEnd(20, "succeeded", 5, None)])
    assert await store.remove_settled(Retention(before=100, limit=99)) == 3
    assert stored_and_accepted(tmp_path) == (4, 9)


def ascending(digits: int) -> st.SearchStrategy[list[int]]:
    """Numbers that grow and have so many digits."""
    lowest = 10 ** (digits - 1) if digits > 1 else 0
    numbers = st.integers(lowest, 10**digits - 1)
    return st.lists(numbers, min_size=1, max_size=6, unique=True).map(sorted)


@st.composite
def any_block(draw: st.DrawFn) -> EventBlock:
    """A block of anything that its columns may hold."""
    numbers = draw(st.integers(1, 18).flatmap(ascending))
    count = len(numbers)
    return EventBlock(
        first=draw(st.integers(1, 2**62)),
        source=draw(TEXT),
        series=draw(TEXT).rstrip(DIGITS),
        numbers=numbers,
        sensor=draw(TEXT),
        type=draw(TEXT),
        subjects=draw(st.lists(st.none() | TEXT, min_size=count, max_size=count)),
        times=draw(st.lists(INSTANTS, min_size=count, max_size=count)),
        accepted_at=draw(INSTANTS),
        data=draw(st.lists(st.binary(), min_size=count, max_size=count)),
        decisions=draw(TEXT),
    )


@shared_database
@given(block=any_block())
def test_any_block_comes_back_as_it_was(database: sqlite3.Connection, block: EventBlock) -> None:
    database.execute("BEGIN")
    try:
        assert insert_block(database, block)
        for row in rows_of(block):
            found = database.execute(sql.BLOCK_OF_EVENT, {"seq": row.seq}).fetchall()
            assert event_in(found, row.seq) == row
            assert unpack(found[0]) == rows_of(block)
            key = (row.source, *split_id(row.id))
            assert database.execute(sql.BLOCK_BY_NUMBER, key).fetchall() == found
    finally:
        database.execute("ROLLBACK")
    assert rows_of(block) == rows_in(block)


def test_a_subject_that_no_text_can_be_is_refused(database: sqlite3.Connection) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        insert_block(database, event_block(1, [11, 12], subjects=["fine", "\ud800"]))
    assert database.execute("SELECT count(*) FROM event_block").fetchone() == (0,)


@shared_database
@given(
    calls=st.lists(
        st.tuples(st.booleans(), st.sampled_from(["e", "f"]), st.integers(1, 3).flatmap(ascending)),
        max_size=8,
    )
)
# Numbers that differ in their digits, and blocks that end where others begin.
@example(calls=[(True, "e", [8, 9]), (True, "e", [10, 11]), (True, "e", [9]), (True, "e", [1])])
@example(calls=[(True, "e", [10, 15]), (True, "e", [15, 20]), (False, "e", [12, 15, 20])])
@example(calls=[(False, "e", [100]), (True, "e", [10, 11]), (True, "e", [100, 101])])
def test_any_events_are_new_once_however_they_come(
    database: sqlite3.Connection, calls: Sequence[tuple[bool, str, Sequence[int]]]
) -> None:
    applier = operations.BatchApplier()
    known: set[str] = set()
    first = 1
    database.execute("BEGIN")
    try:
        for is_block, series, numbers in calls:
            block = event_block(first, numbers, series=series)
            rows = rows_in(block)
            offer = Offer(blocks=[block]) if is_block else Offer(rows)
            accept = operations.Accept(offer, "s", {})
            applier.apply(database, [accept])
            assert accept.result == [row.id not in known for row in rows]
            known.update(row.id for row in rows)
            first += len(rows)
        ids = [each for (each,) in database.execute("SELECT id FROM event")]
        assert sorted(ids) == sorted(known)
    finally:
        database.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("event_id", "series", "number"),
    [
        ("orders/3@0000000041", "orders/3@0000000041", None),
        ("orders/3@41", "orders/3@", 41),
        ("e0", "e", 0),
        ("0", "", 0),
        ("00", "00", None),
        ("e10", "e", 10),
        ("e", "e", None),
        ("", "", None),
        ("1e", "1e", None),
        ("e-1", "e-", 1),
        ("e" + "9" * 18, "e", 10**18 - 1),
        ("e" + "1" * 19, "e" + "1" * 19, None),
        # Digits elsewhere, and numbers of no place value.
        ("e\u0661\u0662", "e\u0661\u0662", None),
        ("e²", "e²", None),
    ],
)
def test_an_id_is_its_series_and_its_number(event_id: str, series: str, number: int | None) -> None:
    assert split_id(event_id) == (series, number)


@given(event_id=TEXT | st.text("0123456789e/٣"))
def test_the_series_and_the_number_of_any_id_are_the_id(event_id: str) -> None:
    series, number = split_id(event_id)
    if number is None:
        assert series == event_id
    else:
        assert f"{series}{number}" == event_id
        assert not series.endswith(tuple(DIGITS))


@given(series=TEXT, number=st.integers(0, 10**18 - 1))
def test_any_series_and_number_are_found_again(series: str, number: int) -> None:
    series = series.rstrip(DIGITS)
    assert split_id(f"{series}{number}") == (series, number)
