"""Opening the database: pragmas, identity, migrations, and what its errors mean."""

from __future__ import annotations

import errno
import os
import sqlite3
from importlib import resources
from typing import TYPE_CHECKING

from reactor.errors import ReactorError, SchemaError, SettingsError, StoreError, StoreFullError
from reactor.store.sqlite.journal import KEPT_BYTES

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID = 0x52454143  # "REAC"
DATABASE = "reactor.db"
# The index of the journal, which is memory shared through a file, could not be made larger: SQLite does not say
# SQLITE_FULL here. Nothing that must be durable is in that file.
IOERR_SHMSIZE = sqlite3.SQLITE_IOERR_SHMSIZE
# File systems on which SQLite's shared memory or locks do not hold; see https://sqlite.org/wal.html.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "fuse.sshfs",
        "glusterfs",
        "lustre",
    }
)
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA wal_autocheckpoint = 0",
    f"PRAGMA journal_size_limit = {KEPT_BYTES}",
    "PRAGMA cache_size = -16384",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA busy_timeout = 5000",
)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Return a migrated connection in autocommit mode, for one thread.

    Raises SchemaError for a newer or foreign file, SettingsError for a place that cannot hold a database.
    """
    refuse_network_file_system(path.parent)
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        try:
            os.chmod(path, 0o600)
            use_journal(connection, path)
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        raise as_open_error(error, path) from error
    return connection


def use_journal(connection: sqlite3.Connection, path: Path) -> None:
    """Put the database into WAL mode. Raises StoreError where it stays in another: SQLite does not."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(
            f"{path} cannot be opened: its journal mode stays {mode!r} where 'wal' is needed, "
            "as when the disk failed in between; check the disk, then start Reactor again"
        )


def migrations() -> list[str]:
    """Return the scripts of all migrations; the first makes schema version 1."""
    folder = resources.files("reactor.store.sqlite").joinpath("migrations")
    scripts = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name
    )
    return [script.read_text(encoding="utf-8") for script in scripts]


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date; each step is one transaction, so a death in the middle is a clean start."""
    scripts = migrations()
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if application != APPLICATION_ID and not (is_empty and version == 0):
        raise SchemaError(
            f"{path} is a database, but not one of Reactor's; choose another directory with --state"
        )
    if version > len(scripts):
        raise SchemaError(
            f"{path} has schema version {version}; this Reactor knows up to {len(scripts)}. "
            "Start the newer Reactor that wrote it, or restore a backup"
        )
    for number, script in enumerate(scripts[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id = {APPLICATION_ID};\n"
            f"PRAGMA user_version = {number};\nCOMMIT;"
        )


def refuse_network_file_system(directory: Path) -> None:
    """Raise SettingsError where `directory` lies on a network file system (Linux; elsewhere it cannot be told)."""
    kind = file_system_of(directory)
    if kind in NETWORK_FILE_SYSTEMS:
        raise SettingsError(
            f"{directory} is on a network file system ({kind}), where SQLite's locks do not hold; "
            "choose a local directory with --state"
        )


def file_system_of(directory: Path) -> str:
    """Return the type of the file system that holds `directory`, "" where that cannot be told."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
            lines = [line.split() for line in table]
    except OSError:
        return ""
    place = os.path.realpath(directory)
    best, kind = "", ""
    for fields in lines:
        mount = fields[4].replace("\\040", " ")
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, fields[fields.index("-") + 1]
    return kind


def is_full(error: BaseException) -> bool:
    """Return whether the error says that no space is left."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if not isinstance(error, sqlite3.Error):
        return False
    code = error_code(error)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == IOERR_SHMSIZE


def error_code(error: sqlite3.Error) -> int:
    """Return SQLite's extended result code, 0 where there is none."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code if isinstance(code, int) else 0


def as_store_error(error: Exception) -> ReactorError:
    """Return the error as one of Reactor's own."""
    if isinstance(error, ReactorError):
        return error
    if is_full(error):
        return StoreFullError(
            "no space is left for the database; free some, and Reactor goes on by itself"
        )
    return StoreError(f"the database refused: {error}")


def as_open_error(error: sqlite3.DatabaseError, path: Path) -> ReactorError:
    """Return why the database cannot be opened, with what to do."""
    if isinstance(error, sqlite3.OperationalError):
        if is_full(error):
            return StoreFullError(f"no space is left for {path}; free some and start again")
        if error_code(error) & 0xFF == sqlite3.SQLITE_IOERR:
            return StoreError(
                f"{path} cannot be opened: the disk failed ({error}); check the disk, then start Reactor again"
            )
        return SettingsError(
            f"{path} cannot be opened for writing ({error}); "
            "check that the directory exists and that this user may write to it"
        )
    return SchemaError(
        f"{path} is not a usable database ({error}); restore a backup, or choose another --state"
    )
