"""Where reading a partition goes on: pure decisions over cursor, group and log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from reactor.api import parse_duration, to_micros

if TYPE_CHECKING:
    from collections.abc import Iterable

EARLIEST = "earliest"
LATEST = "latest"
# The generation of a topic whose broker tells no topic ids (before Kafka 2.8).
NO_GENERATION = "0"
Start: TypeAlias = datetime | timedelta | str


class Partition(NamedTuple):
    """A partition of a topic; equal to the pair that the client library uses."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic as the cluster describes it. `generation` is its id: another one after it was recreated."""

    name: str
    generation: str
    partitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """What the cluster has of what was asked for; `problems` says of a topic why it cannot be read."""

    cluster: str
    topics: Mapping[str, Topic]
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What can be read of a partition: offsets from `first` up to and without `end`."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Read on at `offset`. `is_new` means that the cursor does not hold it yet."""

    offset: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Halt:
    """Do not read this partition: `why`, as a sentence without its end."""

    why: str


def cursor_key(cluster: str, topic: str, generation: str, partition: int) -> str:
    """Return the key under which the offset of a partition is kept in the sensor's cursor."""
    return f"{cluster}/{topic}@{generation}/{partition}"


def source_of(cluster: str, topic: str, generation: str) -> str:
    """Return the source of a topic's events: cluster, topic and generation."""
    return f"kafka://{cluster}/{topic}@{generation}"


def offset_in(cursor: Mapping[str, bytes], key: str) -> int | None:
    """Return the offset to read next, or None where the cursor has none."""
    raw = cursor.get(key)
    return None if raw is None else int(raw)


def generations_in(cursor: Mapping[str, bytes], cluster: str, topic: str) -> set[str]:
    """Return the generations of a topic of which the cursor holds offsets."""
    beginning = f"{cluster}/{topic}@"
    return {
        key.removeprefix(beginning).partition("/")[0] for key in cursor if key.startswith(beginning)
    }


def parse_start(start: object) -> Start:
    """Return a start position: "earliest", "latest", an aware instant, or how long before now ("-1h").

    Raises ValueError that says what is expected.
    """
    if isinstance(start, datetime):
        if start.utcoffset() is None:
            raise ValueError(f"{start.isoformat()} names no time zone; write tzinfo=UTC")
        return start
    if isinstance(start, timedelta):
        return abs(start)
    if isinstance(start, str):
        if start in (EARLIEST, LATEST):
            return start
        if start.startswith("-"):
            return parse_duration(start[1:])
        try:
            return parse_start(datetime.fromisoformat(start))
        except ValueError:
            pass
    raise ValueError(
        f'{start!r} is no start position; write "earliest", "latest", an instant with its zone, or "-1h"'
    )


def start_timestamp(start: Start, now: datetime) -> int | None:
    """Return the milliseconds since 1970 from which to read, or None for "earliest" and "latest"."""
    if isinstance(start, timedelta):
        start = now - start
    return None if isinstance(start, str) else to_micros(start) // 1000


def resume_at(
    *, own: int | None, committed: int | None, others: Iterable[str], bounds: Bounds, start: int
) -> Resume | Halt:
    """Decide where to read on.

    `own` is the offset in the cursor, `committed` the group's, `others` the generations of the same topic that the
    cursor knows besides, `start` where a first start begins. The later of `own` and `committed` counts: what another
    member of the group journaled lies before it. Nothing is ever jumped over: an offset that cannot be read halts.
    """
    if own is None and any(True for _ in others):
        # Whatever the group committed may be of the topic that was deleted.
        return Halt(
            "the topic was recreated: it has another id than the one that was read, "
            "so that its offsets mean other records"
        )
    known = [offset for offset in (own, committed) if offset is not None]
    if not known:
        return Resume(start, is_new=True)
    offset = max(known)
    if offset > bounds.end:
        return Halt(
            f"offset {offset} is to be read next, but the log ends at {bounds.end}: "
            "the topic was recreated, or records were lost by the brokers"
        )
    if offset < bounds.first:
        return Halt(
            f"offset {offset} is to be read next, but the log begins at {bounds.first}: "
            f"{bounds.first - offset} offsets were deleted before they were read"
        )
    return Resume(offset, is_new=offset != own)


def way_on(sensor: str, partition: Partition) -> str:
    """Return the command that lets a halted partition go on."""
    return f"reactor kafka seek {sensor!r} {partition} earliest"
