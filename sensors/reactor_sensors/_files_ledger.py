"""What was already accepted: one durable row per file, kept in the sensor's cursor."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ROW = struct.Struct("<QQQqq")
_WORD = 2**64 - 1
_DEVICE_BYTES = 8


class Version(NamedTuple):
    """What tells one content of a path from the next. Inodes alone do not: they are reused at once."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Version:
        # The constructor is a call of Python.
        parts = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        return tuple.__new__(cls, parts)

    def __str__(self) -> str:
        return "{:x}-{:x}-{:x}-{:x}-{:x}".format(*self)


@dataclass(frozen=True, slots=True)
class Observation:
    """One regular file as it was at one moment. `path` is relative to the root, decoded by
    `os.fsdecode`.

    `is_being_written` is None when the system cannot say. `folder_device` is that of the folder it
    lies in.
    """

    path: str
    version: Version
    folder_device: int
    is_being_written: bool | None = None
    marker_ctime_ns: int | None = None


def key_of(path: str) -> str:
    """Return a path as an ASCII cursor key; `path_of` reads it back."""
    if path.isascii() and path.isprintable() and "%" not in path:
        return path
    return quote_from_bytes(os.fsencode(path))


def path_of(key: str) -> str:
    return os.fsdecode(unquote_to_bytes(key)) if "%" in key else key


def row_of(version: Version, folder_device: int) -> bytes:
    """Return the ledger row of a version.

    It keeps the folder's device in place of the file's own: that is the one that a vanished mount
    changes, while overlay file systems give a file another device than its folder.
    """
    inode, size = version.inode & _WORD, version.size_bytes & _WORD
    return _ROW.pack(folder_device & _WORD, inode, size, version.mtime_ns, version.ctime_ns)


class Ledger:
    """The rows in memory. Read by the scanning thread, changed only by the loop after a commit."""

    def __init__(self, rows: Mapping[str, bytes]) -> None:
        self._rows = dict(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def keys(self) -> list[str]:
        return list(self._rows)

    def knows(self, path: str, version: Version) -> bool:
        """Return whether this version was accepted, on whatever device number it was then.

        Many file systems get another device number at each mount (NFS, btrfs, overlay), and inode,
        size and both times to the nanosecond are enough; otherwise a reboot would fire a whole
        folder again.
        """
        row = self._rows.get(key_of(path))
        return row is not None and row[_DEVICE_BYTES:] == row_of(version, 0)[_DEVICE_BYTES:]

    def knows_content(self, path: str, version: Version) -> bool:
        """Return whether this version differs from the accepted one in nothing but its times."""
        row = self._rows.get(key_of(path))
        if row is None:
            return False
        _, inode, size, _, _ = _ROW.unpack(row)
        return (inode, size) == (version.inode & _WORD, version.size_bytes & _WORD)

    def restamped(self, path: str, version: Version, device: int) -> dict[str, bytes]:
        """Return the row to write for a known file whose folder's device changed; usually nothing."""
        key, row = key_of(path), row_of(version, device)
        return {} if self._rows.get(key) == row else {key: row}

    def is_gone(self, key: str, device: int) -> bool:
        """Return whether a missing file was deleted, rather than hidden by a vanished or other
        mount.

        `device` is that of the deepest folder of its path that is still there.
        """
        row = self._rows.get(key)
        return row is not None and row[:_DEVICE_BYTES] == row_of(_NOTHING, device)[:_DEVICE_BYTES]

    def remember(self, rows: Mapping[str, bytes]) -> None:
        self._rows.update(rows)

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._rows.pop(key, None)


_NOTHING = Version(0, 0, 0, 0, 0)
