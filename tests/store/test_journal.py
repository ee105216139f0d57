"""The journal's file is kept and written over: how far it is in use, and room made ahead."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest

from reactor.store.sqlite import SqliteStore, connection, journal
from reactor.store.sqlite.journal import KEPT_BYTES, Journal
from reactor.store.sqlite.operations import BatchApplier
from reactor.testing.store_contract import add
from tests.store.frames import frames_in_use

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real_time
WRITER = "reactor.store.sqlite.writer"
FRAME_BYTES = 24 + 4096


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.db-wal"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("CREATE TABLE t (x)")
        yield database


@pytest.fixture
def looked_at(file: Path) -> Iterator[Journal]:
    looked_at = Journal(file)
    yield looked_at
    looked_at.close()


def fill(database: sqlite3.Connection, pages: int = 50) -> None:
    """Commit so many pages and some more."""
    database.execute("INSERT INTO t VALUES (zeroblob(?))", (pages * 4096,))


def restart(database: sqlite3.Connection) -> int:
    """Let the next commit begin the journal anew; return how many frames it had."""
    is_busy, frames, _ = database.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    assert not is_busy
    return int(frames)


def end_of(looked_at: Journal, longest: int = 2_000_000) -> int:
    """Return how far the journal says that it reaches, found one byte after the other at the ends of frames."""
    ends = [32 + n * FRAME_BYTES for n in range(1, longest // FRAME_BYTES)]
    reached = [end for end in ends if looked_at.reaches(end)]
    assert reached == ends[: len(reached)]
    assert not reached or not looked_at.reaches(reached[-1] + 1)
    return reached[-1] if reached else 0


def test_a_fresh_journal_reaches_as_far_as_its_file(
    database: sqlite3.Connection, file: Path, looked_at: Journal
) -> None:
    fill(database)
    assert end_of(looked_at) == file.stat().st_size
    assert looked_at.reaches(0)


def test_one_that_is_written_over_reaches_as_far_as_its_new_frames(
    database: sqlite3.Connection, file: Path, looked_at: Journal
) -> None:
    fill(database, 100)
    size = file.stat().st_size
    looked_at.empty(restart(database))
    assert not looked_at.reaches(0)
    fill(database, 10)
    assert file.stat().st_size == size
    assert end_of(looked_at) == 32 + frames_in_use(file) * FRAME_BYTES < size / 2
    fill(database, 200)
    assert end_of(looked_at) == file.stat().st_size > size


def test_one_that_goes_on_although_it_was_emptied_is_seen(
    database: sqlite3.Connection, file: Path, looked_at: Journal
) -> None:
    """A reader that comes just then keeps the next commit from beginning anew."""
    fill(database)
    looked_at.empty(frames_in_use(file))
    assert end_of(looked_at) == 0
    fill(database)
    assert end_of(looked_at) == file.stat().st_size


def test_what_was_spilled_and_rolled_back_counts_until_it_is_written_over(
    database: sqlite3.Connection, file: Path, looked_at: Journal
) -> None:
    database.execute("PRAGMA cache_size = 10")
    fill(database, 10)
    before = end_of(looked_at)
    database.execute("BEGIN")
    for _ in range(10):
        fill(database, 20)
    database.execute("ROLLBACK")
    spilled = end_of(looked_at)
    assert before + 50 * FRAME_BYTES < spilled == file.stat().st_size
    looked_at.empty(restart(database))
    fill(database, 10)
    assert end_of(looked_at) < spilled


def test_a_journal_is_as_long_as_its_frames(
    database: sqlite3.Connection, file: Path, looked_at: Journal
) -> None:
    fill(database)
    assert looked_at.bytes_of(frames_in_use(file)) == file.stat().st_size
    assert looked_at.holds_more_than(frames_in_use(file) - 1)
    assert not looked_at.holds_more_than(frames_in_use(file))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        bytes(100_000),
        b"\xff" * 100_000,
        # The right beginning, and pages of a size that there is not.
        bytes.fromhex("377f0682002de21800000007") + bytes(100_000),
    ],
)
def test_what_is_no_journal_holds_nothing(file: Path, looked_at: Journal, content: bytes) -> None:
    file.write_bytes(content)
    looked_at.empty(7)
    assert not looked_at.reaches(0)
    assert not looked_at.reaches(len(content))
    assert not looked_at.holds_more_than(0)
    assert looked_at.bytes_of(7) == 0


def test_one_that_is_missing_holds_nothing_and_is_not_made(file: Path, looked_at: Journal) -> None:
    looked_at.plan()
    looked_at.extend()
    looked_at.empty(7)
    assert not looked_at.reaches(0)
    assert not looked_at.holds_more_than(0)
    assert (looked_at.is_short, looked_at.bytes_of(7)) == (False, 0)
    assert not file.exists()


def refuse(monkeypatch: pytest.MonkeyPatch, place: object, name: str, code: int) -> MagicMock:
    """Let a call to the system fail from now on; return what counts the calls."""
    refused = MagicMock(side_effect=OSError(code, os.strerror(code)))
    monkeypatch.setattr(place, name, refused)
    return refused


def test_one_that_cannot_be_opened_is_taken_to_be_as_large_as_its_file(
    database: sqlite3.Connection, file: Path, looked_at: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    refuse(monkeypatch, os, "open", errno.EMFILE)
    size = file.stat().st_size
    assert looked_at.reaches(size)
    assert not looked_at.reaches(size + 1)
    assert looked_at.bytes_of(1) == size
    looked_at.plan()
    assert not looked_at.is_short


class TestRoomAhead:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(journal, "AHEAD_BYTES", 400_000)
        monkeypatch.setattr(journal, "LONGEST_BYTES", 1_000_000)
        monkeypatch.setattr(journal, "SLICE_BYTES", 50_000)

    def extend(self, looked_at: Journal) -> int:
        """Extend as far as is wanted; return in how many slices."""
        looked_at.plan()
        count = 0
        while looked_at.is_short:
            looked_at.extend()
            count += 1
        return count

    def test_commits_write_over_it_and_no_commit_is_lost(
        self, database: sqlite3.Connection, file: Path, looked_at: Journal, tmp_path: Path
    ) -> None:
        fill(database)
        used = file.stat().st_size
        assert self.extend(looked_at) > 1
        assert end_of(looked_at) == used
        size = file.stat().st_size
        assert size >= used + 400_000
        fill(database)
        assert file.stat().st_size == size
        # As a power cut leaves it: without the index, which is made anew from the journal.
        for name in ("x.db", "x.db-wal"):
            (tmp_path / f"copy-{name}").write_bytes((tmp_path / name).read_bytes())
        with closing(sqlite3.connect(tmp_path / "copy-x.db")) as copy:
            assert copy.execute("SELECT count(*) FROM t").fetchone() == (2,)
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    def test_frames_that_somebody_else_wrote_meanwhile_are_kept(
        self, database: sqlite3.Connection, file: Path, looked_at: Journal, tmp_path: Path
    ) -> None:
        looked_at.plan()
        looked_at.extend()
        with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
            other.execute("PRAGMA wal_autocheckpoint = 0")
            fill(other, 200)
        looked_at.extend()
        assert database.execute("SELECT count(*) FROM t").fetchone() == (1,)
        assert file.read_bytes().endswith(bytes(journal.SLICE_BYTES))

    def test_it_is_made_again_when_half_of_it_is_used_up_to_a_limit(
        self, database: sqlite3.Connection, file: Path, looked_at: Journal
    ) -> None:
        assert self.extend(looked_at)
        assert not self.extend(looked_at)
        fill(database, 20)
        assert not self.extend(looked_at)
        fill(database, 60)
        assert self.extend(looked_at)
        fill(database, 80)
        assert self.extend(looked_at)
        assert 1_000_000 <= file.stat().st_size < 1_000_000 + journal.SLICE_BYTES
        fill(database, 500)
        assert not self.extend(looked_at)

    def test_an_empty_file_gets_it_too(
        self, database: sqlite3.Connection, file: Path, looked_at: Journal
    ) -> None:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert self.extend(looked_at)
        size = file.stat().st_size
        fill(database)
        assert file.stat().st_size == size
        assert frames_in_use(file) > 50

    @pytest.mark.parametrize(
        ("place", "call", "code"),
        [
            (os, "write", errno.ENOSPC),
            (os, "write", errno.EDQUOT),
            (journal, "_sync", errno.EIO),
        ],
    )
    @pytest.mark.usefixtures("database")
    def test_where_it_is_refused_it_is_not_asked_for_again(
        self,
        looked_at: Journal,
        monkeypatch: pytest.MonkeyPatch,
        place: object,
        call: str,
        code: int,
    ) -> None:
        refused = refuse(monkeypatch, place, call, code)
        assert self.extend(looked_at) == 1
        assert self.extend(looked_at) == 0
        assert refused.call_count == 1

    def test_a_disk_that_is_nearly_full_keeps_its_last_space(
        self, database: sqlite3.Connection, looked_at: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(database)
        monkeypatch.setattr(journal, "SPARE_BYTES", 2**62)
        assert not self.extend(looked_at)
        # As soon as there is more, it is taken.
        monkeypatch.setattr(journal, "SPARE_BYTES", 0)
        assert self.extend(looked_at)


class TestWriter:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in (
            *(("LOOK_BYTES", 1), ("CHECKPOINT_BYTES", 200_000), ("BESIDE_BYTES", 2**40)),
            ("QUIET_SECONDS", 3600.0),
        ):
            monkeypatch.setattr(f"{WRITER}.{name}", value)

    @pytest.fixture
    def soon_quiet(self, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let room be made a moment after a writer has opened."""
        monkeypatch.setattr(f"{WRITER}.QUIET_SECONDS", 0.001)
        monkeypatch.setattr(f"{WRITER}.START_SECONDS", 0.0)

    async def test_commits_do_not_lengthen_a_journal_that_was_emptied(self, tmp_path: Path) -> None:
        file = tmp_path / "reactor.db-wal"
        store = await SqliteStore.open(tmp_path)
        sizes, generations = [], set()
        for seq in range(1, 200):
            await add(store, seq)
            sizes.append(file.stat().st_size)
            generations.add(file.read_bytes()[16:24])
        await store.close()
        assert len(generations) > 5
        # A generation ends with the commit that goes beyond the limit, which may be a page longer than another.
        assert max(sizes) < 300_000
        assert len(set(sizes[len(sizes) // 2 :])) <= 2
        assert not file.exists()

    async def test_what_a_slow_reader_made_of_it_is_given_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limited = [pragma.replace(str(KEPT_BYTES), "300000") for pragma in connection._PRAGMAS]
        assert limited != [*connection._PRAGMAS]
        monkeypatch.setattr(connection, "_PRAGMAS", limited)
        file = tmp_path / "reactor.db-wal"
        store = await SqliteStore.open(tmp_path)
        await add(store, 1)
        with closing(sqlite3.connect(tmp_path / "reactor.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM event").fetchall()
            # Two pages each at the least, so that it is as long however little was made ahead of them.
            for seq in range(2, 90):
                await add(store, seq)
            assert file.stat().st_size > 600_000
            reader.execute("COMMIT")
        for seq in range(90, 110):
            await add(store, seq)
        assert file.stat().st_size <= 300_000
        await store.close()

    async def test_a_quiet_one_makes_room_and_then_waits_for_writes_alone(
        self, soon_quiet: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(f"{WRITER}.LOOK_BYTES", 2**40)
        monkeypatch.setattr(journal, "AHEAD_BYTES", 400_000)
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        extend = Journal.extend

        def tell(looked_at: Journal) -> None:
            extend(looked_at)
            if not looked_at.is_short:
                loop.call_soon_threadsafe(done.set)

        monkeypatch.setattr(Journal, "extend", tell)
        file = tmp_path / "reactor.db-wal"
        store = await SqliteStore.open(tmp_path)
        async with asyncio.timeout(30):
            await done.wait()
        size = file.stat().st_size
        done.clear()
        for seq in range(1, 10):
            await add(store, seq)
        assert file.stat().st_size == size
        assert not done.is_set()
        await store.close()

    async def test_a_write_waits_for_one_slice_only(
        self, soon_quiet: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, let_go = threading.Event(), threading.Event()
        slices = 0

        def hold(looked_at: Journal) -> None:
            nonlocal slices
            slices += 1
            begun.set()
            assert let_go.wait(30)

        monkeypatch.setattr(Journal, "extend", hold)
        accept, seen = BatchApplier.accept, list[int]()

        def note(*arguments: Any) -> None:
            seen.append(slices)
            accept(*arguments)

        monkeypatch.setattr(BatchApplier, "accept", note)
        store = await SqliteStore.open(tmp_path)
        assert await asyncio.to_thread(begun.wait, 30)
        waiting = asyncio.ensure_future(add(store, 1))
        # It is in the queue before the slice ends.
        await asyncio.sleep(0)
        let_go.set()
        assert await waiting
        assert seen == [1]
        await store.close()
