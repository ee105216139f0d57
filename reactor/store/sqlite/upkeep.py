"""The rarer writes of the SQLite store: deaths counted, dead letters redriven, settled rows removed.

Each is a function of the connection, called inside the transaction.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import TYPE_CHECKING

from reactor.store.contract import DeadLetterRow
from reactor.store.sqlite import statements as sql
from reactor.store.sqlite.blocks import event_in
from reactor.store.sqlite.operations import (
    Accept,
    BatchApplier,
    Tally,
    add_tally,
    insert_letters,
    insert_runs,
)
from reactor.store.sqlite.outbox import put_back

if TYPE_CHECKING:
    from reactor.store.contract import Offer, Retention
    from reactor.store.sqlite.identities import Identities


def count_deaths(connection: sqlite3.Connection, *, most: int, at: int) -> list[DeadLetterRow]:
    connection.execute(sql.FORGET_DEATHS)
    connection.execute(sql.COUNT_DEATHS)
    parked = []
    for run, workflow, deaths, seq, sensor, event_id, raw in connection.execute(
        sql.RUNS_THAT_DIED, (most,)
    ).fetchall():
        if sensor is None:
            event = event_in(connection.execute(sql.BLOCK_OF_EVENT, {"seq": seq}).fetchall(), seq)
            if event is None:
                # Taken out by hand; the run cannot be redriven, and must not keep the daemon from its start.
                continue
            sensor, event_id, raw = event.sensor, event.id, event.data
        letter = DeadLetterRow(
            id=run,
            sensor=sensor,
            event_id=event_id,
            workflow=workflow,
            event=seq,
            run=run,
            reason="process_died",
            detail=f"the process died {deaths} times in a row while this run was in flight",
            raw=raw,
            created_at=at,
        )
        parked.append(letter)
    for letter in parked:
        connection.execute(sql.PARK_RUN, (at, letter.detail, letter.run))
    insert_letters(connection, parked)
    connection.execute(sql.RELEASE_RUNS)
    return parked


def redrive(
    connection: sqlite3.Connection,
    *,
    applier: BatchApplier,
    letter: DeadLetterRow,
    offer: Offer | None,
    at: int,
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
        applier.accept(connection, [Accept(offer, letter.sensor, {})])
    return True


def remove_settled(
    connection: sqlite3.Connection, *, identities: Identities, retention: Retention
) -> int:
    parameters = {"before": retention.before, "limit": retention.limit}
    tally: Tally = defaultdict(int)
    removed = 0
    for statement, delete in (
        (sql.SETTLED_EVENTS, sql.DELETE_EVENT),
        (sql.SETTLED_BLOCKS, sql.DELETE_BLOCK),
    ):
        for first, last, sensor in connection.execute(statement, parameters).fetchall():
            if removed >= retention.limit:
                break
            _remove_runs(connection, first, last, tally)
            connection.execute(sql.DELETE_LETTERS_OF_EVENTS, (first, last))
            for source, event_id in connection.execute(delete, (first,)):
                identities.remove(source, event_id, first)
            tally["sensor", sensor, "removed"] += last - first + 1
            removed += last - first + 1
    add_tally(connection, tally)
    identities.drop_dead(connection)
    return removed


def _remove_runs(connection: sqlite3.Connection, first: int, last: int, tally: Tally) -> None:
    """Remove the runs of the events from `first` to `last`, and add them to the tally."""
    for run, workflow, outcome in connection.execute(sql.RUNS_OF_EVENTS, (first, last)).fetchall():
        for statement in (
            sql.DELETE_STEPS,
            sql.DELETE_ATTEMPTS,
            sql.DELETE_LETTERS_OF_RUN,
            sql.DELETE_RUN,
        ):
            connection.execute(statement, (run,))
        tally["workflow", workflow, f"removed_{outcome}"] += 1
