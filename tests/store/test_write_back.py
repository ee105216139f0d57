"""A large journal is written back beside the commits, and emptied by the writer in a moment afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

import pytest

from reactor.errors import StoreStoppedError
from reactor.store.contract import Offer
from reactor.store.sqlite import SqliteStore, write_back
from reactor.store.sqlite.write_back import WriteBack
from reactor.store.sqlite.writer import Writer
from reactor.testing.store_contract import add, event_row
from tests.store.frames import frames_in_use

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.real_time
WRITER = "reactor.store.sqlite.writer"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write every journal back beside the commits."""
    for name in ("LOOK_BYTES", "CHECKPOINT_BYTES", "BESIDE_BYTES"):
        monkeypatch.setattr(f"{WRITER}.{name}", 1)


class Held:
    """Holds each write-back before it begins, until `let_go` is set; then it fails where there is an `error`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.emptied = asyncio.Event()
        loop = asyncio.get_running_loop()
        empty = Writer._empty

        def tell(writer: Writer, connection: sqlite3.Connection) -> None:
            empty(writer, connection)
            loop.call_soon_threadsafe(self.emptied.set)

        monkeypatch.setattr(Writer, "_empty", tell)
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.error: sqlite3.Error | None = None
        connect = sqlite3.connect

        def hold(database: Path, *, isolation_level: None) -> sqlite3.Connection:
            self.begun.set()
            assert self.let_go.wait(30)
            if self.error is not None:
                raise self.error
            return connect(database, isolation_level=isolation_level)

        library = MagicMock(wraps=sqlite3, connect=hold, Error=sqlite3.Error)
        monkeypatch.setattr(write_back, "sqlite3", library)


@pytest.fixture
async def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


def io_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("told by the test")
    error.sqlite_errorcode = code
    return error


async def test_commits_go_on_while_the_journal_is_written_back(tmp_path: Path, held: Held) -> None:
    store = await SqliteStore.open(tmp_path)
    await add(store, 1)
    assert await asyncio.to_thread(held.begun.wait, 30)
    for seq in range(2, 30):
        await add(store, seq)
    assert not held.emptied.is_set()
    held.let_go.set()
    async with asyncio.timeout(30):
        # The writer is told, although nobody writes.
        await held.emptied.wait()
    journal = tmp_path / "reactor.db-wal"
    size, frames = journal.stat().st_size, frames_in_use(journal)
    await add(store, 30)
    assert frames_in_use(journal) < frames
    assert journal.stat().st_size >= size
    await store.close()
    with closing(sqlite3.connect(tmp_path / "reactor.db")) as database:
        assert database.execute("SELECT count(*) FROM event").fetchone() == (30,)


async def test_a_store_that_closes_waits_for_it(tmp_path: Path, held: Held) -> None:
    store = await SqliteStore.open(tmp_path)
    await add(store, 1)
    assert await asyncio.to_thread(held.begun.wait, 30)
    closing_store = asyncio.create_task(store.close(), name="close")
    done, _ = await asyncio.wait([closing_store], timeout=0.05)
    assert not done
    held.let_go.set()
    await closing_store
    assert not (tmp_path / "reactor.db-wal").exists()


async def test_a_storage_error_ends_all_writing_although_nobody_writes(
    tmp_path: Path, held: Held
) -> None:
    stopped = asyncio.Event()
    held.error = io_error(sqlite3.SQLITE_IOERR)
    store = await SqliteStore.open(tmp_path, stopped=lambda error: stopped.set())
    await add(store, 1)
    held.let_go.set()
    async with asyncio.timeout(30):
        await stopped.wait()
    with pytest.raises(StoreStoppedError):
        await store.accept(Offer([event_row(2)]), "s", {})
    await store.close()


async def test_a_full_disk_leaves_the_journal_for_the_next_time(tmp_path: Path, held: Held) -> None:
    held.error = io_error(sqlite3.SQLITE_FULL)
    store = await SqliteStore.open(tmp_path)
    await add(store, 1)
    held.let_go.set()
    held.begun.clear()
    for seq in range(2, 100):
        if held.begun.is_set():
            break
        await add(store, seq)
    assert held.begun.is_set()
    assert not store.statistics().is_stopped
    await store.close()


async def test_where_no_thread_is_to_be_had_the_writer_does_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: Held
) -> None:
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    store = await SqliteStore.open(tmp_path)
    monkeypatch.setattr(WriteBack, "__init__", no_thread)
    await add(store, 1)
    async with asyncio.timeout(30):
        await held.emptied.wait()
    assert await add(store, 2)
    await store.close()


async def test_where_the_journal_grows_too_large_meanwhile_the_writer_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{WRITER}.HOLD_BYTES", 1_000_000)
    waited: list[bool] = []
    wait = WriteBack.wait

    def note(self: WriteBack) -> None:
        waited.append(self._thread.is_alive())
        wait(self)

    monkeypatch.setattr(WriteBack, "wait", note)
    held = Held(monkeypatch)
    store = await SqliteStore.open(tmp_path)
    await add(store, 1)
    assert await asyncio.to_thread(held.begun.wait, 30)
    # More than the journal may hold: the batch after it is held back until the write-back has ended.
    big = event_row(2)._replace(data=b'"%s"' % (b"x" * 2_000_000))
    await store.accept(Offer([big]), "s", {})
    late = asyncio.ensure_future(add(store, 3))
    done, _ = await asyncio.wait([late], timeout=0.05)
    assert not done
    held.let_go.set()
    assert await late
    assert waited[0]
    await store.close()


class Passes:
    """Counts the passes of one write-back, and does `meanwhile` after each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
        self.count = 0
        self._meanwhile = meanwhile
        library = MagicMock(wraps=sqlite3, connect=self._connect, Error=sqlite3.Error)
        monkeypatch.setattr(write_back, "sqlite3", library)

    def _connect(self, database: Path, *, isolation_level: None) -> MagicMock:
        connection = sqlite3.connect(database, isolation_level=isolation_level)

        def execute(statement: str) -> MagicMock:
            row = connection.execute(statement).fetchone()
            if "checkpoint" in statement:
                self.count += 1
                self._meanwhile()
            return MagicMock(fetchone=lambda: row)

        return MagicMock(execute=execute, close=connection.close)


@pytest.mark.parametrize(
    ("commits", "is_held", "passes"), [(False, True, 1), (True, True, 2), (True, False, 1)]
)
def test_a_second_pass_is_made_only_while_no_commit_can_begin_the_journal_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: bool, is_held: bool, passes: int
) -> None:
    """One that does so in the middle of a pass might be lost with SQLite before 3.51.3."""
    connect = partial(
        sqlite3.connect, tmp_path / "x.db", isolation_level=None, check_same_thread=False
    )
    with closing(connect()) as reader, closing(connect()) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("CREATE TABLE t (x)")
        if is_held:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM t").fetchall()

        def commit() -> None:
            if commits:
                writer.execute("INSERT INTO t VALUES (1)")

        made = Passes(monkeypatch, commit)
        WriteBack(tmp_path / "x.db", lambda _: None).wait()
    assert made.count == passes
