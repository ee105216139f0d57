"""The outbox in SQLite: rows that come with a step's result and go with an acknowledgement."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import orjson

from reactor.store.outgoing import row_of
from reactor.store.sqlite import statements as sql
from reactor.store.sqlite.operations import Tally, add_tally, execute_all, insert_letters

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from reactor.store.contract import DeadLetterRow, OutgoingRow


def emitted_rows(outgoing: Sequence[OutgoingRow]) -> dict[sql.Statement, Sequence[sql.Row]]:
    """Return the rows that put these into the outbox, and count them, by statement."""
    counts = Counter(row.workflow for row in outgoing)
    return {
        sql.INSERT_OUTGOING: [_values(row) for row in outgoing],
        sql.ADD_TALLY: [("workflow", name, "emitted", count) for name, count in counts.items()],
    }


def delivered(connection: sqlite3.Connection, *, outgoing: Sequence[int]) -> None:
    """Remove rows and count those that were there."""
    tally: Tally = defaultdict(int)
    ids = orjson.dumps([*outgoing]).decode()
    for (workflow,) in connection.execute(sql.DELETE_OUTGOING, (ids,)):
        tally["workflow", workflow, "delivered"] += 1
    add_tally(connection, tally)


def park(connection: sqlite3.Connection, *, outgoing: int, letter: DeadLetterRow) -> bool:
    """Turn a row into a dead letter. It stays part of what is accounted for, so nothing is counted."""
    ids = orjson.dumps([outgoing]).decode()
    if not connection.execute(sql.DELETE_OUTGOING, (ids,)).fetchall():
        return False
    insert_letters(connection, [letter])
    return True


def put_back(connection: sqlite3.Connection, letter: DeadLetterRow, at: int) -> None:
    """Put a settled dead letter at the end of the outbox."""
    execute_all(connection, sql.INSERT_OUTGOING, [_values(row_of(letter, at))])


def _values(row: OutgoingRow) -> sql.Row:
    return (
        row.lane,
        row.workflow,
        row.run,
        row.step,
        row.part,
        row.outlet,
        row.options,
        row.target,
        row.key,
        row.attributes,
        row.payload,
        row.created_at,
    )
