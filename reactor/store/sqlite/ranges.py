"""Identities that ascend, as those of Kafka records do: of many events that came together, one row for all of them.

Events with ids of one series and numbers without a gap have numbers of their own without one, so the first of each says
it of all. A look-up is a step of arithmetic, and whether the event is still there. It is used by the writer's thread
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reactor.store.contract import LARGEST_NUMBER, split_id
from reactor.store.sqlite import statements as sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from reactor.store.contract import EventRow

# Fewer than these are identities like any others: a row for each of them costs no more.
SMALLEST_RANGE = 16


class Range(NamedTuple):
    """The events from `first` to `last`, whose ids are `series` and the numbers from `first_number` on."""

    first: int
    last: int
    source: str
    series: str
    first_number: int

    @property
    def last_number(self) -> int:
        return self.first_number + self.last - self.first

    def has(self, source: str, series: str, number: int) -> bool:
        """Return whether one of its events has this identity."""
        return (
            self.source == source
            and self.series == series
            and self.first_number <= number <= self.last_number
        )


def split(events: Sequence[EventRow]) -> Iterator[tuple[Range | None, Sequence[EventRow]]]:
    """Return the events in order, those that are a range together, and those between two ranges."""
    begin = behind = 0
    while begin <= len(events) - SMALLEST_RANGE:
        found = _range_at(events, begin)
        if found is None:
            begin += 1
            continue
        if behind < begin:
            yield None, events[behind:begin]
        behind = begin + found.last - found.first + 1
        yield found, events[begin:behind]
        begin = behind
    if behind < len(events):
        yield None, events[behind:]


def _range_at(events: Sequence[EventRow], begin: int) -> Range | None:
    """Return the longest range that begins there."""
    event, other = events[begin], events[begin + SMALLEST_RANGE - 1]
    # Of ids in no order, few are worth a closer look.
    if event.id[:1] != other.id[:1]:
        return None
    series, number = split_id(event.id)
    if number is None or other.id != f"{series}{number + SMALLEST_RANGE - 1}":
        return None
    seq, source = event.seq, event.source
    end = begin
    for each in range(number, min(number + len(events) - begin, LARGEST_NUMBER + 1)):
        event = events[end]
        if (
            event.id != f"{series}{each}"
            or event.seq != seq + end - begin
            or event.source != source
        ):
            break
        end += 1
    if end - begin < SMALLEST_RANGE:
        return None
    return Range(seq, seq + end - begin - 1, source, series, number)


class Ranges:
    """The ranges of a database."""

    def __init__(self) -> None:
        # Of some there may be no range, when one was rolled back or removed.
        self._sources: set[str] = set()

    def load(self, connection: sqlite3.Connection) -> None:
        """Read which sources have ranges."""
        self._sources = sources_with_ranges(connection)

    def insert(self, connection: sqlite3.Connection, new: Range) -> bool:
        """Insert a range; return False, and keep nothing, where it overlaps another."""
        self._sources.add(new.source)
        wanted = {**new._asdict(), "last_number": new.last_number}
        return bool(connection.execute(sql.INSERT_RANGE, wanted).rowcount)

    def known_of(
        self, connection: sqlite3.Connection, events: Iterable[EventRow], fresh: Collection[Range]
    ) -> set[int]:
        """Return the numbers of those events that are in ranges, or in `fresh` ones, whose events have no rows yet."""
        known: set[int] = set()
        suspects: list[sql.Row] = []
        # Mostly there are none.
        for event in events if self._sources else ():
            if event.source not in self._sources:
                continue
            series, number = split_id(event.id)
            if number is None:
                continue
            if any(each.has(event.source, series, number) for each in fresh):
                known.add(event.seq)
            else:
                suspects.append((event.seq, event.source, series, number, event.id))
        for text, values in sql.KNOWN_IN_RANGES.executions(suspects):
            known.update(seq for (seq,) in connection.execute(text, values))
        return known

    def drop(self, connection: sqlite3.Connection, removed: Iterable[tuple[str, int]]) -> None:
        """Remove the ranges of removed events, each given by source and number, that have no others left."""
        behind = -1
        for seq in sorted(seq for source, seq in removed if source in self._sources):
            if seq <= behind:
                continue
            found = connection.execute(sql.RANGE_OF_EVENT, {"seq": seq}).fetchone()
            if found is not None:
                first, behind = found
                connection.execute(sql.DELETE_DEAD_RANGE, (first,))


def sources_with_ranges(connection: sqlite3.Connection) -> set[str]:
    """Return the sources of which identities are in ranges."""
    return {source for (source,) in connection.execute(sql.SOURCES_WITH_RANGES)}
