"""What Python does not offer of Linux: inotify(7). The flags are those of <sys/inotify.h>."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

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

_libc = ctypes.CDLL(None, use_errno=True)
_inotify_add_watch = _libc.inotify_add_watch
_inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


class InotifyEvent(NamedTuple):
    """`name` is empty for what happened to the watched folder itself."""

    watch: int
    mask: int
    name: bytes


def open_inotify() -> int:
    """Return the descriptor of a new queue, which does not block. Raises OSError."""
    return _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))


def add_watch(inotify: int, path: str, mask: int) -> int:
    """Return the number by which events name what is watched. Raises OSError."""
    return _checked(_inotify_add_watch(inotify, os.fsencode(path), mask))


def events_in(data: bytes) -> Iterator[InotifyEvent]:
    """Read the events that one read of the queue returned."""
    position = 0
    while position < len(data):
        watch, mask, _, size = _EVENT.unpack_from(data, position)
        position += _EVENT.size
        yield InotifyEvent(watch, mask, data[position : position + size].rstrip(b"\0"))
        position += size


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
