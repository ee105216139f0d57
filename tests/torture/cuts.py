"""G2: a store is recorded at work, its disk is rebuilt as any power cut may leave it, and the store opens that.

What is asked of each disk that a cut leaves: the store opens it; SQLite's own check finds no fault; its content is
exactly that after one of the commits that the cut allows, so nothing is there by half; every fact that was
acknowledged before the cut, and not withdrawn, is true; and the store takes a new event, and none that it has.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from bisect import bisect_left, bisect_right
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest.mock import patch

from reactor.errors import ReactorError
from reactor.store.contract import EventRow, Offer
from reactor.store.sqlite import SqliteStore, connection, filters, identities, journal, ranges
from reactor.store.sqlite.journal import Journal
from tests.torture.disks import IdleDisk
from tests.torture.images import Platter
from tests.torture.recording import Acknowledged, Recording, Synced, Withdrawn, Wrote
from tests.torture.vfs import layered
from tests.torture.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.torture.images import Image
    from tests.torture.recording import Entry
    from tests.torture.workload import Fact

LIVES = 2
# Small, so that a short run sees the journal emptied many times.
CHECKPOINT_BYTES = 200_000
# What a peak leaves is given back from here on, and zeros are written ahead of commits, as often as is possible.
KEPT_BYTES = 220_000
AHEAD = {"AHEAD_BYTES": 64_000, "LONGEST_BYTES": 200_000, "SLICE_BYTES": 16_000}
# So few events are a segment of identities, which is written over as many commits as there can be.
SEGMENTS = {"SEGMENT_EVENTS": 16, "FEWEST_ROWS": 1, "ROWS_PER_EVENT": 1}
SMALLEST_RANGE = 2
PLACE_BITS = 9
# Above every id of the workload.
AFTERWARDS = 1_000_000_000


class _Told:
    """A witness that puts acknowledgements among the writes."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def asked(self) -> None:
        """Nothing is needed to tell the answers apart."""

    def told(self, asked: object, fact: int) -> None:
        self._recording.acknowledge(fact)

    def refused(self, asked: object, error: ReactorError) -> None:
        raise error

    def withdraw(self, fact: int) -> None:
        self._recording.withdraw(fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run on a sound disk: all entries, and the facts that they acknowledge."""

    entries: Sequence[Entry]
    facts: Sequence[Fact]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a cut left is not what was promised. `image` is that disk."""

    position: int
    why: str
    image: Image

    def __str__(self) -> str:
        return f"G2: cut after entry {self.position}: {self.why}"


async def record(folder: Path, seed: str) -> Record:
    """Run the workload on a new store in `folder`, over two lives, and return what happened to the disk."""
    folder.mkdir(mode=0o700)
    recording = Recording()
    workload = Workload(seed, _Told(recording))
    with ExitStack() as stack:
        stack.enter_context(layered(folder, recording))
        stack.enter_context(small_journal(beside_bytes=1))
        stack.enter_context(_room_ahead(recording))
        stack.enter_context(_small_segments())
        for _ in range(LIVES):
            store = await SqliteStore.open(folder)
            await workload.live(store)
            await store.close()
    return Record(entries=recording.entries, facts=workload.facts)


def small_journal(*, beside_bytes: int) -> ExitStack:
    """Return a context in which the journal is emptied at a size that a short run reaches.

    One of `beside_bytes` or more is written back beside the commits before.
    """
    stack = ExitStack()
    for name, value in (
        *(("CHECKPOINT_BYTES", CHECKPOINT_BYTES), ("LOOK_BYTES", 1)),
        ("BESIDE_BYTES", beside_bytes),
    ):
        stack.enter_context(patch(f"reactor.store.sqlite.writer.{name}", value))
    limited = [*connection._PRAGMAS, f"PRAGMA journal_size_limit = {KEPT_BYTES}"]
    stack.enter_context(patch.object(connection, "_PRAGMAS", limited))
    return stack


def _small_segments() -> ExitStack:
    """Return a context in which identities become segments and ranges in a short run, and are found in them."""
    stack = ExitStack()
    for name, value in SEGMENTS.items():
        stack.enter_context(patch.object(identities, name, value))
    stack.enter_context(patch.object(ranges, "SMALLEST_RANGE", SMALLEST_RANGE))
    stack.enter_context(patch.object(filters, "PLACE_BITS", PLACE_BITS))
    return stack


def _room_ahead(recording: Recording) -> ExitStack:
    """Return a context in which the journal is lengthened whenever nothing waits, and the recording told of it.

    That does not pass through SQLite, nor through the layer below it.
    """
    stack = ExitStack()
    for name in ("QUIET_SECONDS", "START_SECONDS"):
        stack.enter_context(patch(f"reactor.store.sqlite.writer.{name}", 0.0))
    for name, value in AHEAD.items():
        stack.enter_context(patch.object(journal, name, value))
    extend = Journal.extend

    def extend_and_tell(journal_of_writer: Journal) -> None:
        name = journal_of_writer._path.name
        zeros = bytes(AHEAD["SLICE_BYTES"])
        recording.write(name, journal_of_writer._path.stat().st_size, zeros)
        extend(journal_of_writer)
        recording.synced(name, with_directory=False)

    stack.enter_context(patch.object(Journal, "extend", extend_and_tell))
    return stack


@dataclass(slots=True)
class Cuts:
    """Tries the cuts of one record, in a scratch folder. `await prepare()` first."""

    record: Record
    scratch: Path
    # Contents after each commit: where in the record it is complete, and its digest.
    _ends: list[int] = field(default_factory=list)
    _digests: list[str] = field(default_factory=list)
    _count: int = 0

    async def prepare(self) -> int:
        """Find out what the content is after each commit; return how many different contents there are."""
        platter, luck = Platter(), random.Random(0)
        is_written = True
        for position, entry in enumerate(self.record.entries, start=1):
            platter.follow(entry)
            is_written |= isinstance(entry, Wrote)
            if is_written and isinstance(entry, Acknowledged | Synced):
                is_written = False
                digest, why = await self._open(platter.image(luck, "kept"), ())
                if why:
                    raise AssertionError(f"a disk on which everything landed is refused: {why}")
                if not self._digests or self._digests[-1] != digest:
                    self._ends.append(position)
                    self._digests.append(digest)
        return len(self._digests)

    async def losses(
        self,
        positions: Sequence[int],
        luck: random.Random,
        *,
        platter: Platter | None = None,
        progress: Callable[[], object] = lambda: None,
    ) -> list[Loss]:
        """Cut at each of these positions, once for each time that it is named; return what was lost or torn."""
        found = []
        for position, image in _images(self.record.entries, sorted(positions), luck, platter):
            why = await self._judge(position, image)
            if why:
                found.append(Loss(position=position, why=why, image=image))
            progress()
        return found

    async def _judge(self, position: int, image: Image) -> str:
        """Return what is wrong with the disk that a cut after this many entries left, "" for nothing."""
        past = self.record.entries[:position]
        due = {entry.fact for entry in past if isinstance(entry, Acknowledged)}
        due -= {entry.fact for entry in past if isinstance(entry, Withdrawn)}
        digest, why = await self._open(image, [self.record.facts[fact] for fact in sorted(due)])
        if why:
            return why
        last_told = max(
            (n for n, e in enumerate(past, 1) if isinstance(e, Acknowledged)), default=0
        )
        # Between the commit that was acknowledged last and the one that was under way.
        first = max(bisect_right(self._ends, last_told) - 1, 0)
        last = bisect_left(self._ends, position)
        if digest not in self._digests[first : last + 1]:
            known = self._digests.index(digest) if digest in self._digests else None
            return (
                f"the content is that after commit {known}, and not after {first} to {last}"
                if known is not None
                else "the content is not that after any commit"
            )
        return ""

    async def _open(self, image: Image, facts: Sequence[Fact]) -> tuple[str, str]:
        """Return the digest of what the store makes of this disk, and what is wrong with it."""
        folder = self.scratch / str(self._count)
        self._count += 1
        folder.mkdir(mode=0o700)
        for name, content in image.items():
            (folder / name).write_bytes(content)
        try:
            with layered(folder, IdleDisk()), _small_segments():
                return await _look(folder, facts)
        finally:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()


async def _look(folder: Path, facts: Sequence[Fact]) -> tuple[str, str]:
    try:
        store = await SqliteStore.open(folder)
    except ReactorError as error:
        return "", f"the store cannot be opened: {error}"
    try:
        with closing(sqlite3.connect(folder / "reactor.db", isolation_level=None)) as database:
            digest, why = inspect(database, facts)
            known = database.execute("SELECT source, id FROM event").fetchall()
        events = [
            EventRow(seq, source, name, "after", "t", None, 0, 0, b"", "[]")
            for seq, (source, name) in enumerate([("after", "1"), *known], AFTERWARDS)
        ]
        if not why and await store.accept(Offer(events), "after", {}) != [True] + [False] * len(
            known
        ):
            why = "the store takes no new event, or one that it has"
    except (ReactorError, sqlite3.Error) as error:
        return "", f"the store cannot be used: {error}"
    finally:
        await store.close()
    return digest, why


def inspect(database: sqlite3.Connection, facts: Sequence[Fact]) -> tuple[str, str]:
    """Return a digest of all content, and what is wrong with it, "" for nothing."""
    checks = [row[0] for row in database.execute("PRAGMA integrity_check")]
    if checks != ["ok"]:
        return "", f"the database is corrupt: {checks[:3]}"
    if database.execute("PRAGMA foreign_key_check").fetchone() is not None:
        return "", "a row refers to one that is missing"
    for table in ("run", "dead_letter"):
        # Not checked by the database: an event may be part of a block.
        lost = f"SELECT 1 FROM {table} WHERE event NOT IN (SELECT seq FROM event)"  # of constants
        if database.execute(lost).fetchone() is not None:
            return "", f"a row of {table} refers to an event that is missing"
    for fact in facts:
        answer = database.execute(fact.query, fact.parameters).fetchone()
        if answer != fact.answer:
            return "", f"acknowledged and not so: {fact.query} {fact.parameters}: {answer!r:.100}"
    digest = hashlib.sha256()
    tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
    for (table,) in database.execute(tables).fetchall():
        rows = database.execute(f'SELECT * FROM "{table}"').fetchall()
        digest.update(repr((table, sorted(rows, key=repr))).encode())
    return digest.hexdigest(), ""


def _images(
    entries: Sequence[Entry],
    positions: Sequence[int],
    luck: random.Random,
    platter: Platter | None,
) -> Iterator[tuple[int, Image]]:
    """Yield a disk for each position, in order."""
    platter = platter or Platter()
    followed = 0
    for position in positions:
        for entry in entries[followed:position]:
            platter.follow(entry)
        followed = position
        yield position, platter.image(luck)
