"""The writes of the SQLite store, and how a batch of them becomes few statements.

Operations of one batch do not depend on each other: a caller waits for one before it makes the next. So their rows
may be sorted by statement, and each statement runs once for all of them.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from reactor.store.contract import DeadLetterRow, Offer
from reactor.store.sqlite import statements as sql

Row = tuple[Any, ...]
Tally = dict[tuple[str, str, str], int]


@dataclass(slots=True)
class Rows:
    """Rows for prepared statements: the cheap, common operation."""

    rows: Sequence[tuple[sql.Statement, Row]]
    size_bytes: int = 0
    result: None = None


@dataclass(slots=True)
class Accept:
    """Events with their runs, dead letters and a cursor; the result tells which events were new."""

    offers: Sequence[Offer]
    sensor: str
    cursor: Mapping[str, bytes | None]
    result: list[bool] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return sum(len(offer.event.data) for offer in self.offers)


@dataclass(slots=True)
class Call:
    """Anything rarer: a function of the connection, inside the transaction."""

    function: Callable[[sqlite3.Connection], Any]
    size_bytes: int = 0
    result: Any = None


class BatchApplier:
    """Executes a batch in the order: new events with all they bring, rows sorted by statement, calls."""

    def apply(self, connection: sqlite3.Connection, batch: Sequence[Any]) -> None:
        accepts = [operation for operation in batch if type(operation) is Accept]
        if accepts:
            accept(connection, accepts)
        rows: defaultdict[sql.Statement, list[Row]] = defaultdict(list)
        for operation in batch:
            if type(operation) is Rows:
                for statement, row in operation.rows:
                    rows[statement].append(row)
        for statement in sql.IN_ORDER:
            if statement in rows:
                execute_all(connection, statement, rows[statement])
        for operation in batch:
            if type(operation) is Call:
                operation.result = operation.function(connection)


def execute_all(
    connection: sqlite3.Connection, statement: sql.Statement, rows: Sequence[Row]
) -> int:
    """Execute the statement for each row, in order; return how many rows of the database changed."""
    if isinstance(statement, str):
        return connection.executemany(statement, rows).rowcount
    changed = 0
    for first in range(0, len(rows), statement.MOST_ROWS):
        chunk = rows[first : first + statement.MOST_ROWS]
        values = tuple(chain.from_iterable(chunk))
        changed += connection.execute(statement.text(len(chunk)), values).rowcount
    return changed


def accept(connection: sqlite3.Connection, accepts: Sequence[Accept]) -> None:
    """Insert the events of all operations; where one was known before, sort out which."""
    known = _insert_events(
        connection, [offer.event for operation in accepts for offer in operation.offers]
    )
    fresh: list[Offer] = []
    tally: Tally = defaultdict(int)
    for operation in accepts:
        operation.result = [offer.event.seq not in known for offer in operation.offers]
        for offer, is_new in zip(operation.offers, operation.result, strict=True):
            if is_new:
                tally["sensor", offer.event.sensor, "accepted"] += 1
                fresh.append(offer)
    tally |= insert_runs(connection, fresh)
    add_tally(connection, tally)
    for operation in accepts:
        for statement, row in cursor_rows(operation.sensor, operation.cursor):
            connection.execute(statement, row)


def insert_runs(connection: sqlite3.Connection, offers: Sequence[Offer]) -> Tally:
    """Insert the runs and dead letters of events that are in the store; return the counts to add."""
    tally: Tally = defaultdict(int)
    rows: list[Row] = []
    for offer in offers:
        for run in offer.runs:
            tally["workflow", run.workflow, "fired"] += 1
            rows.append(
                (
                    run.id,
                    run.workflow,
                    run.event,
                    run.key,
                    run.state,
                    run.created_at,
                    run.started_at,
                )
            )
    execute_all(connection, sql.INSERT_RUN, rows)
    letters = [letter_row(letter) for offer in offers for letter in offer.dead]
    if letters:
        connection.executemany(sql.INSERT_DEAD_LETTER, letters)
    return tally


def _insert_events(connection: sqlite3.Connection, events: Sequence[Any]) -> set[int]:
    """Insert events; return the sequence numbers of those that were known before and so were left out."""
    rows = [
        (
            event.seq,
            event.source,
            event.id,
            event.sensor,
            event.type,
            event.subject,
            event.time,
            event.accepted_at,
            event.data,
            event.decisions,
        )
        for event in events
    ]
    inserted = execute_all(connection, sql.INSERT_EVENT, rows)
    if inserted == len(rows):
        return set()
    return {
        event.seq
        for event in events
        if connection.execute(sql.SELECT_EVENT_BY_SEQ, (event.seq,)).fetchone() is None
    }


def letter_row(letter: DeadLetterRow) -> Row:
    """Return the parameters of INSERT_DEAD_LETTER."""
    return (
        letter.id,
        letter.sensor,
        letter.event_id,
        letter.workflow,
        letter.event,
        letter.run,
        letter.reason,
        letter.detail,
        letter.subject,
        letter.raw,
        letter.created_at,
        letter.outgoing,
    )


def cursor_rows(sensor: str, cursor: Mapping[str, bytes | None]) -> Iterable[tuple[str, Row]]:
    """Return the statements that move a cursor."""
    for key, value in cursor.items():
        if value is None:
            yield sql.DELETE_CURSOR, (sensor, key)
        else:
            yield sql.UPSERT_CURSOR, (sensor, key, value)


def add_tally(connection: sqlite3.Connection, tally: Tally) -> None:
    """Add counts, one row for each subject, name and kind."""
    execute_all(connection, sql.ADD_TALLY, [(*subject, count) for subject, count in tally.items()])
