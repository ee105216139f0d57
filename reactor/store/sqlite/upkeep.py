"""The rarer writes of the SQLite store: deaths counted, dead letters redriven, settled rows removed.

Each is a function of the connection, called inside the transaction.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import TYPE_CHECKING

from reactor.store.contract import DeadLetterRow
from reactor.store.sqlite import statements as sql
from reactor.store.sqlite.operations import (
    Accept,
    Tally,
    accept,
    add_tally,
    insert_runs,
    letter_row,
)
from reactor.store.sqlite.outbox import put_back

if TYPE_CHECKING:
    from reactor.store.contract import Offer, Retention


def count_deaths(connection: sqlite3.Connection, *, most: int, at: int) -> list[DeadLetterRow]:
    connection.execute(sql.FORGET_DEATHS)
    connection.execute(sql.COUNT_DEATHS)
    parked = []
    for run, workflow, deaths, sensor, event_id, event, raw in connection.execute(
        sql.RUNS_THAT_DIED, (most,)
    ):
        letter = DeadLetterRow(
            id=run,
            sensor=sensor,
            event_id=event_id,
            workflow=workflow,
            event=event,
            run=run,
            reason="process_died",
            detail=f"the process died {deaths} times in a row while this run was in flight",
            raw=raw,
            created_at=at,
        )
        parked.append(letter)
    for letter in parked:
        connection.execute(sql.PARK_RUN, (at, letter.detail, letter.run))
        connection.execute(sql.INSERT_DEAD_LETTER, letter_row(letter))
    connection.execute(sql.RELEASE_RUNS)
    return parked


def redrive(
    connection: sqlite3.Connection, *, letter: DeadLetterRow, offer: Offer | None, at: int
) -> bool:
    if not connection.execute(sql.SETTLE_DEAD_LETTER, (at, letter.id)).rowcount:
        return False
    if letter.outgoing is not None:
        put_back(connection, letter, at)
    elif offer is None:
        connection.execute(sql.REVIVE_RUN, (letter.run,))
    elif letter.event is not None:
        add_tally(connection, insert_runs(connection, [offer]))
    else:
        accept(connection, [Accept(offer, letter.sensor, {})])
    return True


def remove_settled(connection: sqlite3.Connection, *, retention: Retention) -> int:
    parameters = {"before": retention.before, "limit": retention.limit}
    events = connection.execute(sql.SETTLED_EVENTS, parameters).fetchall()
    tally: Tally = defaultdict(int)
    for seq, sensor in events:
        for run, workflow, outcome in connection.execute(sql.RUNS_OF_EVENT, (seq,)).fetchall():
            for statement in (
                sql.DELETE_STEPS,
                sql.DELETE_ATTEMPTS,
                sql.DELETE_LETTERS_OF_RUN,
                sql.DELETE_RUN,
            ):
                connection.execute(statement, (run,))
            tally["workflow", workflow, f"removed_{outcome}"] += 1
        connection.execute(sql.DELETE_LETTERS_OF_EVENT, (seq,))
        connection.execute(sql.DELETE_EVENT, (seq,))
        tally["sensor", sensor, "removed"] += 1
    add_tally(connection, tally)
    return len(events)
