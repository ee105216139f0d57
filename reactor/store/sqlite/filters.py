"""Which segments may have an id: Bloom filters of all of them, side by side, so that one look asks them all."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SEGMENTS_PER_COLUMN = 8
# With 32,768 ids in a segment, four of 32 bits for each: one in 5,000 that it does not have seems to be there.
PLACE_BITS = 20
PLACES_PER_ID = 4
# Columns are added so many at a time.
_MORE_COLUMNS = 4


class Filters:
    """A table of bits: a row for each place, in it a byte for each column, in that a bit for each of eight segments."""

    def __init__(self) -> None:
        self._places = 1 << PLACE_BITS
        self._columns: dict[int, int] = {}
        self._width = 0
        self._bytes = bytearray()

    def load(self, columns: Sequence[tuple[int, bytes]]) -> None:
        """Take over columns as `column` returned them."""
        # All bytes move whenever it becomes wider: at once for all of them.
        self._widen(len(columns))
        for column, bits in columns:
            place = self._place_of(column)
            self._bytes[place :: self._width] = bits

    def column(self, column: int) -> bytes:
        """Return a column, a byte for each place."""
        place = self._place_of(column)
        return bytes(self._bytes[place :: self._width])

    def drop(self, column: int) -> None:
        """Forget the segments of a column."""
        place = self._columns.pop(column, None)
        if place is not None:
            self._bytes[place :: self._width] = bytes(self._places)

    def add(self, segment: int, ids: Iterable[str]) -> None:
        """Take note that a segment has these ids."""
        column, bit = divmod(segment, SEGMENTS_PER_COLUMN)
        at, last, mask = self._place_of(column), self._places - 1, 1 << bit
        width, table = self._width, self._bytes
        for id_ in ids:
            place, step = _digests(id_)
            for _ in range(PLACES_PER_ID):
                table[(place & last) * width + at] |= mask
                place += step

    def segments(self, id: str) -> list[int]:  # noqa: A002  # its name
        """Return the segments that may have an id; those that have it are among them."""
        width, table, last = self._width, self._bytes, self._places - 1
        place, step = _digests(id)
        found = -1
        for _ in range(PLACES_PER_ID):
            at = (place & last) * width
            found &= int.from_bytes(table[at : at + width], "little")
            place += step
        return self._spell(found) if found else []

    def _spell(self, found: int) -> list[int]:
        return [
            column * SEGMENTS_PER_COLUMN + bit
            for column, place in self._columns.items()
            for bit in range(SEGMENTS_PER_COLUMN)
            if found >> SEGMENTS_PER_COLUMN * place + bit & 1
        ]

    def __bool__(self) -> bool:
        return bool(self._columns)

    def _place_of(self, column: int) -> int:
        """Return where a column stands in each row, making room for one that is new."""
        if column in self._columns:
            return self._columns[column]
        taken = set(self._columns.values())
        place = next(place for place in range(len(taken) + 1) if place not in taken)
        if place == self._width:
            self._widen(_MORE_COLUMNS)
        self._columns[column] = place
        return place

    def _widen(self, columns: int) -> None:
        width = self._width + columns
        table = bytearray(self._places * width)
        for place in range(self._width):
            table[place::width] = self._bytes[place :: self._width]
        self._width, self._bytes = width, table


def _digests(id: str) -> tuple[int, int]:  # noqa: A002  # its name
    """Return the first place of an id and the step to the next one, which is odd."""
    digest = crc32(id.encode())
    return digest, digest * 0x9E3779B1 >> 12 | 1
