"""Reading a state directory from outside: for commands, with the daemon up or down.

Nothing is created, changed or checkpointed, and no lock is taken that a writer would wait for.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from reactor.errors import SchemaError, SettingsError, StoreError
from reactor.store.contract import AttemptRow, DeadLetterRow, StepRow
from reactor.store.sqlite.connection import APPLICATION_ID, DATABASE
from reactor.store.sqlite.events import Events

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from reactor.store.contract import EventRow

T = TypeVar("T")

SCHEMA_VERSION = 6
OUTBOX_VERSION = 2
_TRIES = 5
_RUNS = """
SELECT id, workflow, event, key, state, outcome, deaths, created_at, started_at, finished_at, error
FROM run
WHERE (:workflow IS NULL OR workflow = :workflow) AND (:outcome IS NULL OR outcome = :outcome)
  AND (:state IS NULL OR state = :state)
ORDER BY id DESC LIMIT :limit
"""
_RUN_BY_ID = """
SELECT id, workflow, event, key, state, outcome, deaths, created_at, started_at, finished_at, error
FROM run WHERE id = ?
"""
_STEPS = """
SELECT run, name, outcome, attempt, started_at, finished_at, result, error FROM step
WHERE run = ? ORDER BY started_at, finished_at, name
"""
_ATTEMPTS = """
SELECT run, step, attempt, outcome, started_at, finished_at, error, next_at FROM attempt
WHERE run = ? ORDER BY started_at, step, attempt
"""
_DEAD_LETTERS = """
SELECT id, sensor, event_id, reason, detail, substr(raw, 1, 500), created_at, workflow, event, run,
       subject, length(raw), redriven_at
FROM dead_letter
WHERE redriven_at IS NULL AND (:reason IS NULL OR reason = :reason)
ORDER BY id DESC LIMIT :limit
"""
_REJECTED_BY_ID = """
SELECT id, sensor, event_id, reason, detail, substr(raw, 1, 500), created_at, workflow, event, run,
       subject, length(raw), redriven_at
FROM dead_letter WHERE event_id = ? AND event IS NULL AND run IS NULL ORDER BY id
"""
_DEAD_LETTER_REASONS = """
SELECT reason, count(*) FROM dead_letter WHERE redriven_at IS NULL GROUP BY reason ORDER BY reason
"""
_SKIPPED_BY_ID = "SELECT sensor, reason, at FROM skipped WHERE occurrence = ? ORDER BY sensor"
_DEFINITIONS = "SELECT name, definition FROM workflow ORDER BY name"
_TALLY = "SELECT subject, name, kind, count FROM tally"
# What the tally is compared with: the rows themselves, under the names that it uses.
_ROWS = """
SELECT 'sensor', sensor, 'events', sum(count)
FROM (SELECT sensor, count(*) AS count FROM {single} GROUP BY sensor {of_blocks}) GROUP BY sensor
UNION ALL
SELECT 'sensor', sensor, 'rejected', count(*) FROM dead_letter
WHERE event IS NULL AND run IS NULL {is_input} GROUP BY sensor
UNION ALL
SELECT 'sensor', sensor, 'skipped', count(*) FROM skipped GROUP BY sensor
UNION ALL
SELECT 'workflow', workflow, coalesce(outcome, state), count(*) FROM run
GROUP BY workflow, coalesce(outcome, state)
"""

# The outbox is there from schema version 2 on.
_OUTBOX_ROWS = """
UNION ALL
SELECT 'workflow', workflow, 'outbox', count(*) FROM outbox GROUP BY workflow
UNION ALL
SELECT 'workflow', workflow, 'undeliverable', count(*) FROM dead_letter
WHERE outgoing IS NOT NULL AND redriven_at IS NULL GROUP BY workflow
"""
_IS_INPUT = "AND outgoing IS NULL"
_OF_BLOCKS = "UNION ALL SELECT sensor, last - first + 1 FROM event_block"

Counts = dict[tuple[str, str, str], int]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it stands. Instants are microseconds since 1970."""

    id: int
    workflow: str
    event: int
    key: str | None
    state: str
    outcome: str | None
    deaths: int
    created_at: int
    started_at: int | None
    finished_at: int | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterRecord:
    """A dead letter; `raw` is its beginning, `raw_bytes` the size of all of it."""

    letter: DeadLetterRow
    raw_bytes: int
    redriven_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHistory:
    """All that was recorded of a run, in the order in which it began."""

    run: RunRecord
    event: EventRow
    steps: Sequence[StepRow]
    attempts: Sequence[AttemptRow]
    definition: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where an id occurs; `skipped` holds (sensor, reason, instant) of skipped occurrences."""

    events: Sequence[EventRow]
    rejected: Sequence[LetterRecord]
    skipped: Sequence[tuple[str, str, int]]
    definitions: Mapping[str, Mapping[str, Any]]


class StateReader:
    """Questions to one consistent state of the database; made by `read`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        self._events = Events(connection, self._version)

    def events(
        self, *, sensor: str | None, since: int | None, limit: int, data_bytes: int | None
    ) -> list[EventRow]:
        """Return the newest events first; of `data` only the first `data_bytes`."""
        return self._events.newest(sensor=sensor, since=since, limit=limit, data_bytes=data_bytes)

    def runs(
        self, *, workflow: str | None, outcome: str | None, state: str | None, limit: int
    ) -> list[RunRecord]:
        """Return the newest runs first."""
        wanted = {"workflow": workflow, "outcome": outcome, "state": state, "limit": limit}
        return [RunRecord(*row) for row in self._connection.execute(_RUNS, wanted)]

    def history(self, run: int) -> RunHistory | None:
        """Return all that was recorded of a run, or None where there is none of that id."""
        row = self._connection.execute(_RUN_BY_ID, (run,)).fetchone()
        if row is None:
            return None
        record = RunRecord(*row)
        (event,) = self._events.by_seq(record.event)
        return RunHistory(
            run=record,
            event=event,
            steps=[StepRow(*row) for row in self._connection.execute(_STEPS, (run,))],
            attempts=[AttemptRow(*row) for row in self._connection.execute(_ATTEMPTS, (run,))],
            definition=self.definitions().get(record.workflow),
        )

    def explanation(self, event_id: str, seq: int | None) -> Explanation:
        """Return what is known of an event id, and of the event with that `seq`."""
        events = self._events.by_id(event_id)
        if seq is not None:
            events += self._events.by_seq(seq)
        rejected = self._connection.execute(_REJECTED_BY_ID, (event_id,))
        return Explanation(
            events=events,
            rejected=[_letter_record(row) for row in rejected],
            skipped=self._connection.execute(_SKIPPED_BY_ID, (event_id,)).fetchall(),
            definitions=self.definitions(),
        )

    def dead_letters(self, *, reason: str | None, limit: int) -> list[LetterRecord]:
        """Return dead letters that were not redriven, the newest first."""
        rows = self._connection.execute(_DEAD_LETTERS, {"reason": reason, "limit": limit})
        return [_letter_record(row) for row in rows]

    def dead_letter_reasons(self) -> dict[str, int]:
        """Return how many dead letters wait for a human, by reason."""
        return dict(self._connection.execute(_DEAD_LETTER_REASONS).fetchall())

    def definitions(self) -> dict[str, Mapping[str, Any]]:
        """Return the definitions last loaded, by workflow."""
        rows = self._connection.execute(_DEFINITIONS)
        return {name: json.loads(definition) for name, definition in rows}

    def counts(self) -> tuple[Counts, Counts]:
        """Return the tally, and what there is of rows, by (subject, name, kind).

        Kinds of rows are events, rejected and skipped of a sensor, and of a workflow the outcome of
        its runs, or the state of those that have none, and outbox and undeliverable of what they emitted.
        """
        has_outbox = self._version >= OUTBOX_VERSION
        of_rows = _ROWS.format(
            single=self._events.table,
            of_blocks=_OF_BLOCKS * self._events.has_blocks,
            is_input=_IS_INPUT * has_outbox,
        )
        tally, rows = (
            {(subject, name, kind): count for subject, name, kind, count in found}
            for found in map(
                self._connection.execute, (_TALLY, of_rows + _OUTBOX_ROWS * has_outbox)
            )
        )
        return tally, rows


