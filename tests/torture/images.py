"""What may be on the disk after a power cut, given all that was written and synced before it.

Certain is only what a sync covers. Of the rest, each write may have landed or not, in any order, and of each only some
512-byte sectors; the size of a file may have grown without its bytes, which then hold anything; a name may be missing
although the file behind it is whole, and a name that was taken away may still be there.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from tests.torture.recording import (
    Created,
    Deleted,
    DirectorySynced,
    Synced,
    Truncated,
    Wrote,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.torture.recording import Entry

SECTOR_BYTES = 512

# What became of all that no sync covers. lost: nothing landed. kept: everything did. prefix: as much as there was time
# for, in order, the last write torn. some: any of them, in order, whole or torn. shuffled: the same in any order.
Fate = Literal["lost", "kept", "prefix", "some", "shuffled"]

Image = dict[str, bytes]


@dataclass(slots=True)
class _File:
    certain: bytearray = field(default_factory=bytearray)
    pending: list[Wrote | Truncated] = field(default_factory=list)

    def settle(self) -> None:
        for change in self.pending:
            _apply(self.certain, change)
        self.pending.clear()


class Platter:
    """Follows a recording entry by entry; `image` gives one of the disks that a cut here may leave.

    `heeds_sync` is False for a disk that only pretends to sync, to prove that losses would be found.
    """

    def __init__(self, *, heeds_sync: bool = True, heeds_directory_sync: bool = True) -> None:
        self._heeds_sync = heeds_sync
        self._heeds_directory_sync = heeds_directory_sync
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._pending_names: list[Created | Deleted] = []

    def follow(self, entry: Entry) -> None:
        """Take the next entry."""
        if isinstance(entry, Created):
            self._files[entry.inode] = _File()
            self._pending_names.append(entry)
        elif isinstance(entry, Deleted):
            self._pending_names.append(entry)
        elif isinstance(entry, Wrote | Truncated):
            self._files[entry.inode].pending.append(entry)
        elif isinstance(entry, Synced) and self._heeds_sync:
            self._files[entry.inode].settle()
        elif isinstance(entry, DirectorySynced) and self._heeds_directory_sync:
            _rename(self._names, self._pending_names)
            self._pending_names.clear()

    def image(self, luck: random.Random, fate: Fate | None = None) -> Image:
        """Return files by name."""
        chosen: Fate = luck.choice(get_args(Fate)) if fate is None else fate
        names = dict(self._names)
        _rename(names, _survivors(self._pending_names, chosen, luck))
        files = {inode: self._files[inode] for inode in names.values()}
        return {name: _content(files[inode], chosen, luck) for name, inode in names.items()}


def _rename(names: dict[str, int], changes: Iterable[Created | Deleted]) -> None:
    for change in changes:
        if isinstance(change, Created):
            names[change.name] = change.inode
        else:
            names.pop(change.name, None)


def _survivors(
    changes: Sequence[Created | Deleted], fate: Fate, luck: random.Random
) -> list[Created | Deleted]:
    """Return the changes of names that landed. File systems keep those of one directory in order, or lose them."""
    if fate == "lost":
        return []
    if fate == "kept":
        return [*changes]
    if fate == "prefix":
        return [*changes[: luck.randint(0, len(changes))]]
    return [change for change in changes if luck.random() < 0.5]


def _content(file: _File, fate: Fate, luck: random.Random) -> bytes:
    content = bytearray(file.certain)
    if fate == "kept":
        for change in file.pending:
            _apply(content, change)
    elif fate == "prefix":
        landed = file.pending[: luck.randint(0, len(file.pending))]
        for change in landed[:-1]:
            _apply(content, change)
        if landed:
            _tear(content, landed[-1], luck)
    elif fate in ("some", "shuffled"):
        likelihood = luck.random()
        landed = [change for change in file.pending if luck.random() < likelihood]
        if fate == "shuffled":
            luck.shuffle(landed)
        tears = luck.random() / 2
        for change in landed:
            if luck.random() < tears:
                _tear(content, change, luck)
            else:
                _apply(content, change)
    if fate != "kept" and luck.random() < 0.3:
        _grow(content, file.pending, luck)
    return bytes(content)


def _apply(content: bytearray, change: Wrote | Truncated) -> None:
    if isinstance(change, Truncated):
        _resize(content, change.size)
        return
    end = change.offset + len(change.data)
    if len(content) < end:
        _resize(content, end)
    content[change.offset : end] = change.data


def _tear(content: bytearray, change: Wrote | Truncated, luck: random.Random) -> None:
    """Let some sectors of a write land; a truncation happens or not."""
    if isinstance(change, Truncated):
        if luck.random() < 0.5:
            _resize(content, change.size)
        return
    likelihood = luck.random()
    start, end = change.offset, change.offset + len(change.data)
    edges = [start, *range(start // SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES, end, SECTOR_BYTES)]
    for first, after in zip(edges, [*edges[1:], end], strict=True):
        if luck.random() < likelihood:
            _apply(content, Wrote(change.inode, first, change.data[first - start : after - start]))


def _grow(content: bytearray, pending: Iterable[Wrote | Truncated], luck: random.Random) -> None:
    """Give the file a size that it had for a moment, filled with nothing, with noise, or with what lay there before."""
    sizes = [c.offset + len(c.data) for c in pending if isinstance(c, Wrote)]
    sizes = [size for size in sizes if size > len(content)]
    if not sizes:
        return
    missing = luck.choice(sizes) - len(content)
    kind = luck.randrange(3)
    if kind == 0 or not content:
        content += bytes(missing)
    elif kind == 1:
        content += luck.randbytes(missing)
    else:
        content += (bytes(content) * (missing // len(content) + 1))[:missing]


def _resize(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content += bytes(size - len(content))
