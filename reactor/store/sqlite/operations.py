"""The writes of the SQLite store, and how a batch of them becomes few statements.

Each has its `size_bytes`, the `count` of rows that it writes, and its `result`, set when the batch was executed.

Operations of one batch do not depend on each other: a caller waits for one before it makes the next. So their rows
may be sorted by statement, and each statement runs once for all of them.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice
from typing import Any

from reactor.store.contract import DeadLetterRow, EventRow, Offer
from reactor.store.sqlite import statements as sql
from reactor.store.sqlite.blocks import (
    insert_block,
    known_in_blocks,
    rows_of,
    sources_with_blocks,
)
from reactor.store.sqlite.identities import Identities

Tally = dict[tuple[str, str, str], int]


@dataclass(slots=True)
class Rows:
    """Rows for prepared statements: the cheap, common operation."""

    rows: Mapping[sql.Statement, Sequence[sql.Row]]
    size_bytes: int = 0
    result: None = None

    @property
    def count(self) -> int:
        return sum([len(rows) for rows in self.rows.values()])


@dataclass(slots=True)
class Accept:
    """Events with their runs, dead letters and a cursor; the result tells which events and rejected were new."""

    offer: Offer
    sensor: str
    cursor: Mapping[str, bytes | None]
    result: list[bool] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return self.offer.size_bytes

    @property
    def count(self) -> int:
        offer = self.offer
        in_blocks = sum([len(each.data) for each in offer.blocks])
        return len(offer.events) + len(offer.runs) + len(offer.rejected) + in_blocks


@dataclass(slots=True)
class Call:
    """Anything rarer: a function of the connection, inside the transaction."""

    function: Callable[[sqlite3.Connection], Any]
    size_bytes: int = 0
    result: Any = None
    count: int = 1


class BatchApplier:
    """Executes a batch in the order: new events with all they bring, rows sorted by statement, calls.

    It is the only one that writes to its database, and keeps in mind which events that has.
    """

    def __init__(self) -> None:
        self.identities = Identities()
        # Of some there may be no block, when one was rolled back or removed.
        self._with_blocks: set[str] = set()

    def load(self, connection: sqlite3.Connection) -> None:
        """Read what it keeps in mind. Called once, before all else."""
        self.identities.load(connection)
        self._with_blocks = sources_with_blocks(connection)

    def apply(self, connection: sqlite3.Connection, batch: Sequence[Any]) -> None:
        accepts = [operation for operation in batch if type(operation) is Accept]
        if accepts:
            # Before them: whether an event comes late is told by what is in segments by then.
            events = sum([len(operation.offer.events) for operation in accepts])
            self.identities.seal(connection, events=events)
            self.accept(connection, accepts)
        rows: defaultdict[sql.Statement, list[sql.Row]] = defaultdict(list)
        for operation in batch:
            if type(operation) is Rows:
                for statement, more in operation.rows.items():
                    rows[statement].extend(more)
        for statement in sql.IN_ORDER:
            if statement in rows:
                execute_all(connection, statement, rows[statement])
        for operation in batch:
            if type(operation) is Call:
                operation.result = operation.function(connection)

    def committed(self) -> None:
        self.identities.committed()

    def rolled_back(self) -> None:
        self.identities.rolled_back()

    def accept(self, connection: sqlite3.Connection, accepts: Sequence[Accept]) -> None:
        """Insert the events of all operations; where one was known before, sort out which."""
        known = self._insert_events(
            connection, [event for operation in accepts for event in operation.offer.events]
        )
        known |= self._insert_blocks(connection, accepts)
        tally: Tally = defaultdict(int)
        for operation in accepts:
            operation.result = _are_new(operation.offer, known)
            if accepted := sum(operation.result):
                tally["sensor", operation.sensor, "accepted"] += accepted
        tally |= insert_runs(connection, [operation.offer for operation in accepts], without=known)
        rejected = [letter for operation in accepts for letter in operation.offer.rejected]
        if rejected:
            are_new = iter(_insert_rejected(connection, rejected))
            for operation in accepts:
                its_own = [*islice(are_new, len(operation.offer.rejected))]
                operation.result += its_own
                if parked := sum(its_own):
                    tally["sensor", operation.sensor, "rejected"] += parked
        add_tally(connection, tally)
        for operation in accepts:
            for statement, row in cursor_rows(operation.sensor, operation.cursor):
                connection.execute(statement, row)

    def _insert_events(
        self, connection: sqlite3.Connection, events: Sequence[EventRow]
    ) -> set[int]:
        """Insert events; return the sequence numbers of those that were known before and so were left out."""
        known: set[int] = set()
        if self._with_blocks:
            suspects = [event for event in events if event.source in self._with_blocks]
            known = known_in_blocks(connection, suspects)
            if known:
                events = [event for event in events if event.seq not in known]
        if again := self.identities.known_of(connection, events):
            events = [event for event in events if event.seq not in again]
        execute_all(connection, sql.INSERT_EVENT, events)
        return known | again

    def _insert_blocks(self, connection: sqlite3.Connection, accepts: Sequence[Accept]) -> set[int]:
        """Insert blocks, and those as single events of which some may be known; return as `_insert_events` does."""
        known: set[int] = set()
        for operation in accepts:
            for block in operation.offer.blocks:
                self._with_blocks.add(block.source)
                if self.identities.may_know(block) or not insert_block(connection, block):
                    known |= self._insert_events(connection, rows_of(block))
        return known


def execute_all(
    connection: sqlite3.Connection, statement: sql.Statement, rows: Sequence[sql.Row]
) -> int:
    """Execute the statement for each row, in order; return how many rows of the database changed."""
    if isinstance(statement, str):
        return connection.executemany(statement, rows).rowcount
    changed = 0
    for text, values in statement.executions(rows):
        changed += connection.execute(text, values).rowcount
    return changed


def insert_runs(
    connection: sqlite3.Connection, offers: Sequence[Offer], *, without: Collection[int] = ()
) -> Tally:
    """Insert the runs and dead letters of events that are in the store; return the counts to add.

    Those of the events `without` are left out.
    """
    runs = [run for offer in offers for run in offer.runs]
    letters = [letter for offer in offers for letter in offer.dead]
    if without:
        runs = [run for run in runs if run.event not in without]
        letters = [letter for letter in letters if letter.event not in without]
    execute_all(connection, sql.INSERT_RUN, runs)
    insert_letters(connection, letters)
    fired = Counter([run.workflow for run in runs])
    return {("workflow", workflow, "fired"): count for workflow, count in fired.items()}


def _are_new(offer: Offer, known: Collection[int]) -> list[bool]:
    if not known:
        return [True] * (len(offer.events) + sum([len(block.data) for block in offer.blocks]))
    are_new = [event.seq not in known for event in offer.events]
    for block in offer.blocks:
        are_new += [seq not in known for seq in range(block.first, block.first + len(block.data))]
    return are_new


def _insert_rejected(
    connection: sqlite3.Connection, letters: Sequence[DeadLetterRow]
) -> list[bool]:
    """Insert those dead letters of input that were not known before; return for each whether it was one of them."""
    known: set[tuple[str, str]] = set()
    identities = [(letter.sensor, letter.event_id) for letter in letters]
    for text, values in sql.KNOWN_REJECTED.executions(identities):
        known.update(connection.execute(text, values))
    are_new: list[bool] = []
    for identity in identities:
        are_new.append(identity not in known)
        known.add(identity)
    insert_letters(connection, [*compress(letters, are_new)])
    return are_new


def insert_letters(connection: sqlite3.Connection, letters: Sequence[DeadLetterRow]) -> None:
    """Insert dead letters."""
    execute_all(connection, sql.INSERT_DEAD_LETTER, [_letter_row(letter) for letter in letters])


def _letter_row(letter: DeadLetterRow) -> sql.Row:
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


def cursor_rows(sensor: str, cursor: Mapping[str, bytes | None]) -> Iterable[tuple[str, sql.Row]]:
    """Return the statements that move a cursor."""
    for key, value in cursor.items():
        if value is None:
            yield sql.DELETE_CURSOR, (sensor, key)
        else:
            yield sql.UPSERT_CURSOR, (sensor, key, value)


def add_tally(connection: sqlite3.Connection, tally: Tally) -> None:
    """Add counts, one row for each subject, name and kind."""
    execute_all(connection, sql.ADD_TALLY, [(*subject, count) for subject, count in tally.items()])
