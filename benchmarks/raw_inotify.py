"""The least that hearing of a file could cost, inotify and a blocking read, and the least that keeping it adds. Linux.

Source: inotify(7).
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

_MOVED_TO = 0x0000_0080
# struct inotify_event: wd, mask, cookie, len; then the name, padded with zeros.
_HEAD = struct.Struct("iIII")
# As much as the commit of an event and its run writes: seven pages of SQLite's journal.
_KEPT_BYTES = 7 * 4096
_JOURNAL_BYTES = 16 * 1024 * 1024


def tell_arrivals(
    folder: str, receiver: str, count: int, ready: Connection[object, object]
) -> None:
    """Send "NAME NANOSECONDS" (CLOCK_MONOTONIC) for each file renamed into `folder`; never returns.

    With a `count` it sends once, when so many have come; 0 is for each. Raises OSError when the kernel refuses the
    watch.
    """
    seen = 0
    with _connected(receiver) as sender:
        for block in _heard(folder, ready):
            now = time.monotonic_ns()
            for name in _names(block):
                seen += 1
                if not count or seen == count:
                    sender.send(f"{name} {now}".encode())


def tell_kept_arrivals(
    folder: str, receiver: str, journal: str, ready: Connection[object, object]
) -> None:
    """Send as `tell_arrivals` does for each file, once something about it is durable.

    That is one write over what the file `journal` has, as large as a small commit of SQLite, and its flush: what no
    program can do without that forgets nothing.
    """
    descriptor = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.pwrite(descriptor, bytes(_JOURNAL_BYTES), 0)
    os.fsync(descriptor)
    place = 0
    with _connected(receiver) as sender:
        for block in _heard(folder, ready):
            os.pwrite(descriptor, b"x" * _KEPT_BYTES, place)
            os.fdatasync(descriptor)
            now = time.monotonic_ns()
            place = (place + _KEPT_BYTES) % (_JOURNAL_BYTES - _KEPT_BYTES)
            for name in _names(block):
                sender.send(f"{name} {now}".encode())


def _connected(receiver: str) -> socket.socket:
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.connect(receiver)
    return sender


def _heard(folder: str, ready: Connection[object, object]) -> Iterator[bytes]:
    """Yield what the kernel tells of files renamed into a folder."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), _MOVED_TO) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), folder)
    ready.send("ready")
    while True:
        yield os.read(descriptor, 65_536)


def _names(block: bytes) -> list[str]:
    names = []
    offset = 0
    while offset < len(block):
        length = _HEAD.unpack_from(block, offset)[3]
        offset += _HEAD.size
        names.append(os.fsdecode(block[offset : offset + length].rstrip(b"\0")))
        offset += length
    return names
