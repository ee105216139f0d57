"""The store of a simulation: the SQLite store's own SQL, transactions and batches, without its thread and its file.

The database is in memory and outlives the simulated process. Commits happen in one step of the loop, some time after
the write was asked for and some time before anybody hears of it, so that a death can fall on either side.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from reactor.store.sqlite import SqliteStore
from reactor.store.sqlite.connection import migrate
from reactor.store.sqlite.operations import BatchApplier
from reactor.store.sqlite.writer import Write, Writer

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    import aiosqlite

    from reactor.errors import StoreStoppedError
    from reactor.store.sqlite.lock import StateLock

NOWHERE = Path("simulated")
# Between the moment a write is asked for, its commit, and the answer; a long one now and then, like a stalled fsync.
USUAL_SECONDS = 0.002
STALL_SECONDS = 1.5
STALLS_IN = 200


class Disk:
    """What a death leaves: the database, and what the disk will do wrong next."""

    def __init__(self, luck: random.Random) -> None:
        self.luck = luck
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.deserialize(_empty_database())
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.is_full: Callable[[], bool] = lambda: False
        # The next commit fails for good: True when its transaction is found durable afterwards all the same.
        self.breaks: bool | None = None
        self.committed: Callable[[Sequence[Any]], None] = lambda operations: None

    def latency(self) -> float:
        """Return the seconds that something takes."""
        if self.luck.randrange(STALLS_IN) == 0:
            return self.luck.random() * STALL_SECONDS
        return self.luck.random() * USUAL_SECONDS

    def rows(self, statement: str, *parameters: Any) -> list[Any]:
        """Return the rows of a query, as an onlooker sees them."""
        return self.connection.execute(statement, parameters).fetchall()

    def close(self) -> None:
        self.connection.close()


@cache
def _empty_database() -> bytes:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, NOWHERE)
    content = connection.serialize()
    connection.close()
    return content


class SimulatedStore(SqliteStore):
    """The SQLite store over a `Disk`. Made inside the loop; another one over the same disk follows after a death."""

    def __init__(
        self,
        disk: Disk,
        *,
        stopped: Callable[[StoreStoppedError], None] = lambda error: None,
        releasing: Callable[[], None] = lambda: None,
    ) -> None:
        self._releasing = releasing
        applier = BatchApplier()
        applier.load(disk.connection)
        writer = SimulatedWriter(disk, applier, stopped)
        super().__init__(NOWHERE, cast("StateLock", None), writer, applier)
        self._reader = cast("aiosqlite.Connection", SimulatedReader(disk))

    async def release_runs(self) -> None:
        self._releasing()
        await super().release_runs()

    async def close(self) -> None:
        self._reader = None
        await self._writer.close()


class SimulatedReader:
    """Reads as the reader's connection does: the answer is older than its arrival."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def execute_fetchall(self, statement: str, parameters: Any) -> list[Any]:
        await asyncio.sleep(self._disk.latency())
        rows = self._disk.connection.execute(statement, parameters).fetchall()
        await asyncio.sleep(self._disk.latency())
        return rows


class SimulatedWriter(Writer):
    """The real writer's batches, transactions and errors, on the loop's own time in the place of a thread's."""

    def __init__(
        self, disk: Disk, applier: BatchApplier, stopped: Callable[[StoreStoppedError], None]
    ) -> None:
        super().__init__(
            lambda: disk.connection,
            NOWHERE,
            applier,
            observe=lambda seconds, size: None,
            stopped=stopped,
            filled=lambda is_full: None,
        )
        self._disk = disk
        self._is_busy = False
        self._answers: deque[list[Write]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> None:
        """There is nothing to open: the disk is."""

    def write(self, operation: Any) -> asyncio.Future[Any]:
        future = super().write(operation)
        self._idle.clear()
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_later(self._disk.latency(), self._work_off)
        return future

    async def close(self) -> None:
        await self._idle.wait()

    def _work_off(self) -> None:
        batch = self._take() or []
        if self.failure is None:
            self._commit(self._disk.connection, batch)
        else:
            for write in batch:
                write.error = self.failure
        self._answers.append(batch)
        self._loop.call_later(self._disk.latency(), self._answer)
        self._is_busy = not self._queue.empty()
        if self._is_busy:
            self._loop.call_later(self._disk.latency(), self._work_off)

    def _answer(self) -> None:
        # In the order of the commits, whatever each answer's own delay was.
        self._finish(self._answers.popleft(), 0.0)
        if not self._answers and not self._is_busy:
            self._idle.set()

    def _transact(self, connection: sqlite3.Connection, batch: list[Write]) -> None:
        operations = [write.operation for write in batch]
        if self._disk.is_full():
            connection.execute("BEGIN IMMEDIATE")
            self._applier.apply(connection, operations)
            connection.execute("ROLLBACK")
            self._applier.rolled_back()
            raise storage_error("database or disk is full", sqlite3.SQLITE_FULL)
        breaks, self._disk.breaks = self._disk.breaks, None
        if breaks is None or breaks:
            super()._transact(connection, batch)
            self._disk.committed(operations)
        if breaks is not None:
            raise storage_error("disk I/O error", sqlite3.SQLITE_IOERR)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_soon(function, *arguments)


def storage_error(text: str, code: int) -> sqlite3.OperationalError:
    """Return an error as SQLite raises it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error
