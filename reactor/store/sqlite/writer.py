"""The one thread that writes. Whole transactions cross to it, never statements.

It takes everything that waits, runs it between one BEGIN IMMEDIATE and one COMMIT with synchronous=FULL, and wakes
the callers once. So a caller's cancellation cannot tear a transaction, and a thousand callers share one fsync.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol

from reactor.clock import monotonic
from reactor.errors import ReactorError, StoreError, StoreFullError, StoreStoppedError
from reactor.store.sqlite.connection import as_store_error, is_full
from reactor.store.sqlite.journal import Journal, journal_of
from reactor.store.sqlite.write_back import WriteBack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LARGEST_BATCH = 4096
# A batch is one transaction, and all of it stands in the journal before any of that can be emptied.
LARGEST_BATCH_BYTES = 8 * 1024 * 1024
# While a write of so many rows waits or is made, threads keep each other from the interpreter for a twentieth of a
# millisecond at most, in the place of 5: the writer begins while the loop goes on with what came before, and both
# processors are at work. Else all that is in flight becomes one write, and one of the two always waits for the other.
# Writes of fewer rows, as thirty webhooks make them, are quicker one after the other.
LARGE_ROWS = 128
SWITCH_SECONDS = 0.00005
CHECKPOINT_BYTES = 16 * 1024 * 1024
# A journal so large is written back in a thread beside the commits first; to empty it then takes a moment.
BESIDE_BYTES = 4 * 1024 * 1024
# From here on writers wait until the readers that keep the journal from being emptied have gone, for so long at most:
# a reader that never ends must not end all writing. So the journal stays below 64 MB while no read takes half as long.
HOLD_BYTES = 36 * 1024 * 1024
HOLD_SECONDS = 5.0
# One long wait would starve: SQLite waits for a reader's slot to be free, and the next reader takes that slot. Each
# new try looks anew at which slots still matter.
TRY_MILLISECONDS = 20
# How much the journal may have grown since it was looked at, by a generous guess: pages of 4 KiB that a commit, and
# each write in it, touches.
LOOK_BYTES = 4 * 1024 * 1024
BYTES_PER_COMMIT = 64 * 1024
BYTES_PER_WRITE = 8 * 1024
# The journal is made longer ahead of commits once none came for so long, and not while the daemon starts, which it
# would delay.
QUIET_SECONDS = 0.01
START_SECONDS = 0.5


class Applier(Protocol):
    """Turns a batch of operations into statements."""

    def apply(self, connection: sqlite3.Connection, batch: Sequence[Any]) -> None:
        """Execute the batch inside the open transaction and set each operation's `result`."""
        ...

    def committed(self) -> None:
        """Hear that what was applied is durable."""
        ...

    def rolled_back(self) -> None:
        """Hear that what was applied never was."""
        ...


class Write:
    """An operation on its way: what to do and who waits for it."""

    __slots__ = ("error", "future", "is_large", "operation")

    def __init__(self, operation: Any, future: asyncio.Future[Any]) -> None:
        self.operation = operation
        self.future = future
        self.is_large: bool = operation.count >= LARGE_ROWS
        self.error: Exception | None = None


