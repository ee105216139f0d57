"""`python deadly_migration.py DATABASE FOLDER`: upgrade DATABASE again and again, killed one statement later each time.

Each upgrade is a process of its own over a copy, in `FOLDER/1`, `FOLDER/2` and so on; the N-th dies by SIGKILL when
statement N of the migration is about to be executed. The last one comes to its end. Where DATABASE does not exist, an
upgrade begins with no database at all.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from itertools import count
from pathlib import Path
from unittest.mock import patch

from reactor.store.sqlite import connection as opening


def main(database: Path, folder: Path) -> int:
    """Return 0 when an upgrade came to its end, 1 when one failed by itself."""
    for deadly in count(1):
        place = folder / str(deadly)
        place.mkdir()
        if database.exists():
            shutil.copy(database, place / opening.DATABASE)
        # This process has one thread, so that a copy of it is whole.
        child = os.fork()
        if not child:
            upgrade(place / opening.DATABASE, deadly)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            return os.WEXITSTATUS(status)
    raise AssertionError("counting has no end")


def upgrade(database: Path, deadly: int) -> None:
    """Open the database as the store does, and die at that statement; or end this process where there are fewer."""
    seen = 0
    migrate = opening.migrate

    def look(statement: str) -> None:
        nonlocal seen
        seen += 1
        if seen == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(connection: sqlite3.Connection, path: Path) -> None:
        connection.set_trace_callback(look)
        migrate(connection, path)
        connection.set_trace_callback(None)

    try:
        with patch.object(opening, "migrate", watched):
            opening.open_for_writing(database).close()
    except Exception as error:  # the end of a process, which must not go on as its parent
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
