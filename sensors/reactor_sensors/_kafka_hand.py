"""Records in hand: fetched, in order, and not yet written; and what is taken of them for one commit."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any

from reactor_sensors._kafka_columns import decode_records
from reactor_sensors._kafka_positions import cursor_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from reactor.api import Event, Rejected
    from reactor_sensors._kafka_positions import Partition
    from reactor_sensors._kafka_record import Decoder, Origin, RawRecord

RECORDS_PER_COMMIT = 1000
BYTES_PER_COMMIT = 1024 * 1024
# What a record takes besides its key and value.
_BYTES_PER_RECORD = 64


# Compared by identity: each record in hand is counted under its own.
@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A partition that may be written: where its records come from and the cursor key of its offset."""

    partition: Partition
    origin: Origin
    key: str


def place_of(partition: Partition, origin: Origin, cluster: str) -> Place:
    """Return the place of a partition."""
    return Place(
        partition, origin, cursor_key(cluster, origin.topic, origin.generation, origin.partition)
    )


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records in order, each with its place."""

    places: list[Place]
    records: list[RawRecord]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[tuple[Place, RawRecord]]:
        return zip(self.places, self.records, strict=True)

    def reached(self) -> dict[Place, int]:
        """Return for each place the offset after its last record."""
        offsets = [record.offset + 1 for record in self.records]
        return dict(zip(self.places, offsets, strict=True))

    def decoded(self, decoder: Decoder, now: datetime) -> DecodedChunk:
        """Return it with what its records are."""
        kept: list[tuple[Place, Sequence[RawRecord]]] = []
        events: list[Event[Any]] = []
        json: list[bytes] | None = []
        poison: list[Rejected] = []
        begin = 0
        for place, group in groupby(self.places):
            end = begin + len([*group])
            decoded = decode_records(decoder, place.origin, self.records[begin:end], now=now)
            begin = end
            kept.append((place, decoded.kept))
            events += decoded.events
            poison += decoded.poison
            if json is not None and decoded.json is not None:
                json += decoded.json
            else:
                json = None
        return DecodedChunk(self, events, json, poison, kept)


@dataclass(frozen=True, slots=True)
class DecodedChunk:
    """The records of `chunk` with what they are: events and poison.

    `json` is the data of the events, or None where that is not at hand for all. `kept` has the record of each event,
    place by place.
    """

    chunk: Chunk
    events: Sequence[Event[Any]]
    json: Sequence[bytes] | None
    poison: Sequence[Rejected]
    kept: Sequence[tuple[Place, Sequence[RawRecord]]]


class Hand:
    """Records that were offered, by columns."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._records: list[RawRecord] = []
        self._sizes: list[int] = []
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    def add(self, place: Place, records: Sequence[RawRecord]) -> None:
        """Take records of one partition behind all others."""
        sizes = [
            len(record.value or b"") + len(record.key or b"") + _BYTES_PER_RECORD
            for record in records
        ]
        self._places += [place] * len(records)
        self._records += records
        self._sizes += sizes
        self.size_bytes += sum(sizes)

    def has_whole_chunk(self) -> bool:
        """Return whether what comes later could not be part of the next chunk."""
        return len(self) >= RECORDS_PER_COMMIT or self.size_bytes >= BYTES_PER_COMMIT

    def take(self) -> Chunk:
        """Return the first records, at least one, and have them no longer."""
        totals = [*accumulate(self._sizes[:RECORDS_PER_COMMIT])]
        count = max(bisect_right(totals, BYTES_PER_COMMIT), 1)
        self.size_bytes -= totals[count - 1]
        chunk = Chunk(self._places[:count], self._records[:count])
        del self._places[:count], self._records[:count], self._sizes[:count]
        return chunk

    def clear(self) -> None:
        """Forget all of them."""
        del self._places[:], self._records[:], self._sizes[:]
        self.size_bytes = 0
