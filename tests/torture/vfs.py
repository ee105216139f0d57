"""A layer between SQLite and the disk: the daemon's own SQLite library and code, with a say in every write and sync.

SQLite reaches files through a table of functions, the VFS (https://sqlite.org/vfs.html). This registers a copy of the
one in use, through ctypes, in the very library that Python's sqlite3 is linked to. Files of one directory get a copy
of their method table in which opening, writing, syncing, truncating and deleting ask a `Disk` first; everything else,
locks and shared memory included, stays SQLite's own code. So nothing in the product knows of it.

Shared memory (`-shm`) does not pass through here: it is rebuilt from the journal, never trusted.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# https://sqlite.org/rescode.html
OK = 0
CANTOPEN = 14
FULL = 13
IOERR = 10
IOERR_WRITE = IOERR | 3 << 8
IOERR_FSYNC = IOERR | 4 << 8
IOERR_TRUNCATE = IOERR | 6 << 8
IOERR_DELETE = IOERR | 10 << 8
OPEN_CREATE = 0x4

_NAME = b"torture"


class Unavailable(Exception):  # noqa: N818  # it is no fault, it is a place where this cannot be tried
    """This Python's SQLite cannot be reached, as where it is linked in statically."""


class Disk(Protocol):
    """What a layer asks. Each returns None to let the call through, or the code that SQLite gets in its place.

    `name` is the file's name inside the directory. Called from any thread, one call at a time for each connection.
    """

    def open(self, name: str, *, creates: bool) -> int | None: ...
    def write(self, name: str, offset: int, data: bytes) -> int | None: ...
    def truncate(self, name: str, size: int) -> int | None: ...
    def sync(self, name: str) -> int | None: ...
    def delete(self, name: str) -> int | None: ...
    def synced(self, name: str, *, with_directory: bool) -> None:
        """Hear that a sync was done, and whether the entries of the directory were synced with it."""
        ...


class _Io(ctypes.Structure):
    """The sqlite3_io_methods of https://sqlite.org/c3ref/io_methods.html, version 3."""

    _fields_ = (
        ("iVersion", ctypes.c_int),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("xClose", "xRead", "xWrite", "xTruncate", "xSync", "xFileSize", "xLock"),
                *("xUnlock", "xCheckReservedLock", "xFileControl", "xSectorSize"),
                *("xDeviceCharacteristics", "xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap"),
                *("xFetch", "xUnfetch"),
            )
        ),
    )


class _Vfs(ctypes.Structure):
    """The sqlite3_vfs of https://sqlite.org/c3ref/vfs.html, version 3."""

    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", ctypes.c_void_p),
        ("zName", ctypes.c_char_p),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("pAppData", "xOpen", "xDelete", "xAccess", "xFullPathname", "xDlOpen"),
                *("xDlError", "xDlSym", "xDlClose", "xRandomness", "xSleep", "xCurrentTime"),
                *("xGetLastError", "xCurrentTimeInt64", "xSetSystemCall", "xGetSystemCall"),
                "xNextSystemCall",
            )
        ),
    )


_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_Open = ctypes.CFUNCTYPE(_I, _P, _P, _P, _I, _P)
_Delete = ctypes.CFUNCTYPE(_I, _P, _P, _I)
_Close = ctypes.CFUNCTYPE(_I, _P)
_Write = ctypes.CFUNCTYPE(_I, _P, _P, _I, _L)
_Truncate = ctypes.CFUNCTYPE(_I, _P, _L)
_Sync = ctypes.CFUNCTYPE(_I, _P, _I)
_OpenDirectory = ctypes.CFUNCTYPE(_I, ctypes.c_char_p, _P)
_SetSystemCall = ctypes.CFUNCTYPE(_I, _P, ctypes.c_char_p, _P)
_GetSystemCall = ctypes.CFUNCTYPE(_P, _P, ctypes.c_char_p)


def _library() -> Any:
    """Return the SQLite library that the module sqlite3 uses, not another one that happens to lie about."""
    try:
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = _P
        library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
        library.sqlite3_vfs_register.argtypes = [_P, _I]
        library.sqlite3_vfs_unregister.argtypes = [_P]
    except (AttributeError, OSError) as error:
        raise Unavailable(f"the SQLite inside this Python cannot be reached: {error}") from None
    return library