class Writer:
    """Owns the write connection and its thread. Made inside the loop whose tasks wait for it."""

    def __init__(
        self,
        open_connection: Callable[[], sqlite3.Connection],
        database: Path,
        applier: Applier,
        *,
        observe: Callable[[float, int], None],
        stopped: Callable[[StoreStoppedError], None],
        filled: Callable[[bool], None],
    ) -> None:
        self._filled = filled
        self._open = open_connection
        self._database = database
        self._journal = Journal(journal_of(database))
        self._checkpoint_at_bytes = CHECKPOINT_BYTES
        self._unseen_bytes = 0
        self._has_started_at = monotonic() + START_SECONDS
        self._is_quiet = False
        self._applier = applier
        self._observe = observe
        self._stopped = stopped
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Write | WriteBack | None] = queue.SimpleQueue()
        # What is under way, and what was told to have ended while a batch was taken.
        self._write_back: WriteBack | None = None
        self._has_ended: WriteBack | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="store writer", daemon=True)
        self.failure: StoreStoppedError | None = None
        self.is_full = False
        self.waiting = 0
        self.commits = 0
        # How many large writes are under way, and what the switch interval was before.
        self._large = 0
        self._usual_switch_seconds = 0.0

    async def open(self) -> None:
        """Start the thread; return when the database is open and migrated, or raise what stopped it."""
        self._thread.start()
        await self._opened

    def write(self, operation: Any) -> asyncio.Future[Any]:
        """Return a future of the operation's result, done once that is durable."""
        if self.failure is not None:
            raise StoreStoppedError(str(self.failure)) from self.failure
        future: asyncio.Future[Any] = self._loop.create_future()
        self.waiting += 1
        write = Write(operation, future)
        if write.is_large:
            if not self._large:
                self._usual_switch_seconds = sys.getswitchinterval()
                sys.setswitchinterval(SWITCH_SECONDS)
            self._large += 1
        self._queue.put(write)
        return future

    async def close(self) -> None:
        """Finish what waits, checkpoint, close the file and end the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
            await self._loop.run_in_executor(None, self._thread.join)

    def _work(self) -> None:
        try:
            connection = self._open()
        except Exception as error:  # noqa: BLE001  # whoever opens it must hear of it
            self._call(_set_exception, self._opened, as_store_error(error))
            return
        self._call(_set_result, self._opened)
        self._journal.plan()
        while (batch := self._take()) is not None:
            if batch and self.failure is not None:
                for write in batch:
                    write.error = self.failure
                self._call(self._finish, batch, 0.0)
            elif batch:
                started = monotonic()
                self._commit(connection, batch)
                self._call(self._finish, batch, monotonic() - started)
            # Between batches, so that no caller's commit waits for it.
            if self._has_ended is not None:
                self._written_back(connection, self._has_ended)
                self._has_ended = None
            elif batch and self.failure is None:
                self._checkpoint(connection, batch)
            elif not batch:
                self._journal.extend()
            self._is_quiet = not batch
        if self._write_back is not None:
            self._write_back.wait()
        self._journal.close()
        connection.close()

    def _take(self) -> list[Write] | None:
        """Return all writes that wait; None when there will be no more.

        None of them only where a write-back has ended, or it is quiet and the journal to be made longer.
        """
        batch: list[Write] = []
        size_bytes = 0
        quiet_seconds = self._quiet_seconds()
        while len(batch) < LARGEST_BATCH and size_bytes < LARGEST_BATCH_BYTES:
            try:
                taken = self._queue.get(not batch and self._has_ended is None, quiet_seconds)
            except queue.Empty:
                break
            if isinstance(taken, WriteBack):
                self._has_ended = taken
            elif taken is not None:
                batch.append(taken)
                size_bytes += taken.operation.size_bytes
            elif batch or self._has_ended is not None:
                self._queue.put(None)
                break
            else:
                return None
        return batch

    def _quiet_seconds(self) -> float | None:
        """Return after how long without a write the journal is to be made longer; None where it is not."""
        if not self._journal.is_short or self.failure is not None:
            return None
        return 0.0 if self._is_quiet else max(QUIET_SECONDS, self._has_started_at - monotonic())

    def _commit(self, connection: sqlite3.Connection, batch: list[Write]) -> None:
        try:
            self._transact(connection, batch)
        except sqlite3.IntegrityError:
            # One of them is wrong. Together they failed together; alone, only the wrong one does.
            for write in batch:
                if self.failure is not None:
                    write.error = self.failure
                    continue
                try:
                    self._transact(connection, [write])
                except (sqlite3.IntegrityError, StoreError) as error:
                    write.error = error if isinstance(error, StoreError) else StoreError(str(error))
                except Exception as error:  # noqa: BLE001  # each caller is told, none waits for ever
                    self._fail(connection, [write], error)
        except Exception as error:  # noqa: BLE001  # each caller is told, none waits for ever
            self._fail(connection, batch, error)

    def _transact(self, connection: sqlite3.Connection, batch: list[Write]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._applier.apply(connection, [write.operation for write in batch])
            connection.execute("COMMIT")
        except BaseException:
            self._applier.rolled_back()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._applier.committed()
        self.commits += 1
        self._become_full(False)

    def _fail(self, connection: sqlite3.Connection, batch: list[Write], error: Exception) -> None:
        failure: ReactorError = as_store_error(error)
        if isinstance(failure, StoreFullError):
            self._become_full(True)
        elif isinstance(error, sqlite3.Error):
            # After a failed write or fsync the kernel may have dropped the pages: nothing read back can be trusted.
            self.failure = StoreStoppedError(
                f"the database failed: {error}; nothing that waited was acknowledged. "
                "Check the disk, then start Reactor again"
            )
            failure = self.failure
            self._call(self._stopped, self.failure)
        for write in batch:
            write.error = failure
        if connection.in_transaction:
            connection.rollback()

    def _become_full(self, is_full: bool) -> None:
        if self.is_full != is_full:
            self.is_full = is_full
            self._call(self._filled, is_full)

    def _checkpoint(self, connection: sqlite3.Connection, batch: Sequence[Write]) -> None:
        # A look at the file costs as much as a small commit: it waits for the interpreter lock.
        self._unseen_bytes += BYTES_PER_COMMIT + sum(
            BYTES_PER_WRITE + write.operation.size_bytes for write in batch
        )
        if self._unseen_bytes < LOOK_BYTES:
            return
        self._unseen_bytes = 0
        self._journal.plan()
        if not self._journal.reaches(self._checkpoint_at_bytes):
            return
        is_large = self._journal.reaches(HOLD_BYTES)
        if self._write_back is not None:
            if is_large:
                self._written_back(connection, self._write_back)
        elif is_large or not self._journal.reaches(BESIDE_BYTES) or not self._begin_write_back():
            self._empty(connection)

    def _begin_write_back(self) -> bool:
        """Return False where no thread is to be had for it."""
        try:
            self._write_back = WriteBack(self._database, self._queue.put)
        except RuntimeError:
            return False
        return True

    def _written_back(self, connection: sqlite3.Connection, ended: WriteBack) -> None:
        """Empty the journal, most of which is in the database now."""
        if ended is not self._write_back:
            # It was waited for before it said so.
            return
        ended.wait()
        self._write_back = None
        if self.failure is not None:
            return
        if ended.error is None:
            self._empty(connection)
        elif not is_full(ended.error):
            self._fail(connection, [], ended.error)

    def _empty(self, connection: sqlite3.Connection) -> None:
        patience_seconds = HOLD_SECONDS if self._journal.reaches(HOLD_BYTES) else 0.0
        try:
            is_busy, frames = self._empty_journal(connection, patience_seconds)
        except sqlite3.Error as error:
            if not is_full(error):
                self._fail(connection, [], error)
            return
        if not is_busy:
            self._journal.empty(frames)
            self._checkpoint_at_bytes = CHECKPOINT_BYTES
            return
        # Readers are in the way, or somebody else writes the journal back, and it is not known how much there is. It is
        # tried again when it has grown some more.
        left = self._journal.bytes_of(frames) if frames >= 0 else self._checkpoint_at_bytes
        self._checkpoint_at_bytes = left + LOOK_BYTES

    def _empty_journal(
        self, connection: sqlite3.Connection, patience_seconds: float
    ) -> tuple[bool, int]:
        """Write the journal back, so that the next commit begins it anew; where readers are in the way, what they let.

        Return whether somebody was in the way, and how many frames there are, -1 where SQLite could not look.
        """
        give_up_at = monotonic() + patience_seconds
        normal = connection.execute("PRAGMA busy_timeout").fetchone()[0]
        connection.execute(f"PRAGMA busy_timeout = {TRY_MILLISECONDS if patience_seconds else 0}")
        try:
            while True:
                is_busy, frames, _ = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
                if not is_busy or monotonic() >= give_up_at:
                    return bool(is_busy), frames
        finally:
            connection.execute(f"PRAGMA busy_timeout = {normal}")

    def _finish(self, batch: list[Write], seconds: float) -> None:
        self.waiting -= len(batch)
        if self._large:
            self._large -= sum([write.is_large for write in batch])
            if not self._large:
                sys.setswitchinterval(self._usual_switch_seconds)
        if seconds:
            self._observe(seconds, len(batch))
        for write in batch:
            future = write.future
            if not future.done():
                if write.error is not None:
                    future.set_exception(write.error)
                else:
                    future.set_result(write.operation.result)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The loop is closed: whoever waited is gone, and what was committed stays committed.
            return


def _set_result(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _set_exception(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
