"""The journal's file, which is kept and written over from its beginning: how far it is in use, and room made ahead.

To write over a file's blocks and sync them is quicker than to lengthen it: the file system need not make a new size
durable, which waits for a commit of its own. So the file's size does not say how much it holds. What does are the
frames: those in use carry the salts of the header, and come before all others
(https://sqlite.org/fileformat2.html#walformat).

This file may be opened and closed at will. The database and its `-shm` must not be: that drops SQLite's locks.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 1024 * 1024
# What a peak left beyond this is given back (PRAGMA journal_size_limit): as much as the journal is emptied at, and as
# is committed while it is written back.
KEPT_BYTES = 24 * MEGABYTE
# Zeros are written behind the end until half of this at least is free, and the file so long as it becomes by itself.
AHEAD_BYTES = 4 * MEGABYTE
LONGEST_BYTES = 16 * MEGABYTE
# A commit that comes meanwhile waits for one slice: 0.7 ms, twice what it takes itself.
SLICE_BYTES = 128 * 1024
# Nor is it lengthened where so little space is left: there it may be wanted for something better.
SPARE_BYTES = 256 * MEGABYTE

_MAGIC = (0x377F0682, 0x377F0683)
_HEADER = struct.Struct(">I4xI4x8s")
_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_SALTS_AT, _SALTS_BYTES = 8, 8
_PAGE_BYTES = frozenset(2**power for power in range(9, 17))
_sync = getattr(os, "fdatasync", os.fsync)


def journal_of(database: Path) -> Path:
    """Return where the journal of a database is."""
    return database.with_name(database.name + "-wal")


class _Header(NamedTuple):
    salts: bytes
    frame_bytes: int


class Journal:
    """The file `-wal` of a database that the same thread has open and, of this process, is the only one to write to.

    Nothing here raises an OSError: what cannot be looked at is taken to be as large as the file, and what cannot be
    lengthened stays as it is.
    """

    def __init__(self, path: Path) -> None:
        # Whether `extend` is to be called again.
        self.is_short = False
        self._path = path
        self._descriptor: int | None = None
        self._emptied = (b"", 0)
        self._length_wanted = 0
        self._may_extend = True

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def reaches(self, size_bytes: int) -> bool:
        """Return whether the journal is in use up to there, with frames that were rolled back.

        Two small reads, each of which waits for the interpreter: to find the very end would be a dozen.
        """
        try:
            header = self._header()
            if header is None:
                return False
            frame = max(0, size_bytes - _HEADER_BYTES - 1) // header.frame_bytes
            salts, frames = self._emptied
            if header.salts == salts:
                # The next commit begins anew, unless a reader came in between: then it goes on behind these.
                frame = max(frame, frames)
            return self._is_used(header, frame)
        except OSError:
            return self._size_bytes() >= max(size_bytes, 1)

    def holds_more_than(self, frames: int) -> bool:
        """Return whether there are more frames since the journal was begun anew last; False where it cannot be told."""
        try:
            header = self._header()
            return header is not None and self._is_used(header, frames)
        except OSError:
            return False

    def empty(self, frames: int) -> None:
        """Note that all of it, so many frames, is in the database, and that the next commit begins anew."""
        try:
            header = self._header()
        except OSError:
            return
        self._emptied = (header.salts, frames) if header is not None else (b"", 0)

    def bytes_of(self, frames: int) -> int:
        """Return how long the journal is with so many frames."""
        try:
            header = self._header()
        except OSError:
            return self._size_bytes()
        return _HEADER_BYTES + frames * header.frame_bytes if header is not None else 0

    def plan(self) -> None:
        """Find out whether commits will soon lengthen the file: then `is_short` is True until it was extended."""
        self.is_short = False
        if not self._may_extend:
            return
        try:
            file = self._file()
            size = os.fstat(file).st_size
            if size >= LONGEST_BYTES:
                # It never becomes shorter again: KEPT_BYTES is more.
                self._may_extend = False
                return
            if size >= AHEAD_BYTES and not self.reaches(size - AHEAD_BYTES // 2):
                return
            disk = os.fstatvfs(file)
        except OSError:
            return
        self._length_wanted = min(size + AHEAD_BYTES, LONGEST_BYTES)
        self.is_short = disk.f_bavail * disk.f_frsize >= SPARE_BYTES

    def extend(self) -> None:
        """Write a slice of zeros behind the end, and sync it. SQLite takes them for the end of what is in use.

        They are appended, by the kernel's own notion of where the end is: so they come over no frame, even if somebody
        else writes to the database at this moment. Where there is no room for them no more are tried; commits use
        what there is.
        """
        try:
            file = self._file()
            os.write(file, bytes(SLICE_BYTES))
            _sync(file)
            self.is_short = os.fstat(file).st_size < self._length_wanted
        except OSError:
            self.is_short = self._may_extend = False

    def _header(self) -> _Header | None:
        """Return None for a file that holds nothing that SQLite would read."""
        start = os.pread(self._file(), _HEADER.size, 0)
        if len(start) < _HEADER.size:
            return None
        magic, page_bytes, salts = _HEADER.unpack(start)
        if magic not in _MAGIC or page_bytes not in _PAGE_BYTES:
            return None
        return _Header(salts, _FRAME_HEADER_BYTES + page_bytes)

    def _is_used(self, header: _Header, frame: int) -> bool:
        """Return whether the frame, counted from 0, is one of those that follow this header."""
        at = _HEADER_BYTES + frame * header.frame_bytes + _SALTS_AT
        return os.pread(self._file(), _SALTS_BYTES, at) == header.salts

    def _file(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        return self._descriptor

    def _size_bytes(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0
