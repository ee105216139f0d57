"""Writing the journal back into the database beside the writer, which goes on committing meanwhile."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

from reactor.store.sqlite.journal import Journal, journal_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# While the first pass is made more is committed; the second leaves little for the writer to wait for. Where nothing
# was, it must not be made: a commit that begins the journal anew at its start would be lost with SQLite before 3.51.3
# (https://sqlite.org/wal.html#walresetbug). What is not in the database yet keeps commits from beginning anew.
PASSES = 2


class WriteBack:
    """One thread with a connection of its own, from now until all that could be written back is. `ended` is told then.

    It copies what is committed and syncs it. It changes nothing, and takes no lock that a commit waits for.
    """

    def __init__(self, database: Path, ended: Callable[[WriteBack], None]) -> None:
        self.error: sqlite3.Error | None = None
        self._database = database
        self._ended = ended
        self._thread = threading.Thread(target=self._run, name="store write-back", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when it has ended; `error` is what ended it early."""
        self._thread.join()

    def _run(self) -> None:
        journal = Journal(journal_of(self._database))
        try:
            with closing(sqlite3.connect(self._database, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                for _ in range(PASSES):
                    checkpoint = connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                    _, frames, _ = checkpoint.fetchone()
                    if not journal.holds_more_than(frames):
                        break
        except sqlite3.Error as error:
            self.error = error
        finally:
            journal.close()
        self._ended(self)