def read(directory: Path, question: Callable[[StateReader], T]) -> T:
    """Return the answer to a question that is asked of one consistent state of the database.

    Raises SettingsError where there is no database, SchemaError for one that is newer or foreign,
    StoreError when it cannot be read. `question` may be asked more than once.
    """
    path = directory / DATABASE
    journal = path.with_name(DATABASE + "-wal")
    for _ in range(_TRIES):
        before = _identity(path)
        if journal.exists():
            return _ask(path, "mode=ro", question)
        # Nobody has it open. An ordinary connection would create the journal and could not take it
        # away again; `immutable` creates nothing, but is blind to a writer that starts meanwhile.
        # That one makes the journal first, or is gone and left the file changed: then ask again.
        try:
            answer = _ask(path, "mode=ro&immutable=1", question)
        except StoreError:
            if _identity(path) == before and not journal.exists():
                raise
            continue
        if _identity(path) == before and not journal.exists():
            return answer
    return _ask(path, "mode=ro", question)


def _ask(path: Path, mode: str, question: Callable[[StateReader], T]) -> T:
    try:
        uri = f"file:{quote(str(path.absolute()))}?{mode}"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA busy_timeout = 5000")
            _check_identity(connection, path)
            connection.execute("BEGIN")
            return question(StateReader(connection))
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise SchemaError(f"{path} is not a database; choose another with --state") from None
        raise StoreError(
            f"{path} cannot be read ({error}); check that this user may read the files beside it"
        ) from None


def _check_identity(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        raise SchemaError(
            f"{path} is a database, but not one of Reactor's; choose another with --state"
        )
    if version > SCHEMA_VERSION:
        raise SchemaError(
            f"{path} has schema version {version}; this Reactor knows up to {SCHEMA_VERSION}. "
            "Use the Reactor that wrote it"
        )


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        raise SettingsError(
            f"there is no database at {path}; name the state directory of a daemon with --state or "
            "REACTOR_STATE, or start one with: reactor run PATH"
        ) from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _letter_record(row: Sequence[Any]) -> LetterRecord:
    *fields, raw_bytes, redriven_at = row
    id_, sensor, event_id, reason, detail, raw, created_at, workflow, event, run, subject = fields
    letter = DeadLetterRow(
        id=id_,
        sensor=sensor,
        event_id=event_id,
        reason=reason,
        detail=detail,
        raw=raw,
        created_at=created_at,
        workflow=workflow,
        event=event,
        run=run,
        subject=subject,
    )
    return LetterRecord(letter=letter, raw_bytes=raw_bytes, redriven_at=redriven_at)
