"""The embedded store: one SQLite file in WAL mode, one writer thread, separate readers."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import astuple
from functools import partial
from typing import TYPE_CHECKING, Any

import aiosqlite
import orjson

from reactor.errors import StoreError
from reactor.store.contract import (
    NO_BOUND,
    AttemptRow,
    Backlog,
    DeadLetterRow,
    EventRow,
    OpenBatch,
    OutgoingRow,
    PendingRun,
    StepRow,
    StoredRun,
    StoreStatistics,
)
from reactor.store.sqlite import outbox
from reactor.store.sqlite import statements as sql
from reactor.store.sqlite.blocks import event_in, unpack
from reactor.store.sqlite.connection import DATABASE, as_open_error, open_for_writing
from reactor.store.sqlite.directory import prepare_directory
from reactor.store.sqlite.lock import StateLock
from reactor.store.sqlite.operations import (
    Accept,
    BatchApplier,
    Call,
    Rows,
    add_tally,
    cursor_rows,
)
from reactor.store.sqlite.upkeep import count_deaths, redrive, remove_settled
from reactor.store.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from reactor.errors import StoreStoppedError
    from reactor.store.contract import BatchRow, Offer, Retention, RunEnd


def _ignore_commit(seconds: float, size: int) -> None:
    """Nobody measures."""


def _ignore_stop(error: StoreStoppedError) -> None:
    """Nobody asked to be told; every later write raises it."""


def _ignore_space(is_full: bool) -> None:
    """Take no note of the disk being full or not."""


class SqliteStore:
    """Use `await SqliteStore.open(directory)`. One per directory and process; others get StateInUseError."""

    def __init__(
        self, directory: Path, lock: StateLock, writer: Writer, applier: BatchApplier
    ) -> None:
        self.directory = directory
        self._lock = lock
        self._applier = applier
        self._writer = writer
        self._reading = 0
        self._reader: aiosqlite.Connection | None = None

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        observe: Callable[[float, int], None] = _ignore_commit,
        stopped: Callable[[StoreStoppedError], None] = _ignore_stop,
        filled: Callable[[bool], None] = _ignore_space,
    ) -> SqliteStore:
        """Open, creating and migrating where needed.

        `observe` is told the seconds and size of every commit; `stopped` once, when a storage error ends all writing;
        `filled` when the disk is full, and when it takes writes again. Raises StateInUseError, SchemaError,
        SettingsError or StoreFullError.
        """
        prepare_directory(directory)
        lock = StateLock(directory)
        path = directory / DATABASE
        applier = BatchApplier()
        writer = Writer(
            partial(_open_for_writing, path, applier),
            path,
            applier,
            observe=observe,
            stopped=stopped,
            filled=filled,
        )
        try:
            await writer.open()
            store = cls(directory, lock, writer, applier)
            store._reader = await _open_for_reading(path)
        except BaseException:
            await writer.close()
            lock.release()
            raise
        return store

    async def close(self) -> None:
        if self._reader is not None:
            await self._reader.close()
            self._reader = None
        await self._writer.close()
        self._lock.release()

    def statistics(self) -> StoreStatistics:
        return StoreStatistics(
            waiting=self._writer.waiting + self._reading,
            is_full=self._writer.is_full,
            is_stopped=self._writer.failure is not None,
            commits=self._writer.commits,
        )

    def accept(
        self, offer: Offer, sensor: str, cursor: Mapping[str, bytes | None]
    ) -> Awaitable[list[bool]]:
        return self._writer.write(Accept(offer, sensor, cursor))

    async def skip(
        self, sensor: str, occurrence: str, reason: str, at: int, cursor: Mapping[str, bytes | None]
    ) -> bool:
        def apply(connection: sqlite3.Connection) -> bool:
            added = connection.execute(
                sql.INSERT_SKIPPED, (sensor, occurrence, reason, at)
            ).rowcount
            if added:
                add_tally(connection, {("sensor", sensor, "skipped"): 1})
            _move(connection, sensor, cursor)
            return bool(added)

        return bool(await self._writer.write(Call(apply)))

    async def move_cursor(self, sensor: str, cursor: Mapping[str, bytes | None]) -> None:
        await self._writer.write(Call(lambda connection: _move(connection, sensor, cursor)))

    async def start_runs(self, runs: Sequence[int], at: int) -> None:
        await self._writer.write(Rows({sql.START_RUN: [(at, run) for run in runs]}))

    async def add_batches(self, batches: Sequence[BatchRow]) -> None:
        def apply(connection: sqlite3.Connection) -> None:
            connection.executemany(sql.INSERT_BATCH, [astuple(one) for one in batches])
            last = batches[-1]
            add_tally(connection, {("workflow", last.workflow, "fired"): len(batches)})
            _move(connection, sql.BATCH_CURSOR.format(last.workflow), {"last": b"%d" % last.last})

        await self._writer.write(Call(apply))

    async def open_batch(
        self, workflow: str, sensors: Sequence[str], since: int, most: int
    ) -> OpenBatch | None:
        cursor = sql.BATCH_CURSOR.format(workflow)
        kept = (await self.cursor(cursor)).get("last")
        if kept is None:
            await self.move_cursor(cursor, {"last": b"%d" % since})
        last = since if kept is None else int(kept)
        wanted = {"since": last, "sensors": orjson.dumps([*sensors]).decode()}
        spans = [
            (begin, end, accepted_at)
            for begin, end, accepted_at, decisions in await self._all(sql.GATHERED_SINCE, wanted)
            if _is_gathered(workflow, decisions)
        ]
        if not spans:
            return None
        seqs = [seq for begin, end, _ in spans for seq in range(begin, end + 1)][:most]
        return OpenBatch(count=len(seqs), first=seqs[0], last=seqs[-1], oldest_at=spans[0][2])

    async def release_runs(self) -> None:
        await self._writer.write(Rows({sql.RELEASE_RUNS: [()]}))

    def finish_steps(
        self,
        steps: Sequence[StepRow],
        ends: Sequence[RunEnd] = (),
        outgoing: Sequence[OutgoingRow] = (),
    ) -> Awaitable[None]:
        rows: dict[sql.Statement, Sequence[sql.Row]] = {sql.INSERT_STEP: steps}
        if ends:
            rows[sql.FINISH_RUN] = ends
        size_bytes = sum([len(step.result or b"") for step in steps])
        if outgoing:
            rows |= outbox.emitted_rows(outgoing)
            size_bytes += sum(len(row.payload) for row in outgoing)
        return self._writer.write(Rows(rows, size_bytes))

    async def outbox_backlogs(self) -> list[Backlog]:
        return [Backlog(*row) for row in await self._all(sql.OUTBOX_BACKLOGS, ())]

    async def outbox_window(self, lane: str, *, rows: int, size_bytes: int) -> list[OutgoingRow]:
        wanted = {"lane": lane, "rows": rows, "size_bytes": size_bytes}
        return [OutgoingRow(*row) for row in await self._all(sql.OUTBOX_WINDOW, wanted)]

    def delivered(self, outgoing: Sequence[int]) -> Awaitable[None]:
        return self._writer.write(Call(partial(outbox.delivered, outgoing=outgoing)))

    async def park_outgoing(self, outgoing: int, letter: DeadLetterRow) -> bool:
        parked: bool = await self._writer.write(
            Call(partial(outbox.park, outgoing=outgoing, letter=letter), len(letter.raw))
        )
        return parked

    async def record_attempt(self, attempt: AttemptRow, *, is_waiting: bool) -> None:
        row = (
            attempt.run,
            attempt.step,
            attempt.attempt,
            attempt.outcome,
            attempt.started_at,
            attempt.finished_at,
            attempt.error,
            attempt.next_at,
        )
        rows: dict[sql.Statement, Sequence[sql.Row]] = {sql.INSERT_ATTEMPT: [row]}
        if is_waiting:
            rows[sql.WAIT_RUN] = [(attempt.run,)]
        await self._writer.write(Rows(rows))

    async def count_deaths(self, *, most: int, at: int) -> list[DeadLetterRow]:
        parked: list[DeadLetterRow] = await self._writer.write(
            Call(partial(count_deaths, most=most, at=at))
        )
        return parked

    async def dead_letters(
        self, *, ids: Sequence[int] | None, reason: str | None
    ) -> list[DeadLetterRow]:
        wanted = None if ids is None else orjson.dumps([*ids]).decode()
        rows = await self._all(sql.SELECT_DEAD_LETTERS, {"ids": wanted, "reason": reason})
        return [
            DeadLetterRow(
                id=row[0],
                sensor=row[1],
                event_id=row[2],
                reason=row[3],
                detail=row[4],
                raw=row[5],
                created_at=row[6],
                workflow=row[7],
                event=row[8],
                run=row[9],
                subject=row[10],
                outgoing=row[11],
            )
            for row in rows
        ]

    async def redrive(self, letter: DeadLetterRow, offer: Offer | None, at: int) -> bool:
        settled: bool = await self._writer.write(
            Call(partial(redrive, applier=self._applier, letter=letter, offer=offer, at=at))
        )
        return settled

    async def save_definitions(self, definitions: Mapping[str, str], at: int) -> None:
        def apply(connection: sqlite3.Connection) -> None:
            connection.execute(sql.DELETE_DEFINITIONS)
            rows = [(name, definition, at) for name, definition in definitions.items()]
            connection.executemany(sql.INSERT_DEFINITION, rows)

        await self._writer.write(Call(apply))

    async def remove_settled(self, retention: Retention) -> int:
        removed: int = await self._writer.write(
            Call(partial(remove_settled, identities=self._applier.identities, retention=retention))
        )
        return removed

    async def cursor(self, sensor: str) -> dict[str, bytes]:
        return dict(await self._all(sql.SELECT_CURSOR, (sensor,)))

    async def pending_counts(self, below: int = NO_BOUND) -> dict[str, int]:
        return dict(await self._all(sql.PENDING_COUNTS, (below,)))

    async def pending_runs(self, workflow: str, after: int, limit: int) -> list[PendingRun]:
        rows = await self._all(sql.PENDING_RUNS, (workflow, after, limit))
        return [PendingRun(run, key) for run, key in rows]

    async def pending_heads(self, workflow: str, after_key: str, limit: int) -> list[PendingRun]:
        parameters = {"workflow": workflow, "after": after_key, "limit": limit}
        rows = await self._all(sql.PENDING_HEADS, parameters)
        return [PendingRun(run, key) for run, key in rows]

    async def load_runs(self, runs: Sequence[int]) -> list[StoredRun]:
        wanted = orjson.dumps([*runs]).decode()
        heads = await self._all(sql.SELECT_RUNS, (wanted,))
        steps: defaultdict[int, list[StepRow]] = defaultdict(list)
        attempts: defaultdict[int, list[AttemptRow]] = defaultdict(list)
        # A run that never started has neither, which spares most of a backlog two more look-ups.
        begun = orjson.dumps([row[0] for row in heads if row[6] is not None]).decode()
        if begun != "[]":
            for row in await self._all(sql.SELECT_STEPS, (begun,)):
                steps[row[0]].append(StepRow(*row))
            for row in await self._all(sql.SELECT_ATTEMPTS, (begun,)):
                attempts[row[0]].append(AttemptRow(*row))
        batches: Mapping[int, Sequence[EventRow]] = {}
        if any(row[17] is not None for row in heads):
            batches = await self._batches(wanted)
        loaded = []
        for row in heads:
            event = EventRow(*row[7:17]) if row[8] is not None else await self._in_block(row[7])
            if event is not None:
                stored = StoredRun(
                    id=row[0],
                    workflow=row[1],
                    key=row[2],
                    state=row[3],
                    deaths=row[4],
                    created_at=row[5],
                    started_at=row[6],
                    event=event,
                    steps=steps[row[0]],
                    attempts=attempts[row[0]],
                    batch=batches.get(row[0], ()),
                )
                loaded.append(stored)
        return loaded

    async def _batches(self, wanted: str) -> Mapping[int, Sequence[EventRow]]:
        """Return what was gathered for each of these runs, in the order of its numbers."""
        batches: defaultdict[int, list[EventRow]] = defaultdict(list)
        for run, workflow, *event in await self._all(sql.EVENTS_OF_BATCH, (wanted,)):
            if _is_gathered(workflow, event[-1]):
                batches[run].append(EventRow(*event))
        for run, workflow, first, last, *block in await self._all(sql.BLOCKS_OF_BATCH, (wanted,)):
            events = unpack(block)
            if _is_gathered(workflow, events[0].decisions):
                batches[run] += [event for event in events if first <= event.seq <= last]
        for events in batches.values():
            events.sort()
        return batches

    async def event(self, seq: int) -> EventRow | None:
        rows = await self._all(sql.SELECT_EVENT, (seq,))
        return EventRow(*rows[0]) if rows else await self._in_block(seq)

    async def _in_block(self, seq: int) -> EventRow | None:
        """Return an event that has no row of its own."""
        return event_in(await self._all(sql.BLOCK_OF_EVENT, {"seq": seq}), seq)

    async def largest_id(self) -> int:
        return int((await self._all(sql.LARGEST_ID, ()))[0][0])

    async def _all(self, statement: str, parameters: Any) -> list[Any]:
        if self._reader is None:
            raise StoreError("the store is closed")
        try:
            self._reading += 1
            try:
                return list(await self._reader.execute_fetchall(statement, parameters))
            finally:
                self._reading -= 1
        except sqlite3.Error as error:
            raise StoreError(f"the database could not be read: {error}") from error


def _open_for_writing(path: Path, applier: BatchApplier) -> sqlite3.Connection:
    """Return the connection of the writer, when the applier has read what it needs. For the writer's thread."""
    connection = open_for_writing(path)
    try:
        applier.load(connection)
    except BaseException:
        connection.close()
        raise
    return connection


async def _open_for_reading(path: Path) -> aiosqlite.Connection:
    """Return a connection that neither writes nor checkpoints. Raises as `as_open_error` says."""
    try:
        reader = await aiosqlite.connect(path, isolation_level=None)
        try:
            await reader.execute("PRAGMA query_only = ON")
            await reader.execute("PRAGMA wal_autocheckpoint = 0")
        except BaseException:
            await reader.close()
            raise
    except sqlite3.DatabaseError as error:
        raise as_open_error(error, path) from error
    return reader


def _move(connection: sqlite3.Connection, sensor: str, cursor: Mapping[str, bytes | None]) -> None:
    for statement, row in cursor_rows(sensor, cursor):
        connection.execute(statement, row)


def _is_gathered(workflow: str, decisions: str) -> bool:
    return any(row[:2] == [workflow, "gathered"] for row in orjson.loads(decisions))
