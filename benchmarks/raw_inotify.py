"""The least that hearing of a file could cost: inotify and a blocking read, nothing between. Linux.

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
    from multiprocessing.connection import Connection

_MOVED_TO = 0x0000_0080
# struct inotify_event: wd, mask, cookie, len; then the name, padded with zeros.
_HEAD = struct.Struct("iIII")


def tell_arrivals(
    folder: str, receiver: str, count: int, ready: Connection[object, object]
) -> None:
    """Send "NAME NANOSECONDS" (CLOCK_MONOTONIC) for each file renamed into `folder`; never returns.

    With a `count` it sends once, when so many have come; 0 is for each. Raises OSError when the kernel refuses the
    watch.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), _MOVED_TO) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), folder)
    seen = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(receiver)
        ready.send("ready")
        while True:
            block = os.read(descriptor, 65_536)
            now = time.monotonic_ns()
            for name in _names(block):
                seen += 1
                if not count or seen == count:
                    sender.send(f"{name} {now}".encode())


def _names(block: bytes) -> list[str]:
    names = []
    offset = 0
    while offset < len(block):
        length = _HEAD.unpack_from(block, offset)[3]
        offset += _HEAD.size
        names.append(os.fsdecode(block[offset : offset + length].rstrip(b"\0")))
        offset += length
    return names
