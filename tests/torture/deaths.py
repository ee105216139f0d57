"""What the database held after each death, read while nothing runs. Plain sqlite3, nothing of the engine."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.torture.journal import Line

_QUERIES = {
    "events": "SELECT seq, sensor || ' ' || id, data FROM event",
    "steps": "SELECT run || ' ' || name, outcome, attempt, result FROM step",
    "attempts": "SELECT run || ' ' || step || ' ' || attempt, outcome FROM attempt",
    "runs": "SELECT id, workflow, event, outcome FROM run WHERE state = 'finished' AND outcome <> 'dead'",
    "skips": "SELECT sensor || ' ' || occurrence, reason FROM skipped",
}
_IN_FLIGHT = "SELECT id FROM run WHERE state = 'running'"
# Counters are kept apart from the rows they count; a round is far shorter than any retention.
_UNBALANCED = """
SELECT name, kind, sum(counted), sum(rows) FROM (
    SELECT name, kind, count AS counted, 0 AS rows FROM tally
    UNION ALL SELECT sensor, 'accepted', 0, count(*) FROM event GROUP BY 1
    UNION ALL SELECT sensor, 'skipped', 0, count(*) FROM skipped GROUP BY 1
    UNION ALL SELECT workflow, 'fired', 0, count(*) FROM run GROUP BY 1
) GROUP BY name, kind HAVING sum(counted) <> sum(rows)
"""
_NOTHING: Line = {"new": {}, "changed": [], "gone": [], "in_flight": [], "unbalanced": []}


@contextlib.contextmanager
def reading(state: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that changes nothing, not even the write-ahead log. Raises where there is no database."""
    uri = f"{(state / 'reactor.db').absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as database:
        yield database


class Deaths:
    """Follows the database from death to death and tells what is new; durable rows must neither change nor go."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {table: {} for table in _QUERIES}

    def look(self, state: Path) -> Line:
        """Return what is new, changed or gone since the last look, which runs are in flight, which sums disagree."""
        try:
            with reading(state) as database:
                if not database.execute("PRAGMA user_version").fetchone()[0]:
                    return dict(_NOTHING)
                return self._compare(database)
        except sqlite3.OperationalError:
            # Killed before the first start had made it.
            if (state / "reactor.db").exists():
                raise
            return dict(_NOTHING)

    def _compare(self, database: sqlite3.Connection) -> Line:
        new: dict[str, list[str]] = {}
        changed: list[str] = []
        gone: list[str] = []
        for table, query in _QUERIES.items():
            known = self._known[table]
            rows = {str(key): _digest(rest) for key, *rest in database.execute(query)}
            new[table] = [key for key in rows if key not in known]
            changed += [f"{table} {key}" for key in rows if known.get(key, rows[key]) != rows[key]]
            gone += [f"{table} {key}" for key in known if key not in rows]
            self._known[table] = rows
        in_flight = [run for (run,) in database.execute(_IN_FLIGHT)]
        unbalanced = [
            f"{name}: {counted} {kind} by the counter, {rows} by the rows"
            for name, kind, counted, rows in database.execute(_UNBALANCED)
        ]
        return {
            "new": new,
            "changed": changed,
            "gone": gone,
            "in_flight": in_flight,
            "unbalanced": unbalanced,
        }


def _digest(row: list[object]) -> str:
    return hashlib.blake2b(repr(row).encode(), digest_size=8).hexdigest()
