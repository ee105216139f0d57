"""G9: a writer at full rate beside readers that always hold a snapshot."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from reactor.errors import ReactorError
from reactor.store.contract import EventRow, Offer, Retention
from reactor.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

MOST_JOURNAL_BYTES = 64_000_000
CALLERS = 32
READERS = 3
# How long a page of a user interface may look at one state of the database.
READ_SECONDS = 0.3
PAYLOAD_BYTES = 4_000
# What a retention leaves, so that an hour at full rate does not fill the disk.
KEPT_EVENTS = 20_000
REMOVED_AT_ONCE = 500


@dataclass(slots=True)
class Flood:
    """Use once: `await Flood(folder, seconds=…).run()`, then read the figures. `findings` is empty if all is well."""

    folder: Path
    seconds: float
    findings: list[str] = field(default_factory=list)
    events: int = 0
    reads: int = 0
    largest_journal_bytes: int = 0
    longest_answer_seconds: float = 0.0
    _ends_at: float = 0.0
    _seqs: count[int] = field(default_factory=lambda: count(1))

    async def run(self) -> None:
        """Write and read for that long."""
        store = await SqliteStore.open(self.folder)
        self._ends_at = time.monotonic() + self.seconds
        readers = [threading.Thread(target=self._read, name=f"reader {n}") for n in range(READERS)]
        for reader in readers:
            reader.start()
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(CALLERS):
                    group.create_task(self._write(store), name=f"caller {number}")
                group.create_task(self._remove(store), name="retention")
        finally:
            for reader in readers:
                await asyncio.to_thread(reader.join)
            await store.close()
        if self.largest_journal_bytes > MOST_JOURNAL_BYTES:
            self.findings.append(f"G9: the journal grew to {self.largest_journal_bytes} bytes")

    async def _write(self, store: SqliteStore) -> None:
        journal = self.folder / "reactor.db-wal"
        while (asked_at := time.monotonic()) < self._ends_at:
            seq = next(self._seqs)
            event = EventRow(
                seq, "s", str(seq), "s", "t", None, seq, seq, bytes(PAYLOAD_BYTES), "[]"
            )
            try:
                await store.accept(Offer([event]), "s", {"k": b"%d" % seq})
            except ReactorError as error:
                self.findings.append(f"G9: a write was refused: {error}")
                return
            self.events += 1
            answer = time.monotonic() - asked_at
            self.longest_answer_seconds = max(self.longest_answer_seconds, answer)
            size = journal.stat().st_size
            self.largest_journal_bytes = max(self.largest_journal_bytes, size)

    async def _remove(self, store: SqliteStore) -> None:
        while time.monotonic() < self._ends_at:
            newest = await store.largest_id()
            retention = Retention(before=newest - KEPT_EVENTS, limit=REMOVED_AT_ONCE)
            if await store.remove_settled(retention) < REMOVED_AT_ONCE:
                # Until there is something to remove again.
                await asyncio.sleep(0.05)

    def _read(self) -> None:
        """Look at one state for a while, again and again, without a gap that the writer could wait for."""
        place = f"file:{self.folder / 'reactor.db'}?mode=ro"
        pause = threading.Event()
        while time.monotonic() < self._ends_at:
            try:
                with closing(sqlite3.connect(place, uri=True, isolation_level=None)) as database:
                    database.execute("BEGIN")
                    first = database.execute("SELECT max(seq) FROM event").fetchone()
                    pause.wait(READ_SECONDS)
                    database.execute("SELECT * FROM event ORDER BY seq DESC LIMIT 500").fetchall()
                    if database.execute("SELECT max(seq) FROM event").fetchone() != first:
                        self.findings.append("G9: a reader saw two states in one transaction")
                    database.execute("COMMIT")
            except sqlite3.Error as error:
                self.findings.append(f"G9: a reader was refused: {error}")
                return
            self.reads += 1
