"""A file version as an event."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from reactor.api import Event
from reactor_sensors._files_glob import join

if TYPE_CHECKING:
    from reactor_sensors._files_ledger import Observation

ARRIVED = "reactor.file.arrived"
# To pass through a folder, no right to list it is needed; only Linux can say so.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_EPOCH = datetime.fromtimestamp(0, UTC)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileArrived:
    """A complete file, at one version.

    `path` is absolute. Where a name is not UTF-8, `path` and `name` show its odd bytes as `\\xff`
    and `path_base64` holds the true bytes; `as_path` and `open` always lead to the file.
    `modified_at` is the file's own claim (mtime) and may lie anywhere. `version` is device, inode,
    size, mtime and ctime in hexadecimal. `depth` is how many parts at the end of `path` lie below
    the watched folder.
    """

    path: str
    name: str
    size_bytes: int
    version: str
    modified_at: datetime
    path_base64: str | None = None
    depth: int = 1

    def as_path(self) -> Path:
        """Return the path to open, whatever bytes are in its name."""
        if self.path_base64 is None:
            return Path(self.path)
        return Path(os.fsdecode(base64.b64decode(self.path_base64)))

    def open(self) -> BinaryIO:
        """Open the file for reading bytes. The file may have changed or gone since: then OSError.

        Refuses, also with OSError, what has become a symlink or is no regular file any more, and
        follows no symlink below the watched folder. Blocks as file systems do: use it in a plain
        `def` step, or in a thread.
        """
        opener = partial(_open_unfollowed, self.depth)
        file = open(self.as_path(), "rb", opener=opener)  # noqa: SIM115  # the caller closes it
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(f"{self.path!r} is no regular file any more")
        return file


def arrival(root: str, seen: Observation, *, source: str) -> Event[FileArrived]:
    """Return the event of a file below `root`. Its id names this version of this path and nothing
    else.
    """
    path = join(root, seen.path)
    raw = os.fsencode(path)
    version = str(seen.version)
    identity = hashlib.blake2b(raw + b"\0" + version.encode(), digest_size=16).hexdigest()
    modified_at = instant_of(seen.version.mtime_ns)
    text = raw.decode(errors="backslashreplace")
    data = FileArrived(
        path=text,
        name=text.rpartition("/")[2],
        size_bytes=seen.version.size_bytes,
        version=version,
        modified_at=modified_at,
        path_base64=None if text == path else base64.b64encode(raw).decode(),
        depth=seen.path.count("/") + 1,
    )
    return Event(
        id=identity,
        source=source,
        type=ARRIVED,
        time=modified_at,
        data=data,
        subject=printable(text),
    )


def instant_of(nanoseconds: int) -> datetime:
    """Return an instant since 1970; a file may claim one before year 1 or after 9999, which becomes
    the nearest.
    """
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return _EARLIEST if nanoseconds < 0 else _LATEST


def printable(text: str) -> str:
    """Return `text` with everything that a terminal or log would not show as itself escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _open_unfollowed(depth: int, path: str, flags: int) -> int:
    """Open part by part: a folder swapped for a symlink since the file was seen leads nowhere."""
    *folders, name = path.split("/")
    first = len(folders) + 1 - max(depth, 1)
    folder = os.open("/".join(folders[: max(first, 0)]) or "/", _FOLDER)
    try:
        for part in folders[max(first, 0) :]:
            deeper = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = deeper
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
