"""What Python does not offer of Linux: inotify(7), and openat2(2) to ask whether a path is in memory.

The flags are those of <sys/inotify.h> and <linux/openat2.h>.
"""

from __future__ import annotations

import ctypes
import os
import struct

IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_UNMOUNT = 0x2000
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x01000000
IN_ISDIR = 0x40000000

# struct inotify_event: wd, mask, cookie, len; then the name, padded with zeros.
_EVENT = struct.Struct("iIII")
# A buffer must hold an event with the longest name.
LARGEST_EVENT_BYTES = _EVENT.size + 255 + 1

_OPENAT2 = 437
_AT_FDCWD = -100
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH, _CACHED = 0x1, 0x2, 0x4, 0x8, 0x20

_libc = ctypes.CDLL(None, use_errno=True)
_inotify_add_watch = _libc.inotify_add_watch
_inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_syscall = _libc.syscall
_syscall.argtypes = (
    *(ctypes.c_long, ctypes.c_long, ctypes.c_char_p),
    *(ctypes.c_void_p, ctypes.c_size_t),
)
_syscall.restype = ctypes.c_long


def open_inotify() -> int:
    """Return the descriptor of a new queue, which does not block. Raises OSError."""
    return _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))


def add_watch(inotify: int, path: str, mask: int) -> int:
    """Return the number by which events name what is watched. Raises OSError."""
    return _checked(_inotify_add_watch(inotify, os.fsencode(path), mask))


def events_in(data: bytes) -> list[tuple[int, int, bytes]]:
    """Return the events that one read of the queue returned: the number of the watch, what happened, and a name.

    The name is empty for what happened to the watched folder itself.
    """
    events = []
    position = 0
    while position < len(data):
        watch, mask, _, size = _EVENT.unpack_from(data, position)
        position += _EVENT.size
        events.append((watch, mask, data[position : position + size].rstrip(b"\0")))
        position += size
    return events


class _How(ctypes.Structure):
    """struct open_how."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_HOW_BYTES = ctypes.sizeof(_How)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC
_WITHIN = _CACHED | _BENEATH | _NO_XDEV | _NO_SYMLINKS | _NO_MAGICLINKS
_ROOT = ctypes.byref(_How(_FOLDER, 0, _CACHED))
_BELOW = ctypes.byref(_How(_FOLDER | os.O_NOFOLLOW, 0, _WITHIN))
_NAME = ctypes.byref(_How(os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, 0, _WITHIN))


def open_cached(folder: str, *, below: int | None = None) -> int | None:
    """Open a folder if the kernel finds it without asking a disk, a server or a process; else return None.

    With `below`, it is a path below that open folder, and None as well where a mount or a symlink lies on the way.
    Always None before Linux 5.12, and where a sandbox forbids the call.
    """
    at, how = (_AT_FDCWD, _ROOT) if below is None else (below, _BELOW)
    descriptor: int = _syscall(_OPENAT2, at, os.fsencode(folder), how, _HOW_BYTES)
    return None if descriptor < 0 else descriptor


def cached_status(folder: int, name: str) -> os.stat_result | None:
    """Return the state of what is at `name` in an open folder, or None where the kernel would have to ask somebody."""
    descriptor: int = _syscall(_OPENAT2, folder, os.fsencode(name), _NAME, _HOW_BYTES)
    if descriptor < 0:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
