"""One statement for many rows: whatever their number, each of them is executed, and once."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from reactor.store.sqlite.many_rows import ManyRows
from reactor.store.sqlite.operations import execute_all

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = [*range(1, 70), 127, 128, 129, 383, 384, 385, 500, 511, 512, 513, 1_023, 1_024, 1_100]
INSERT = ManyRows("INSERT INTO pair (number, word)", 2, "ON CONFLICT (number) DO NOTHING")
UPDATE = ManyRows(
    "UPDATE pair SET word = given.column2 FROM (", 2, ") AS given WHERE number = given.column1"
)
USUAL = ManyRows(
    "INSERT INTO sentence (number, word, times, rest)",
    4,
    usual={1: "what's usual", 2: 1, 3: None},
)
TYPICAL = ("what's usual", 1, None)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE pair (number INTEGER PRIMARY KEY, word TEXT) STRICT")
    connection.execute(
        "CREATE TABLE sentence (number INTEGER PRIMARY KEY, word TEXT, times INTEGER, rest TEXT) STRICT"
    )
    yield connection
    connection.close()


def pairs(connection: sqlite3.Connection) -> list[tuple[int, str | None]]:
    return connection.execute("SELECT number, word FROM pair ORDER BY number").fetchall()


@pytest.mark.parametrize("count", NUMBERS)
def test_all_rows_are_inserted_and_then_changed(connection: sqlite3.Connection, count: int) -> None:
    # Where a column may be NULL a row of a caller's own has to pass.
    rows = [(number, None if number % 3 else str(number)) for number in range(count)]
    assert execute_all(connection, INSERT, rows) == count
    assert pairs(connection) == rows
    changes = [(number, "changed") for number in range(count)]
    assert execute_all(connection, UPDATE, changes) == count
    assert pairs(connection) == changes


@pytest.mark.parametrize("count", NUMBERS)
def test_rows_that_are_there_already_are_not_counted(
    connection: sqlite3.Connection, count: int
) -> None:
    execute_all(connection, INSERT, [(0, "kept"), (count - 1, "kept")])
    known = len({0, count - 1})
    rows = [(number, "new") for number in range(count)]
    assert execute_all(connection, INSERT, rows) == count - known
    assert pairs(connection)[0] == (0, "kept")


def test_nothing_is_executed_for_no_rows(connection: sqlite3.Connection) -> None:
    assert execute_all(connection, INSERT, []) == 0
    assert [*INSERT.executions([])] == []


def test_a_batch_is_one_execution_and_all_numbers_of_rows_share_few_statements() -> None:
    texts = set()
    for count in range(1, INSERT.MOST_ROWS + 1):
        [(text, values)] = INSERT.executions([(number, "word") for number in range(count)])
        assert len(values) <= max(2 * count * 1.5, 8)
        texts.add(text)
    assert len(texts) < 20


def sentences(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM sentence ORDER BY number").fetchall()


@pytest.mark.parametrize("count", NUMBERS)
def test_what_is_usual_is_bound_to_no_row(connection: sqlite3.Connection, count: int) -> None:
    rows = [(number, *TYPICAL) for number in range(count)]
    for _, values in USUAL.executions(rows):
        assert {*values} <= {-1, *range(count)}
    assert execute_all(connection, USUAL, rows) == count
    assert sentences(connection) == rows


@pytest.mark.parametrize("count", [1, 2, 5, 100])
@pytest.mark.parametrize(
    "unlike", [("other", 1, None), ("what's usual", 2, None), (*TYPICAL[:2], "")]
)
def test_one_row_that_is_unusual_is_kept_as_it_is(
    connection: sqlite3.Connection, unlike: tuple[object, ...], count: int
) -> None:
    rows = [(number, *TYPICAL) for number in range(count)]
    rows[count // 2] = (count // 2, *unlike)  # type: ignore[assignment]  # of other values
    assert execute_all(connection, USUAL, rows) == count
    assert sentences(connection) == rows


def test_the_statements_for_what_is_usual_are_as_few() -> None:
    texts = {
        next(USUAL.executions([(number, *TYPICAL) for number in range(count)]))[0]
        for count in range(1, USUAL.MOST_ROWS + 1)
    }
    assert len(texts) < 20
