"""Disks that fail: what a layer puts under the store."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Literal

from tests.torture import vfs

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.torture.vfs import Disk

Call = Literal["open", "write", "truncate", "sync", "delete"]

# What SQLite's own code for files makes of EIO.
FAILURES: dict[Call, int] = {
    "open": vfs.CANTOPEN,
    "write": vfs.IOERR_WRITE,
    "truncate": vfs.IOERR_TRUNCATE,
    "sync": vfs.IOERR_FSYNC,
    "delete": vfs.IOERR_DELETE,
}


class IdleDisk:
    """A `Disk` for what only has to be read again: it never syncs."""

    def open(self, name: str, *, creates: bool) -> None: ...
    def write(self, name: str, offset: int, data: bytes) -> None: ...
    def truncate(self, name: str, size: int) -> None: ...
    def delete(self, name: str) -> None: ...
    def synced(self, name: str, *, with_directory: bool) -> None: ...
    def sync(self, name: str) -> int:
        return 0


class FailingDisk:
    """Fails the `number`-th call with an input/output error, counting from 1; with `lasts`, all later ones too.

    What does not fail goes to `below`. Safe to use from many threads.
    """

    def __init__(
        self,
        below: Disk,
        number: int,
        *,
        lasts: bool,
        tell: Callable[[Call, str], None] = lambda call, name: None,
    ) -> None:
        self.failed: Call | None = None
        self.failed_name = ""
        self.calls = 0
        self._below = below
        self._number = number
        self._lasts = lasts
        self._tell = tell
        self._lock = threading.Lock()

    def _fails(self, call: Call, name: str) -> bool:
        with self._lock:
            self.calls += 1
            if self.calls == self._number:
                self.failed, self.failed_name = call, name
                self._tell(call, name)
            return self.calls == self._number or (self._lasts and self.calls > self._number)

    def open(self, name: str, *, creates: bool) -> int | None:
        if self._fails("open", name):
            return FAILURES["open"]
        return self._below.open(name, creates=creates)

    def write(self, name: str, offset: int, data: bytes) -> int | None:
        if self._fails("write", name):
            return FAILURES["write"]
        return self._below.write(name, offset, data)

    def truncate(self, name: str, size: int) -> int | None:
        if self._fails("truncate", name):
            return FAILURES["truncate"]
        return self._below.truncate(name, size)

    def sync(self, name: str) -> int | None:
        if self._fails("sync", name):
            return FAILURES["sync"]
        return self._below.sync(name)

    def delete(self, name: str) -> int | None:
        if self._fails("delete", name):
            return FAILURES["delete"]
        return self._below.delete(name)

    def synced(self, name: str, *, with_directory: bool) -> None:
        self._below.synced(name, with_directory=with_directory)


class SmallDisk:
    """Has room for files of `room_bytes` together, and no more until `has_more`. Gaps count as if they were filled."""

    def __init__(self, below: Disk, room_bytes: int, *, has_more: Callable[[], bool]) -> None:
        self._below = below
        self._room_bytes = room_bytes
        self._has_more = has_more
        self._sizes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def open(self, name: str, *, creates: bool) -> int | None:
        return self._below.open(name, creates=creates)

    def write(self, name: str, offset: int, data: bytes) -> int | None:
        with self._lock:
            size = max(self._sizes[name], offset + len(data))
            used = self._sizes.total() - self._sizes[name] + size
            if size > self._sizes[name] and used > self._room_bytes and not self._has_more():
                return vfs.FULL
            self._sizes[name] = size
        return self._below.write(name, offset, data)

    def truncate(self, name: str, size: int) -> int | None:
        with self._lock:
            self._sizes[name] = min(self._sizes[name], size)
        return self._below.truncate(name, size)

    def sync(self, name: str) -> int | None:
        return self._below.sync(name)

    def delete(self, name: str) -> int | None:
        with self._lock:
            self._sizes.pop(name, None)
        return self._below.delete(name)

    def synced(self, name: str, *, with_directory: bool) -> None:
        self._below.synced(name, with_directory=with_directory)
