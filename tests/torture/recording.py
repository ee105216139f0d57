"""All that a run did to its disk, in order, with the acknowledgements that it gave in between."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Created:
    """A name was given to a new, empty file."""

    name: str
    inode: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """A name was taken away."""

    name: str


@dataclass(frozen=True, slots=True)
class Wrote:
    """Bytes were handed to the system. They are on the disk at once, later, or never."""

    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    """A file was given another size."""

    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """A sync returned: what was written to the file before is on the disk."""

    inode: int


@dataclass(frozen=True, slots=True)
class DirectorySynced:
    """The sync of the directory returned: the names given and taken before are on the disk."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The caller was told: from here on the number `fact` must be true whatever happens."""

    fact: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Something was asked for, such as a removal, after which the fact need not be true any more."""

    fact: int


Entry = Created | Deleted | Wrote | Truncated | Synced | DirectorySynced | Acknowledged | Withdrawn


@dataclass(slots=True)
class Recording:
    """A `Disk` that lets everything through and notes it. Writes are noted before they happen, syncs after."""

    entries: list[Entry] = field(default_factory=list)
    _inodes: dict[str, int] = field(default_factory=dict)
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledge(self, fact: int) -> None:
        """Note that a caller was told. In the caller's thread, when its `await` has returned."""
        with self._lock:
            self.entries.append(Acknowledged(fact))

    def withdraw(self, fact: int) -> None:
        """Note that a fact may end from now on. Before what ends it is asked for."""
        with self._lock:
            self.entries.append(Withdrawn(fact))

    def open(self, name: str, *, creates: bool) -> None:
        with self._lock:
            if creates:
                self._count += 1
                self._inodes[name] = self._count
                self.entries.append(Created(name, self._count))

    def write(self, name: str, offset: int, data: bytes) -> None:
        with self._lock:
            self.entries.append(Wrote(self._inodes[name], offset, data))

    def truncate(self, name: str, size: int) -> None:
        with self._lock:
            self.entries.append(Truncated(self._inodes[name], size))

    def sync(self, name: str) -> None:
        """Let the sync begin; it counts when it has returned."""

    def synced(self, name: str, *, with_directory: bool) -> None:
        with self._lock:
            if name in self._inodes:
                self.entries.append(Synced(self._inodes[name]))
            if with_directory:
                self.entries.append(DirectorySynced())

    def delete(self, name: str) -> None:
        with self._lock:
            if self._inodes.pop(name, None) is not None:
                self.entries.append(Deleted(name))
