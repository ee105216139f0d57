"""The DuckDB file that the workflows of this folder load into."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

PATH = "warehouse.duckdb"

# DuckDB lets one writer in at a time; waiting here is cheaper than a conflict and another attempt.
_one_at_a_time = threading.Lock()


def replace_rows(
    table: str, types: Mapping[str, str], rows: Sequence[Mapping[str, Any]], *, file: str
) -> int:
    """Make `rows` all that `table` holds of `file`, in one transaction; return how many.

    May be repeated with the same end, so a step that calls it may run again after a crash.
    `table` and the column names are constants of the caller, never data.
    """
    # Here, not above: a DuckDB imported by a module that lives to the end of the process reports
    # all its classes as leaked when Python shuts down.
    import duckdb

    columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
    values = ", ".join(f"unnest(?::{kind}[])" for kind in types.values())
    arrays = [[row[name] for row in rows] for name in types]
    with _one_at_a_time, duckdb.connect(PATH) as warehouse:
        warehouse.execute("BEGIN")
        warehouse.execute(f"CREATE TABLE IF NOT EXISTS {table} (file VARCHAR, {columns})")
        warehouse.execute(f"DELETE FROM {table} WHERE file = ?", [file])
        warehouse.execute(f"INSERT INTO {table} SELECT ?, {values}", [file, *arrays])
        warehouse.execute("COMMIT")
    return len(rows)
