"""Identities in memory, segments and ranges: an event is new once, however it comes, across deaths and removals."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reactor.store.contract import Offer, Retention
from reactor.store.sqlite import SqliteStore, filters, identities, ranges
from reactor.store.sqlite import statements as sql
from reactor.store.sqlite.connection import migrate, migrations
from reactor.store.sqlite.filters import Filters
from reactor.store.sqlite.operations import Accept, BatchApplier, execute_all
from reactor.store.sqlite.reader import Explanation, read
from reactor.store.sqlite.upkeep import remove_settled
from reactor.testing.block_contract import event_block, rows_in
from reactor.testing.store_contract import event_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reactor.store.contract import EventRow

SEGMENT = 8


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few events be a segment, and a few hundred places be enough for it."""
    monkeypatch.setattr(identities, "SEGMENT_EVENTS", SEGMENT)
    monkeypatch.setattr(identities, "FEWEST_ROWS", 1)
    monkeypatch.setattr(identities, "SORTED_PER_ROW", 2)
    monkeypatch.setattr(identities, "PART_ROWS", 2)
    monkeypatch.setattr(identities, "DROPPED_PER_CALL", 3)
    monkeypatch.setattr(filters, "PLACE_BITS", 9)


@pytest.fixture
def small_ranges(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few events be a range, too."""
    monkeypatch.setattr(ranges, "SMALLEST_RANGE", 3)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(empty_database()) as connection:
        yield connection


def empty_database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("memory"))
    return connection


class Life:
    """One process over a database: batches, and what becomes of them."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        self.applier = BatchApplier()
        self.applier.load(database)

    def accept(self, *offers: Offer, commits: bool = True) -> list[bool]:
        """Return which events are new, in one commit, or in one that fails."""
        accepts = [Accept(offer, "s", {}) for offer in offers]
        self.database.execute("BEGIN")
        self.applier.apply(self.database, accepts)
        self.end(commits=commits)
        return [is_new for accept in accepts for is_new in accept.result]

    def add(self, *seqs: int) -> list[bool]:
        return self.accept(Offer([event_row(seq) for seq in seqs]))

    def remove(self, *, most: int, commits: bool = True) -> int:
        """Remove the oldest events."""
        self.database.execute("BEGIN")
        removed = remove_settled(
            self.database,
            identities=self.applier.identities,
            retention=Retention(before=100, limit=most),
        )
        self.end(commits=commits)
        return removed

    def end(self, *, commits: bool) -> None:
        self.database.execute("COMMIT" if commits else "ROLLBACK")
        if commits:
            self.applier.committed()
        else:
            self.applier.rolled_back()

    def count(self, table: str) -> int:
        found: int = self.database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return found


def in_a_row(first: int, count: int, *, seq: int | None = None) -> Offer:
    """Return events with ids of one series."""
    start = first if seq is None else seq
    return Offer([of_source(start + each, "s", f"t/{first + each}") for each in range(count)])


def of_source(seq: int, source: str, name: str) -> EventRow:
    return event_row(seq, id=name)._replace(source=source)


NAMES = st.integers(10, 40)
IN_A_ROW = st.builds(lambda first, count: [*range(first, first + count)], NAMES, st.integers(1, 9))
CALLS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["singles", "block", "fails"]),
            st.sampled_from(["a", "b"]),
            st.lists(NAMES, min_size=1, max_size=9, unique=True).map(sorted) | IN_A_ROW,
        ),
        st.tuples(
            st.sampled_from(["dies", "remove", "late"]),
            st.just("a"),
            st.lists(NAMES, min_size=1, max_size=4, unique=True),
        ),
    ),
    max_size=40,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300
)
@given(calls=CALLS)
@example(calls=[("singles", "a", [*range(10, 19)]), ("block", "a", [18, 19])])
@example(
    # Late in the very commit that begins a segment.
    calls=[
        ("singles", "a", [*range(10, 18)]),
        ("late", "a", [36]),
        ("singles", "a", [10, 11, 12]),
        ("singles", "a", [10, 11, 12, 13, 14]),
        ("dies", "a", [10]),
        ("singles", "a", [36]),
    ]
)
@example(
    # A number that was a removed event's.
    calls=[
        ("singles", "a", [*range(10, 17), 18]),
        ("late", "a", [17]),
        ("remove", "a", [10, 11]),
        ("singles", "a", [11, 12, 13]),
        ("late", "a", [17]),
        ("singles", "a", [10]),
    ]
)
@example(calls=[("singles", "a", [*range(10, 30)])] + [("fails", "a", [31])] * 20)
@example(
    # The rest of a range that lost its first events, and a number of those anew.
    calls=[
        ("singles", "a", [*range(10, 19)]),
        ("remove", "a", [10, 11]),
        ("singles", "a", [*range(10, 19)]),
        ("late", "a", [20, 21, 22, 23]),
        ("singles", "a", [20, 10, 18]),
    ]
)
def test_an_event_is_new_once_whatever_happens(
    small_ranges: None, calls: Sequence[tuple[str, str, Sequence[int]]]
) -> None:
    with closing(empty_database()) as database:
        life = Life(database)
        known: dict[int, tuple[str, int]] = {}
        seq = 1000
        for what, source, names in calls:
            if what == "dies":
                life = Life(database)
            elif what == "remove":
                # A block goes as a whole; what is left tells what went.
                life.remove(most=len(names))
                left = {number for (number,) in database.execute("SELECT seq FROM event")}
                known = {number: name for number, name in known.items() if number in left}
            else:
                first = min(known, default=seq) - len(names) if what == "late" else seq
                block = event_block(first, names, source=source, series="e/")
                rows = rows_in(block)
                taken = {*known.values()}
                expected = [(source, name) not in taken for name in names]
                offer = Offer(blocks=[block]) if what == "block" else Offer(rows)
                assert life.accept(offer, commits=what != "fails") == expected
                if what != "fails":
                    known |= {
                        row.seq: (source, name)
                        for row, name, is_new in zip(rows, names, expected, strict=True)
                        if is_new
                    }
                seq += len(names)
        found = database.execute("SELECT seq, source, id FROM event ORDER BY seq").fetchall()
        assert found == [(seq, name[0], f"e/{name[1]}") for seq, name in sorted(known.items())]


