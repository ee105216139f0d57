"""What a database is, to compare it before and after an upgrade. Plain sqlite3, nothing of the store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reactor.store.sqlite.connection import migrations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A whole database: its version, its definitions, and the rows of each table and view, by column."""

    version: int
    definitions: Sequence[str]
    rows: Mapping[str, Sequence[Mapping[str, object]]]

    def holds(self, earlier: Content) -> bool:
        """Return whether every row of an earlier version is here, with what that version knew of it."""
        return all(
            len(self.rows[table]) == len(rows)
            and all(
                known.items() <= row.items()
                for row, known in zip(self.rows[table], rows, strict=True)
            )
            for table, rows in earlier.rows.items()
        )


def content(path: Path) -> Content:
    """Return what a database holds. Raises AssertionError where SQLite finds it corrupt."""
    with closing(sqlite3.connect(path)) as database:
        checked = database.execute("PRAGMA integrity_check").fetchall()
        assert checked == [("ok",)], f"{path} is corrupt: {checked[:3]}"
        database.row_factory = _by_name
        tables = [
            row["name"]
            for row in database.execute(
                "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
                " AND name NOT LIKE 'sqlite_%' ORDER BY name"
            )
        ]
        return Content(
            version=database.execute("PRAGMA user_version").fetchone()["user_version"],
            definitions=definitions(database),
            rows={
                table: sorted(database.execute(f'SELECT * FROM "{table}"').fetchall(), key=repr)
                for table in tables
            },
        )


def definitions(database: sqlite3.Connection) -> list[str]:
    """Return every table, index and view as SQL, in the order of their names."""
    cursor = database.cursor()
    cursor.row_factory = None
    cursor.execute(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )
    return [row[0] for row in cursor]


def defined_by(version: int) -> list[str]:
    """Return every table, index and view that the first `version` migrations make."""
    with closing(sqlite3.connect(":memory:")) as database:
        for script in migrations()[:version]:
            database.executescript(script)
        return definitions(database)


def write_version(path: Path, version: int) -> None:
    """Make the database say that it was written by the release with this schema."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {version}")


def _by_name(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, object]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
