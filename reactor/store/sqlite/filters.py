"""Which segments may have an id: Bloom filters of all of them, side by side, so that one look asks them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEGMENTS_PER_COLUMN = 8
# With 32,768 ids in a segment, six of 32 bits for each: one in 40,000 that it does not have seems to be there. To look
# there takes as long as a few events, so that with hundreds of segments even one in 5,000, as of four, cost a tenth.
PLACE_BITS = 20
PLACES_PER_ID = 6
# Columns are added so many at a time.
_MORE_COLUMNS = 4


class _Column(NamedTuple):
    """Where a column stands in each row, and how many places its ids have; those of an older version have fewer."""

    place: int
    places_per_id: int


class Filters:
    """A table of bits: a row for each place, in it a byte for each column, in that a bit for each of eight segments."""

    def __init__(self) -> None:
        self._places = 1 << PLACE_BITS
        self._columns: dict[int, _Column] = {}
        # For each place of an id: all bits of the columns whose ids do not have it.
        self._lacking: list[int] = [0] * PLACES_PER_ID
        self._width = 0
        self._bytes = bytearray()
        # The segment that is being written, and its own bit at each place that one of its ids has.
        self._open = -1
        self._marks = bytearray()

    def load(self, columns: Sequence[tuple[int, bytes, int]]) -> None:
        """Take over columns as `close` returned them, each with its number."""
        # All bytes move whenever it becomes wider: at once for all of them.
        self._widen(len(columns))
        for column, bits, places_per_id in columns:
            place, _ = self._add_column(column, places_per_id)
            self._bytes[place :: self._width] = bits

    def drop(self, column: int) -> None:
        """Forget the segments of a column."""
        dropped = self._columns.pop(column, None)
        if dropped is not None:
            self._bytes[dropped.place :: self._width] = bytes(self._places)
            self._note_lacking()

    def add(self, segment: int, ids: Sequence[str]) -> None:
        """Take note that a segment has these ids, which `suspects` tells of once it is closed."""
        if segment != self._open:
            self._open, self._marks = segment, bytearray(self._places)
        column, bit = divmod(segment, SEGMENTS_PER_COLUMN)
        marks, last, mark = self._marks, self._places - 1, 1 << bit
        known = self._columns.get(column)
        numbers = range(PLACES_PER_ID if known is None else known.places_per_id)
        for place, step in _digests(ids):
            for _ in numbers:
                marks[place & last] = mark
                place += step

    def close(self, segment: int) -> tuple[bytes, int]:
        """Let `suspects` tell of a segment that is whole; it may be closed again.

        Return its column, a byte for each place, and how many places each id has there.
        """
        column = segment // SEGMENTS_PER_COLUMN
        place, places_per_id = self._columns.get(column) or self._add_column(column, PLACES_PER_ID)
        bits = bytes(self._bytes[place :: self._width])
        if segment == self._open:
            both = int.from_bytes(bits, "little") | int.from_bytes(self._marks, "little")
            bits = both.to_bytes(self._places, "little")
            self._bytes[place :: self._width] = bits
        return bits, places_per_id

    def suspects(self, ids: Sequence[str]) -> list[tuple[int, list[int]]]:
        """Return which of these ids, by number, segments may have, and which; those that have it are among them."""
        width, table, last = self._width, self._bytes, self._places - 1
        read, others = int.from_bytes, self._lacking[1:]
        suspects = []
        for number, (place, step) in enumerate(_digests(ids)):
            at = (place & last) * width
            found = read(table[at : at + width], "little")
            for lacking in others:
                place += step
                at = (place & last) * width
                found &= read(table[at : at + width], "little") | lacking
                if not found:
                    break
            else:
                suspects.append((number, self._spell(found)))
        return suspects

    def _spell(self, found: int) -> list[int]:
        return [
            column * SEGMENTS_PER_COLUMN + bit
            for column, (place, _) in self._columns.items()
            for bit in range(SEGMENTS_PER_COLUMN)
            if found >> SEGMENTS_PER_COLUMN * place + bit & 1
        ]

    def __bool__(self) -> bool:
        return bool(self._columns)

    def _add_column(self, column: int, places_per_id: int) -> _Column:
        """Make room for a column."""
        taken = {place for place, _ in self._columns.values()}
        place = next(place for place in range(len(taken) + 1) if place not in taken)
        if place == self._width:
            self._widen(_MORE_COLUMNS)
        self._columns[column] = _Column(place, places_per_id)
        self._note_lacking()
        return self._columns[column]

    def _note_lacking(self) -> None:
        self._lacking = [
            sum(
                (1 << SEGMENTS_PER_COLUMN) - 1 << SEGMENTS_PER_COLUMN * place
                for place, places_per_id in self._columns.values()
                if places_per_id <= number
            )
            for number in range(PLACES_PER_ID)
        ]

    def _widen(self, columns: int) -> None:
        width = self._width + columns
        table = bytearray(self._places * width)
        for place in range(self._width):
            table[place::width] = self._bytes[place :: self._width]
        self._width, self._bytes = width, table


def _digests(ids: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Return for each id its first place and the step to the next one, which is odd."""
    places = [*map(crc32, map(str.encode, ids))]
    return zip(places, [place * 0x9E3779B1 >> 12 | 1 for place in places], strict=True)
