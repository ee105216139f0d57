"""The group commit of all that is measured beside Reactor: rows of many callers, one flush of the disk.

Peers in environments of their own import it too, so it needs nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class GroupCommit:
    """Rows gather while a commit is under way; the next commit takes all of them and wakes who waits, once."""

    def __init__(self, path: Path, schema: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 4000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(schema)
        self._rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._waiting: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()

    def put(self, statement: str, row: tuple[Any, ...]) -> None:
        """Add a row to the next commit."""
        self._rows[statement].append(row)

    def durable(self) -> asyncio.Future[None]:
        """Return what is done once all that was put so far is on disk."""
        future = self._loop.create_future()
        self._waiting.append(future)
        self._wake.set()
        return future

    async def run(self) -> None:
        """Commit until cancelled. What fails fails all who wait."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            rows, self._rows = self._rows, defaultdict(list)
            waiting, self._waiting = self._waiting, []
            await self._loop.run_in_executor(None, self._commit, rows)
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def _commit(self, rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for statement, some in rows.items():
            self._connection.executemany(statement, some)
        self._connection.execute("COMMIT")