class _Layer:
    """The functions that SQLite calls. Lives as long as the process: a connection may outlive its test."""

    def __init__(self) -> None:
        self.disks: dict[str, Disk] = {}
        self._library = _library()
        self._below_address = self._library.sqlite3_vfs_find(None)
        self._below = below = _Vfs.from_address(self._below_address)
        if below.iVersion < 3:
            raise Unavailable(f"the VFS of this SQLite has version {below.iVersion}, not 3")
        self._vfs = _Vfs.from_buffer_copy(below)
        self._vfs.zName = _NAME
        self._vfs.pNext = None
        self._open_below = _Open(below.xOpen)
        self._delete_below = _Delete(below.xDelete)
        set_call = _SetSystemCall(below.xSetSystemCall)
        get_call = _GetSystemCall(below.xGetSystemCall)
        self._directory_below = _OpenDirectory(get_call(self._below_address, b"openDirectory"))
        # SQLite keeps these addresses, so that Python must keep the objects.
        self._callbacks: list[Any] = []
        self._vfs.xOpen = self._address(_Open(self._open))
        self._vfs.xDelete = self._address(_Delete(self._delete))
        directory = self._address(_OpenDirectory(self._open_directory))
        set_call(self._below_address, b"openDirectory", directory)
        self._methods: dict[int, tuple[_Io, _Io]] = {}
        self._files: dict[int, tuple[Disk, str, _Io]] = {}
        self._directories_synced = 0

    def add(self, directory: str, disk: Disk) -> None:
        if not self.disks:
            self._library.sqlite3_vfs_register(ctypes.addressof(self._vfs), 1)
        self.disks[directory] = disk

    def remove(self, directory: str) -> None:
        del self.disks[directory]
        if not self.disks:
            self._library.sqlite3_vfs_unregister(ctypes.addressof(self._vfs))
            self._library.sqlite3_vfs_register(self._below_address, 1)

    def _address(self, callback: Any) -> int | None:
        self._callbacks.append(callback)
        return ctypes.cast(callback, _P).value

    def _open(self, vfs: int, path: int, file: int, flags: int, out: int) -> int:
        disk, name = self._place(path)
        if disk is None:
            return int(self._open_below(vfs, path, file, flags, out))
        creates = bool(flags & OPEN_CREATE) and not os.path.exists(ctypes.string_at(path))
        refused = disk.open(name, creates=creates)
        if refused is not None:
            # SQLite closes what has methods; a file that was not opened has none.
            ctypes.c_void_p.from_address(file).value = None
            return refused
        code: int = self._open_below(vfs, path, file, flags, out)
        pointer = ctypes.c_void_p.from_address(file)
        if code == OK and pointer.value is not None:
            below, mine = self._methods_of(pointer.value)
            self._files[file] = (disk, name, below)
            pointer.value = ctypes.addressof(mine)
        return code

    def _methods_of(self, address: int) -> tuple[_Io, _Io]:
        if address not in self._methods:
            below = _Io.from_address(address)
            mine = _Io.from_buffer_copy(below)
            mine.xClose = self._address(_Close(self._close))
            mine.xWrite = self._address(_Write(self._write))
            mine.xTruncate = self._address(_Truncate(self._truncate))
            mine.xSync = self._address(_Sync(self._sync))
            self._methods[address] = (below, mine)
        return self._methods[address]

    def _place(self, path: int | None) -> tuple[Disk | None, str]:
        """Return whose file that is, and its name; a temporary file has no path."""
        directory, name = os.path.split(os.fsdecode(ctypes.string_at(path))) if path else ("", "")
        return self.disks.get(directory), name

    def _delete(self, vfs: int, path: int, with_directory: int) -> int:
        disk, name = self._place(path)
        if disk is not None and (refused := disk.delete(name)) is not None:
            return refused
        before = self._directories_synced
        code: int = self._delete_below(vfs, path, with_directory)
        if disk is not None and self._directories_synced > before:
            disk.synced(name, with_directory=True)
        return code

    def _close(self, file: int) -> int:
        _, _, below = self._files.pop(file)
        return int(_Close(below.xClose)(file))

    def _write(self, file: int, data: int, size: int, offset: int) -> int:
        disk, name, below = self._files[file]
        refused = disk.write(name, offset, ctypes.string_at(data, size))
        if refused is not None:
            return refused
        return int(_Write(below.xWrite)(file, data, size, offset))

    def _truncate(self, file: int, size: int) -> int:
        disk, name, below = self._files[file]
        refused = disk.truncate(name, size)
        return int(_Truncate(below.xTruncate)(file, size)) if refused is None else refused

    def _sync(self, file: int, flags: int) -> int:
        disk, name, below = self._files[file]
        if (refused := disk.sync(name)) is not None:
            return refused
        before = self._directories_synced
        code: int = _Sync(below.xSync)(file, flags)
        if code == OK:
            disk.synced(name, with_directory=self._directories_synced > before)
        return code

    def _open_directory(self, path: bytes, descriptor: int) -> int:
        # SQLite opens a directory for one reason: to sync it right after.
        self._directories_synced += 1
        return int(self._directory_below(path, descriptor))


_layer: _Layer | None = None


def install(directory: Path, disk: Disk) -> None:
    """Put `disk` under the databases in `directory` until this process ends. Raises Unavailable where it cannot."""
    global _layer  # SQLite holds its addresses until the process ends
    if _layer is None:
        _layer = _Layer()
    _layer.add(os.path.realpath(directory), disk)


@contextmanager
def layered(directory: Path, disk: Disk) -> Iterator[None]:
    """Put `disk` under the databases in `directory` that are opened from now on. Raises Unavailable where it cannot."""
    place = os.path.realpath(directory)
    install(directory, disk)
    try:
        yield
    finally:
        assert _layer is not None
        _layer.remove(place)
