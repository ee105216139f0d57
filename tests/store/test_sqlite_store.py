"""The SQLite store: the contract, and what is its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sqlite3
import stat
import sys
import threading
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reactor.errors import (
    SchemaError,
    SettingsError,
    StateInUseError,
    StoreError,
    StoreFullError,
    StoreStoppedError,
)
from reactor.store.contract import Offer, RunEnd
from reactor.store.sqlite import SqliteStore
from reactor.store.sqlite import statements as sql
from reactor.store.sqlite.connection import (
    APPLICATION_ID,
    as_open_error,
    as_store_error,
    migrations,
    open_for_writing,
    use_journal,
)
from reactor.store.sqlite.operations import Accept, BatchApplier
from reactor.store.sqlite.writer import LARGE_ROWS, SWITCH_SECONDS
from reactor.testing.store_contract import (
    OpenStore,
    StoreContract,
    add,
    event_row,
    outgoing_row,
    run_row,
    step_row,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def open_store(tmp_path: Path) -> AsyncIterator[OpenStore]:
    opened: list[SqliteStore] = []

    async def open_again() -> SqliteStore:
        if opened:
            await opened.pop().close()
        opened.append(await SqliteStore.open(tmp_path / "state"))
        return opened[0]

    yield open_again
    if opened:
        await opened.pop().close()


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def open_store(self, open_store: OpenStore) -> OpenStore:
        return open_store


async def test_a_second_daemon_is_told_who_has_the_directory(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    with pytest.raises(StateInUseError, match=r"in use by process \d+"):
        await SqliteStore.open(tmp_path)
    await store.close()
    await (await SqliteStore.open(tmp_path)).close()


async def test_files_are_private(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "state")
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()
    }
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    await store.close()


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    await (await SqliteStore.open(tmp_path)).close()
    with sqlite3.connect(tmp_path / "reactor.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SchemaError, match="schema version 99"):
        await SqliteStore.open(tmp_path)


async def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "reactor.db") as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    with pytest.raises(SchemaError, match="not one of Reactor's"):
        await SqliteStore.open(tmp_path)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reactor.db").write_bytes(b"not a database, but long enough to be looked at" * 40)
    with pytest.raises(SchemaError, match="not a usable database"):
        await SqliteStore.open(tmp_path)


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be made"):
        await SqliteStore.open(tmp_path / "file" / "state")


async def test_a_new_directory_is_durable_before_anything_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        database = tmp_path / "a" / "b" / "reactor.db"
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), database.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    await (await SqliteStore.open(tmp_path / "a" / "b")).close()
    assert sorted(synced) == [(str(tmp_path), False), (str(tmp_path / "a"), False)]
    synced.clear()
    await (await SqliteStore.open(tmp_path / "a" / "b")).close()
    assert synced == []


async def test_a_disk_that_fails_while_the_directory_is_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SettingsError, match=r"could not be written to the disk.*check the disk"):
        await SqliteStore.open(tmp_path / "state")


async def test_a_database_that_stays_out_of_wal_mode_is_refused(tmp_path: Path) -> None:
    # A database in memory has no journal on the disk, so that SQLite leaves its mode as it is.
    with (
        closing(sqlite3.connect(":memory:")) as database,
        pytest.raises(StoreError, match="journal mode stays 'memory'"),
    ):
        use_journal(database, tmp_path)


async def test_a_start_that_fails_lets_go_of_the_files(tmp_path: Path) -> None:
    await (await SqliteStore.open(tmp_path)).close()
    with closing(sqlite3.connect(tmp_path / "reactor.db")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(SchemaError):
        await SqliteStore.open(tmp_path)
    held = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    assert not [path for path in held if path.startswith(str(tmp_path))]


async def test_a_disk_that_fails_when_reading_begins_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr("reactor.store.sqlite.store.aiosqlite.connect", fail)
    with pytest.raises(SettingsError, match="unable to open database file"):
        await SqliteStore.open(tmp_path)
    monkeypatch.undo()
    await (await SqliteStore.open(tmp_path)).close()


async def test_callers_share_commits(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    before = store.statistics().commits
    async with asyncio.TaskGroup() as group:
        for seq in range(1, 501):
            group.create_task(add(store, seq, run_row(1000 + seq, seq)))
    assert store.statistics().commits - before < 100
    assert await store.pending_counts() == {"w": 500}
    await store.close()


async def test_threads_take_turns_often_while_a_large_write_is_under_way_and_only_then(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store()
    usual, intervals = sys.getswitchinterval(), list[float]()
    monkeypatch.setattr(sys, "setswitchinterval", intervals.append)
    events = [event_row(seq) for seq in range(1, 2 * LARGE_ROWS)]
    small, large = Offer(events[:1]), Offer(events[1 : LARGE_ROWS + 1])
    await store.accept(small, "s", {})
    assert intervals == []
    # The second is put while the first is on its way: it is usual again after both.
    both = [store.accept(large, "s", {}), store.accept(Offer(events[:LARGE_ROWS]), "s", {})]
    assert intervals == [SWITCH_SECONDS]
    await asyncio.gather(*both)
    assert intervals == [SWITCH_SECONDS, usual]


async def test_a_batch_ends_where_it_would_swell_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reactor.store.sqlite.writer.LARGEST_BATCH_BYTES", 25)
    sizes: list[int] = []
    store = await SqliteStore.open(tmp_path, observe=lambda seconds, size: sizes.append(size))
    begun, all_wait = threading.Event(), threading.Event()
    accept = BatchApplier.accept

    def wait(applier: BatchApplier, connection: sqlite3.Connection, accepts: list[Accept]) -> None:
        begun.set()
        all_wait.wait()
        accept(applier, connection, accepts)

    monkeypatch.setattr("reactor.store.sqlite.operations.BatchApplier.accept", wait)
    answers = []
    for seq in range(1, 7):
        event = event_row(seq)._replace(data=b'"12345678"')
        answers.append(store.accept(Offer([event], size_bytes=10), "s", {}))
        if seq == 1:
            assert begun.wait(10)
    all_wait.set()
    for answer in answers:
        await answer
    assert sizes == [1, 3, 2]
    await store.close()


@pytest.mark.parametrize(("hold_bytes", "patience"), [(1, 20), (1_000_000_000, 0)])
async def test_writers_wait_for_readers_only_when_the_journal_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hold_bytes: int, patience: int
) -> None:
    for name, value in (
        *(("LOOK_BYTES", 1), ("CHECKPOINT_BYTES", 1)),
        *(("HOLD_BYTES", hold_bytes), ("HOLD_SECONDS", 0.01)),
    ):
        monkeypatch.setattr(f"reactor.store.sqlite.writer.{name}", value)
    statements: list[str] = []

    def open_and_trace(path: Path) -> sqlite3.Connection:
        connection = open_for_writing(path)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr("reactor.store.sqlite.store.open_for_writing", open_and_trace)
    store = await SqliteStore.open(tmp_path)
    with closing(sqlite3.connect(tmp_path / "reactor.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM event").fetchall()
        await add(store, 1)
        # The second is taken when the look at the journal after the first is over.
        await add(store, 2)
        assert f"PRAGMA busy_timeout = {patience}" in statements
        assert "PRAGMA busy_timeout = 5000" in statements
        reader.execute("COMMIT")
    await store.close()


async def test_a_cancelled_caller_leaves_its_write_whole(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    tasks = [
        asyncio.create_task(add(store, seq, run_row(10_000 + seq, seq), run_row(20_000 + seq, seq)))
        for seq in range(1, 301)
    ]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.wait(tasks)
    await store.close()
    database = sqlite3.connect(tmp_path / "reactor.db")
    counts = {row[0] for row in database.execute("SELECT count(*) FROM run GROUP BY event")}
    kept = database.execute("SELECT count(*) FROM event").fetchone()[0]
    database.close()
    assert counts == {2}
    assert kept >= sum(not task.cancelled() for task in tasks)


async def test_a_full_disk_refuses_writes_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # max_page_count makes SQLite answer SQLITE_FULL, as a full file system does.
    connections: list[sqlite3.Connection] = []

    def open_and_keep(path: Path) -> sqlite3.Connection:
        connections.append(open_for_writing(path))
        return connections[0]

    monkeypatch.setattr("reactor.store.sqlite.store.open_for_writing", open_and_keep)
    told: list[bool] = []
    store = await SqliteStore.open(tmp_path, filled=told.append)
    pages = connections[0].execute("PRAGMA page_count").fetchone()[0]
    connections[0].execute(f"PRAGMA max_page_count = {pages + 2}")
    big = event_row(1)._replace(data=b'"' + b"x" * 100_000 + b'"')
    with pytest.raises(StoreFullError):
        await store.accept(Offer([big]), "s", {})
    assert store.statistics().is_full
    connections[0].execute("PRAGMA max_page_count = 1000000")
    assert await store.accept(Offer([big]), "s", {}) == [True]
    assert not store.statistics().is_full
    assert told == [True, False]
    await store.close()


async def test_the_first_storage_error_ends_all_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[StoreStoppedError] = []
    store = await SqliteStore.open(tmp_path, stopped=told.append)
    await add(store, 1)

    def fail(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    monkeypatch.setattr("reactor.store.sqlite.operations.BatchApplier.accept", fail)
    with pytest.raises(StoreError):
        await add(store, 2)
    monkeypatch.undo()
    with pytest.raises(StoreStoppedError, match="Check the disk"):
        await add(store, 3)
    assert len(told) == 1
    assert store.statistics().is_stopped
    await store.close()


async def test_a_storage_error_ends_writing_in_the_middle_of_a_batch_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[StoreStoppedError] = []
    store = await SqliteStore.open(tmp_path, stopped=told.append)
    accept = BatchApplier.accept
    begun, all_wait = threading.Event(), threading.Event()

    def fail(applier: BatchApplier, connection: sqlite3.Connection, accepts: list[Accept]) -> None:
        seqs = [event.seq for operation in accepts for event in operation.offer.events]
        if seqs == [1]:
            begun.set()
            all_wait.wait()
        if len(seqs) > 1:
            # Makes the writer try them one by one.
            raise sqlite3.IntegrityError("one of them is wrong")
        if seqs == [2]:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        accept(applier, connection, accepts)

    monkeypatch.setattr("reactor.store.sqlite.operations.BatchApplier.accept", fail)
    answers = [store.accept(Offer([event_row(seq)]), "s", {}) for seq in (1, 2, 3)]
    assert begun.wait(10)
    all_wait.set()
    assert await answers[0] == [True]
    for answer in answers[1:]:
        with pytest.raises(StoreStoppedError):
            await answer
    assert len(told) == 1
    await store.close()


async def test_the_journal_is_left_alone_after_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reactor.store.sqlite.writer.LOOK_BYTES", 1)
    monkeypatch.setattr("reactor.store.sqlite.writer.CHECKPOINT_BYTES", 1)
    statements: list[str] = []

    def open_and_trace(path: Path) -> sqlite3.Connection:
        connection = open_for_writing(path)
        connection.set_trace_callback(statements.append)
        return connection

    def fail(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    monkeypatch.setattr("reactor.store.sqlite.store.open_for_writing", open_and_trace)
    store = await SqliteStore.open(tmp_path)
    monkeypatch.setattr("reactor.store.sqlite.operations.BatchApplier.accept", fail)
    with pytest.raises(StoreStoppedError):
        await add(store, 1)
    await store.close()
    assert statements[-2:] == ["BEGIN IMMEDIATE", "ROLLBACK"]


def test_no_room_for_the_index_of_the_journal_is_a_full_disk() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert isinstance(as_store_error(error), StoreFullError)
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    assert not isinstance(as_store_error(error), StoreFullError)


def test_a_disk_that_fails_while_the_database_is_opened_is_named(tmp_path: Path) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR | 3 << 8
    told = as_open_error(error, tmp_path / "reactor.db")
    assert isinstance(told, StoreError)
    assert "the disk failed (disk I/O error); check the disk" in str(told)


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (sql.PENDING_RUNS, ("w", 0, 10)),
        (sql.SELECT_CURSOR, ("s",)),
        (sql.SELECT_RUNS, ("[1]",)),
        (sql.SELECT_STEPS, ("[1]",)),
        (sql.COUNT_DEATHS, ()),
        *sql.KNOWN_REJECTED.executions([("s", "x")]),
        (sql.RUNS_OF_EVENTS, (1, 2)),
        (sql.BLOCK_OF_EVENT, {"seq": 1}),
        (sql.BLOCKS_OF_SERIES, ("s", "", 1)),
        (sql.BLOCKS_OF_BATCH, ("[1]",)),
        (sql.INSERT_BLOCK, defaultdict(int)),
        (sql.SELECT_TAIL, (1, 1)),
        (sql.SELECT_DEAD_SEGMENT, ()),
        *sql.KNOWN_IN_SEGMENTS.executions([(1, "x", "s", 1)]),
        (sql.SELECT_RANGES_OF_TAIL, (1,)),
        (sql.INSERT_RANGE, defaultdict(int)),
        *sql.KNOWN_IN_RANGES.executions([(1, "s", "t/", 1, "t/1")]),
        (sql.RANGE_OF_EVENT, {"seq": 1}),
        (sql.DELETE_DEAD_RANGE, (1,)),
    ],
)
async def test_no_hot_statement_scans_a_table(
    tmp_path: Path, statement: str, parameters: Any
) -> None:
    await (await SqliteStore.open(tmp_path)).close()
    database = sqlite3.connect(tmp_path / "reactor.db")
    plan = database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
    database.close()
    scans = [row[3] for row in plan if row[3].startswith("SCAN") and "INDEX" not in row[3]]
    # A segment is a row for some thirty thousand events.
    harmless = ("json_each", "CONSTANT ROW", "SCAN segment", "SCAN given")
    assert [scan for scan in scans if not any(name in scan for name in harmless)] == []


async def test_a_database_from_before_the_outbox_is_upgraded_with_its_runs_in_flight(
    tmp_path: Path,
) -> None:
    first, *_ = migrations()
    with contextlib.closing(sqlite3.connect(tmp_path / "reactor.db")) as old:
        old.executescript(first)
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute("PRAGMA user_version = 1")
        old.execute("INSERT INTO event VALUES (1, 's', '1', 's', 't', NULL, 0, 0, x'31', '[]')")
        old.execute(
            "INSERT INTO run (id, workflow, event, state, created_at) VALUES (2, 'w', 1, 'running', 0)"
        )
        old.execute(
            "INSERT INTO dead_letter (id, sensor, event_id, reason, detail, raw, created_at)"
            " VALUES (3, 's', 'x', 'not_json', '', x'ff', 0)"
        )
        old.commit()
    store = await SqliteStore.open(tmp_path)
    assert await store.count_deaths(most=3, at=1) == []
    await store.start_runs([2], 1)
    await store.finish_steps([step_row(2)], [RunEnd(2, "succeeded", 5, None)], [outgoing_row(2, 1)])
    assert [one.count for one in await store.outbox_backlogs()] == [1]
    (letter,) = await store.dead_letters(ids=None, reason=None)
    assert (letter.raw, letter.outgoing) == (b"\xff", None)
    await store.close()


async def test_the_queries_of_the_outbox_read_no_payload_that_is_not_wanted(tmp_path: Path) -> None:
    connection = open_for_writing(tmp_path / "reactor.db")
    plan = "".join(
        row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql.OUTBOX_BACKLOGS}")
    )
    assert "SCAN outbox USING COVERING INDEX outbox_lane" in plan
    values = {"lane": "l", "rows": 1, "size_bytes": 1}
    plan = "".join(
        row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql.OUTBOX_WINDOW}", values)
    )
    assert "SEARCH outbox USING INDEX outbox_lane (lane=?)" in plan
    assert "SEARCH outbox USING INTEGER PRIMARY KEY (rowid=?)" in plan
    connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel, through /proc")
@pytest.mark.parametrize("beside_bytes", [1, 1_000_000_000])
async def test_the_locks_on_the_index_of_the_journal_are_never_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside_bytes: int
) -> None:
    """Whoever opens a file of the database and closes it drops all locks of the process on it, SQLite's own included.

    The next process that reads then takes the index for a dead one's, cuts it to nothing below our feet, and we end by
    SIGBUS. (https://www.sqlite.org/howtocorrupt.html, 2.2)
    """
    monkeypatch.setattr("reactor.store.sqlite.writer.CHECKPOINT_BYTES", 100_000)
    monkeypatch.setattr("reactor.store.sqlite.writer.LOOK_BYTES", 1)
    monkeypatch.setattr("reactor.store.sqlite.writer.BESIDE_BYTES", beside_bytes)
    store = await SqliteStore.open(tmp_path)
    for seq in range(1, 101):
        await add(store, seq, run_row(1000 + seq, seq))
    await store.load_runs([1001])
    index = (tmp_path / "reactor.db-shm").stat().st_ino
    held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    assert [
        (kind, mode)
        for _, kind, _, mode, pid, place, *_ in held
        if pid == str(os.getpid()) and place.endswith(f":{index}")
    ] == [("POSIX", "READ")]
    await store.close()