def test_a_segment_is_written_in_the_order_of_ids_a_few_at_a_time(
    small: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    names = ["d", "b", "h", "a", "g", "c", "f", "e"]
    life.accept(Offer([of_source(seq, "s", name) for seq, name in enumerate(names)]))
    written: list[str] = []
    for seq in range(10, 24):
        life.add(seq)
        rows = database.execute("SELECT id FROM identity ORDER BY id").fetchall()
        assert [name for (name,) in rows][: len(written)] == written
        # Two for each event, once they are sorted.
        assert len(rows) <= len(written) + 2
        written = [name for (name,) in rows]
        if life.count("identity_segment"):
            break
    assert written == sorted(names)
    assert database.execute("SELECT * FROM identity_segment").fetchall() == [(0, 0, 7, 7)]


def test_a_commit_that_fails_leaves_a_segment_to_be_written_as_before(
    small: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    life.add(*range(SEGMENT))
    for seq in range(10, 10 + SEGMENT - 1):
        for commits in (False, True):
            life.accept(Offer([event_row(seq)]), commits=commits)
    assert life.count("identity_segment") == 1
    assert database.execute("SELECT event FROM identity ORDER BY event").fetchall() == [
        (seq,) for seq in range(SEGMENT)
    ]


def test_a_death_amid_a_segment_leaves_it_to_be_written_again(
    small: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    life.add(*range(SEGMENT))
    while not life.count("identity"):
        life.add(10 + life.count("event_row"))
    assert life.count("identity_segment") == 0
    again = Life(database)
    assert again.add(*range(SEGMENT)) == [False] * SEGMENT
    while not again.count("identity_segment"):
        again.add(40 + again.count("event_row"))
    assert Life(database).add(*range(SEGMENT)) == [False] * SEGMENT


def test_an_event_that_comes_after_its_place_in_a_segment_is_known_after_a_death(
    small: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    life.add(*range(0, 20, 2))
    while not life.count("identity_segment"):
        life.add(100 + life.count("event_row"))
    assert life.add(3) == [True]
    assert Life(database).add(3, 5) == [False, True]


def test_the_events_of_an_earlier_release_are_sealed_at_the_start(
    small: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    rows = [tuple(event_row(seq)) for seq in range(5 * SEGMENT)]
    database.executemany(f"INSERT INTO event_row VALUES ({', '.join('?' * 10)})", rows)
    again = Life(database)
    # As much as a daemon has in memory while it runs stays there.
    assert again.count("identity") == 4 * SEGMENT
    assert again.add(*range(5 * SEGMENT)) == [False] * 5 * SEGMENT
    assert life.count("event_row") == 5 * SEGMENT


def test_long_ids_make_a_segment_sooner(
    small: None, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "SEGMENT_EVENTS", 1000)
    monkeypatch.setattr(identities, "SEGMENT_BYTES", 500)
    life = Life(database)
    for seq in range(30):
        life.accept(Offer([event_row(seq, id=f"{seq:0250}")]))
    # Two make one, and what is not written by the time that two more have come is written at once.
    assert life.count("identity_segment") >= 8
    for one in (life, Life(database)):
        events = [event_row(100 + seq, id=f"{seq:0250}") for seq in range(30)]
        assert one.accept(Offer(events)) == [False] * 30


def test_segments_go_when_their_events_are_gone(small: None, database: sqlite3.Connection) -> None:
    life = Life(database)
    for seq in range(24 * SEGMENT):
        life.add(seq)
    assert life.count("identity_filter") == 3
    while life.remove(most=5) or life.count("identity_segment"):
        pass
    assert life.count("identity_segment") == 0
    # That of the segment that comes next stays.
    assert life.count("identity_filter") == 1
    for one in (life, Life(database)):
        assert one.add(2, 150, 10_000) == [True] * 3
        one.remove(most=3)


def test_a_removal_that_fails_leaves_the_filter(small: None, database: sqlite3.Connection) -> None:
    life = Life(database)
    for seq in range(10 * SEGMENT):
        life.add(seq)
    # All that end their segment within one transaction that is rolled back.
    database.execute("BEGIN")
    database.execute("DELETE FROM event_row WHERE seq < 64")
    for _ in range(40):
        life.applier.identities.drop_dead(database)
    assert life.count("identity_filter") == 1
    life.end(commits=False)
    assert life.add(*range(64)) == [False] * 64


# Ranges


def test_what_comes_in_a_row_is_one_range(small_ranges: None, database: sqlite3.Connection) -> None:
    life = Life(database)
    assert life.accept(in_a_row(5, 30)) == [True] * 30
    only = [(5, 34, "s", "t/", 5)]
    assert database.execute("SELECT * FROM identity_range").fetchall() == only
    # Some of it, with others around it: those are not taken in as a range, but each is known from then on.
    assert life.accept(in_a_row(0, 40, seq=100)) == [True] * 5 + [False] * 30 + [True] * 5
    assert life.accept(in_a_row(0, 40, seq=200)) == [False] * 40
    assert Life(database).accept(in_a_row(0, 40, seq=300)) == [False] * 40
    assert database.execute("SELECT * FROM identity_range").fetchall() == only


@pytest.mark.parametrize(
    "names",
    [
        ["t/1", "t/2", "t/3", "t/5", "t/6"],
        ["t/3", "t/2", "t/1"],
        ["t/01", "t/02", "t/03"],
        ["t/1", "t/2"],
        ["a", "b", "c"],
        [f"s/{10**18 + number}" for number in range(-2, 2)],
    ],
)
def test_ranges_are_of_what_comes_in_a_row_only(
    small_ranges: None, names: Sequence[str], database: sqlite3.Connection
) -> None:
    life = Life(database)
    life.accept(Offer([of_source(seq, "s", name) for seq, name in enumerate(names)]))
    expected = [(0, 2, "s", "t/", 1)] if names[0] == "t/1" and len(names) > 2 else []
    assert database.execute("SELECT * FROM identity_range").fetchall() == expected
    again = Offer([of_source(10 + seq, "s", name) for seq, name in enumerate(names)])
    assert life.accept(again) == [False] * len(names)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["s", "t"]),
        st.sampled_from(["a/", "b/"]),
        st.integers(0, 12),
        st.integers(1, 6),
        st.integers(0, 1),
    ),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stretches=EVENTS)
@example(stretches=[("s", "a/", 0, 3, 0), ("s", "a/", 3, 3, 1)])
def test_events_are_split_without_loss_into_ranges_and_others(
    small_ranges: None, stretches: Sequence[tuple[str, str, int, int, int]]
) -> None:
    events: list[EventRow] = []
    seq = 0
    for source, series, first, count, gap in stretches:
        seq += gap
        for number in range(first, first + count):
            events.append(of_source(seq, source, f"{series}{number}"))
            seq += 1
    parts = [*ranges.split(events)]
    assert [event for _, part in parts for event in part] == events
    for found, part in parts:
        if found is None:
            continue
        assert len(part) >= 3
        assert (found.first, found.last) == (part[0].seq, part[-1].seq)
        assert {event.source for event in part} == {found.source}
        names = [f"{found.series}{found.first_number + place}" for place in range(len(part))]
        assert [event.id for event in part] == names
        assert [event.seq for event in part] == [*range(found.first, found.last + 1)]


def test_an_event_that_comes_twice_in_one_commit_is_new_once(
    small_ranges: None, database: sqlite3.Connection
) -> None:
    rows = [of_source(seq, "s", f"t/{seq % 5}") for seq in range(12)]
    assert Life(database).accept(Offer(rows)) == [True] * 5 + [False] * 7


def test_a_start_reads_no_rows_of_long_ago_where_all_came_in_ranges(
    small_ranges: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    for first in range(0, 20 * SEGMENT, 4):
        life.accept(in_a_row(first, 4))
    assert (life.count("identity"), life.count("identity_filter")) == (0, 0)
    (through,) = database.execute("SELECT max(through) FROM identity_segment").fetchone()
    assert through >= 16 * SEGMENT
    again = Life(database)
    assert again.accept(in_a_row(0, 20 * SEGMENT, seq=1000)) == [False] * 20 * SEGMENT
    assert again.accept(in_a_row(10_000, 3)) == [True] * 3


def test_ranges_stay_out_of_segments_across_deaths(
    small_ranges: None, database: sqlite3.Connection
) -> None:
    for life_begins in range(0, 270, 9):
        life = Life(database)
        # So few that what came before the death has to count, for a segment to be begun.
        for first in range(life_begins, life_begins + 9, 3):
            assert life.accept(in_a_row(first, 3)) == [True] * 3
    again = Life(database)
    assert (again.count("identity"), again.count("identity_filter")) == (0, 0)
    (through,) = database.execute("SELECT max(through) FROM identity_segment").fetchone()
    assert through >= 270 - 3 * SEGMENT
    assert again.accept(in_a_row(0, 270, seq=1000)) == [False] * 270


def test_ranges_hide_nothing_that_is_sealed_at_a_start(
    small_ranges: None, database: sqlite3.Connection
) -> None:
    """A start seals page after page, and may die between two: none may be said to hold what comes later."""
    Life(database).accept(in_a_row(100, 3))
    rows = [tuple(event_row(seq)) for seq in range(5 * SEGMENT)]
    database.executemany(f"INSERT INTO event_row VALUES ({', '.join('?' * 10)})", rows)
    Life(database)
    sealed = database.execute(
        "SELECT last, through FROM identity_segment ORDER BY number"
    ).fetchall()
    assert sealed == [(last, last) for last in range(SEGMENT - 1, 4 * SEGMENT, SEGMENT)]


def test_what_shares_its_number_with_a_range_is_known_after_a_death(
    small_ranges: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    life.accept(in_a_row(10, 6))
    life.remove(most=2)
    # As after a clock was set back: they lie where the range lies, and are not of it.
    assert life.accept(in_a_row(70, 2, seq=10)) == [True] * 2
    again = Life(database)
    assert again.accept(in_a_row(70, 2, seq=100)) == [False] * 2
    assert again.accept(in_a_row(10, 6, seq=110)) == [True] * 2 + [False] * 4


def test_a_range_that_was_not_committed_is_of_no_account(
    small_ranges: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    for first in range(0, 20 * SEGMENT, 4):
        assert life.accept(in_a_row(first, 4), commits=False) == [True] * 4
    for seq in range(1000, 1006):
        life.add(seq)
    assert (life.count("identity_range"), life.count("identity_segment")) == (0, 0)
    assert life.accept(in_a_row(0, 20 * SEGMENT)) == [True] * 20 * SEGMENT


def test_ranges_go_when_their_events_are_gone(
    small_ranges: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    for first in range(0, 24, 4):
        life.accept(in_a_row(first, 4))
    for left in (6, 5, 4, 3, 3, 2, 1, 0):
        life.remove(most=3, commits=False)
        life.remove(most=3)
        assert life.count("identity_range") == left
    assert life.accept(in_a_row(0, 24, seq=100)) == [True] * 24


def test_a_range_may_begin_with_the_number_of_a_removed_event(
    small_ranges: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    life.accept(in_a_row(10, 3))
    life.accept(in_a_row(13, 6))
    life.remove(most=6)
    # As after a clock was set back. The range that began with that number stays, with those that it has left.
    assert life.accept(in_a_row(70, 3, seq=13)) == [True] * 3
    assert life.accept(in_a_row(80, 3, seq=10)) == [True] * 3
    for first, count in ((70, 3), (80, 3), (16, 3)):
        assert life.accept(in_a_row(first, count, seq=100)) == [False] * count
        assert Life(database).accept(in_a_row(first, count, seq=100)) == [False] * count
    assert life.accept(in_a_row(10, 5, seq=30)) == [True] * 5


def test_a_block_and_a_range_know_of_each_other(
    small_ranges: None, database: sqlite3.Connection
) -> None:
    life = Life(database)
    first = event_block(1, [*range(10, 20)])
    assert life.accept(Offer(rows_in(first))) == [True] * 10
    for one in (life, Life(database)):
        assert one.accept(Offer(blocks=[event_block(101, [15, 16])])) == [False] * 2
    block = event_block(201, [*range(20, 30)])
    assert life.accept(Offer(blocks=[block])) == [True] * 10
    assert (
        life.accept(Offer(rows_in(event_block(301, [*range(15, 35)])))) == [False] * 15 + [True] * 5
    )


async def test_a_reader_finds_an_event_by_its_id_in_a_range(
    small_ranges: None, tmp_path: Path
) -> None:
    store = await SqliteStore.open(tmp_path)
    for source in ("a", "b"):
        for first in range(0, 40, 4):
            rows = [of_source(seq, source, f"t/{seq}") for seq in range(first, first + 4)]
            shifted = [row._replace(seq=row.seq + 100 * (source == "b")) for row in rows]
            await store.accept(Offer(shifted), "s", {})
    await store.close()

    def ask(name: str) -> Explanation:
        return read(tmp_path, lambda state: state.explanation(name, None))

    for number in range(40):
        found = [event.seq for event in ask(f"t/{number}").events]
        assert found == [number, 100 + number]
    assert ask("t/40").events == []


async def test_a_reader_finds_an_event_by_its_id_in_memory_and_in_segments(
    small: None, tmp_path: Path
) -> None:
    store = await SqliteStore.open(tmp_path)
    for seq in range(4 * SEGMENT):
        source = "even" if seq % 2 else "odd"
        await store.accept(Offer([of_source(seq, source, str(seq // 2))]), "s", {})
    await store.close()

    def ask(name: str) -> Explanation:
        return read(tmp_path, lambda state: state.explanation(name, None))

    for name in range(2 * SEGMENT):
        assert [event.seq for event in ask(str(name)).events] == [2 * name, 2 * name + 1]
    assert ask(str(2 * SEGMENT)).events == []


# Filters


def fill(table: Filters, segment: int, names: Sequence[str]) -> None:
    table.add(segment, names[: len(names) // 2])
    table.add(segment, names[len(names) // 2 :])
    table.close(segment)


def found(table: Filters, name: str) -> list[int]:
    """Return the segments that may have a name."""
    suspects = table.suspects(["before", name, "behind"])
    return next((segments for number, segments in suspects if number == 1), [])


def column_of(table: Filters, column: int) -> tuple[int, bytes, int]:
    return (column, *table.close(column * filters.SEGMENTS_PER_COLUMN))


def test_a_filter_finds_all_that_was_added_and_little_else() -> None:
    table = Filters()
    names = [f"{number:x}" for number in range(0, 32_768 * 7919, 7919)]
    fill(table, 3, names)
    assert table.suspects(names) == [(number, [3]) for number in range(len(names))]
    assert len(table.suspects([f"other {number}" for number in range(20_000)])) < 20_000 / 10_000


def test_a_segment_is_told_of_once_it_is_closed_with_all_its_ids() -> None:
    table = Filters()
    fill(table, 0, ["a"])
    table.add(1, ["a"])
    table.add(1, ["b"])
    assert (found(table, "a"), found(table, "b")) == ([0], [])
    # Again, as after a commit that failed.
    assert table.close(1) == table.close(1)
    assert (found(table, "a"), found(table, "b")) == ([0, 1], [1])
    # What was begun before a death is begun anew by another process, under the same number, with the same ids.
    again = Filters()
    again.load([column_of(table, 0)])
    fill(again, 1, ["a", "b"])
    assert column_of(again, 0) == column_of(table, 0)


def older_column(column: int, segments: dict[int, Sequence[str]]) -> tuple[int, bytes, int]:
    """Return a column as an older version wrote it: each id has four places."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "PLACES_PER_ID", 4)
        table = Filters()
        table.load([(column, bytes(1 << filters.PLACE_BITS), 4)])
        for segment, names in segments.items():
            fill(table, segment, names)
        return column_of(table, column)


def test_a_column_of_an_older_version_is_filled_and_read_as_it_was_begun() -> None:
    table = Filters()
    table.load([older_column(0, {0: ["a"], 7: ["a", "b"]}), older_column(1, {8: ["c"]})])
    fill(table, 3, ["d"])
    fill(table, 16, ["a"])
    assert [found(table, name) for name in "abcde"] == [[0, 7, 16], [7], [8], [3], []]
    assert [column_of(table, column)[2] for column in range(3)] == [4, 4, 6]
    again = Filters()
    again.load([column_of(table, column) for column in range(3)])
    assert [found(again, name) for name in "abcde"] == [[0, 7, 16], [7], [8], [3], []]
    table.drop(1)
    assert [found(table, name) for name in "abcd"] == [[0, 7, 16], [7], [], [3]]
    # Its place in the table is taken by a new one, of whose ids six places count.
    fill(table, 8, ["c"])
    assert (found(table, "c"), column_of(table, 1)[2]) == ([8], 6)


def test_segments_of_version_5_are_known_after_the_upgrade(small: None) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        *older, newest = migrations()
        assert "places" in newest
        for script in older:
            database.executescript(script)
        row = event_row(1)
        execute_all(database, sql.INSERT_EVENT, [row])
        database.execute("INSERT INTO identity VALUES (0, ?, ?, 1)", (row.id, row.source))
        database.execute("INSERT INTO identity_segment VALUES (0, 1, 1, 1)")
        number, bits, _ = older_column(0, {0: [row.id]})
        database.execute("INSERT INTO identity_filter VALUES (?, ?)", (number, bits))
        database.executescript(newest)
        life = Life(database)
        assert life.add(1, 2) == [False, True]
        # Segments are added to that filter, and it is still read as it is.
        for seq in range(3, 6 * SEGMENT):
            life.add(seq)
        assert Life(database).add(*range(1, 6 * SEGMENT)) == [False] * (6 * SEGMENT - 1)
        assert database.execute("SELECT number, places FROM identity_filter").fetchall() == [(0, 4)]


@given(
    st.dictionaries(
        st.integers(0, 100), st.lists(st.text(st.characters(codec="utf-8"))), max_size=8
    )
)
def test_a_table_of_filters_is_the_same_when_it_is_loaded_again(
    segments: dict[int, list[str]],
) -> None:
    table, again = Filters(), Filters()
    assert not table
    for segment, names in segments.items():
        fill(table, segment, names)
    columns = {segment // filters.SEGMENTS_PER_COLUMN for segment in segments}
    again.load([column_of(table, column) for column in sorted(columns)])
    for segment, names in segments.items():
        for name in names:
            assert segment in found(table, name)
            assert sorted(found(again, name)) == sorted(found(table, name))


def test_a_column_that_was_dropped_makes_room_for_another(small: None) -> None:
    table = Filters()
    fill(table, 0, ["a"])
    fill(table, 8, ["a"])
    table.drop(0)
    table.drop(7)
    assert found(table, "a") == [8]
    fill(table, 16, ["b"])
    assert (found(table, "a"), found(table, "b")) == ([8], [16])


def test_events_out_of_order_end_a_start(
    small: None, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(database)
    rows = [tuple(event_row(seq)) for seq in range(5 * SEGMENT)]
    database.executemany(f"INSERT INTO event_row VALUES ({', '.join('?' * 10)})", rows)
    # What a damaged table answers: the same rows again, whatever comes before them.
    damaged = "SELECT seq, source, id FROM event_row WHERE seq > ? * 0 - 1 ORDER BY seq LIMIT ?"
    monkeypatch.setattr(sql, "SELECT_TAIL", damaged)
    with pytest.raises(sqlite3.DatabaseError, match="restore a backup"):
        Life(database)
    assert life.count("identity_segment") == 1
