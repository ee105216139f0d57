"""How much of a journal is in use, counted frame by frame: slow, and in no way that the product counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def frames_in_use(journal: Path) -> int:
    """Return how many frames carry the salts of the header (https://sqlite.org/fileformat2.html#walformat)."""
    content = journal.read_bytes()
    size = 24 + int.from_bytes(content[8:12], "big")
    salts = content[16:24]
    count = 0
    while content[32 + count * size + 8 : 32 + count * size + 16] == salts:
        count += 1
    return count
