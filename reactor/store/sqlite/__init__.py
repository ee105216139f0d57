"""The embedded store on SQLite (https://sqlite.org/wal.html)."""

from reactor.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
