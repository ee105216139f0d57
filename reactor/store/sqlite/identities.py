"""Which events are known: the newest in memory, the others in segments, each written once and in order, or in ranges.

A unique index over all identities has a page of its own to change for each event whose id is in no order, and the
journal takes whole pages. Here an event costs a look into a dictionary and, later, a row at the end of a table;
filters tell which of the older segments need to be asked at all. It is used by the writer's thread alone.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from functools import partial
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING

from reactor.store.sqlite import statements as sql
from reactor.store.sqlite.filters import SEGMENTS_PER_COLUMN, Filters
from reactor.store.sqlite.ranges import Ranges, split

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from reactor.store.contract import EventBlock, EventRow
    from reactor.store.sqlite.ranges import Range

# So many identities, or so much text of theirs, and they become a segment; as much may be in memory twice.
SEGMENT_EVENTS = 32_768
SEGMENT_BYTES = 8 * 1024 * 1024
# For each new event so many rows are written of the segment before: it is whole long before the next is begun. For the
# same reason so many are put into parts for each row: to sort all at once would hold everybody up.
ROWS_PER_EVENT = 2
FEWEST_ROWS = 8
SORTED_PER_ROW = 4
PART_ROWS = 512
DROPPED_PER_CALL = 2000

# By source and id: the number of the event.
_Numbers = dict[str, dict[str, int]]
_Row = tuple[int, str, str, int]
_NONE: Mapping[str, int] = {}
_id_of: Callable[[tuple[str, str, int]], str] = itemgetter(0)


class _Sealing:
    """Identities on their way into a segment; until it is whole, they are looked for in `numbers`.

    All events up to `through` are among them, or in ranges; it may be that none are among them.
    """

    def __init__(self, number: int, numbers: _Numbers, through: int) -> None:
        self.number = number
        self.numbers = numbers
        items = [
            (id_, source, event) for source, ids in numbers.items() for id_, event in ids.items()
        ]
        events = [event for _, _, event in items] or [through]
        self.is_empty = not items
        self.first, self.last = min(events), max(events)
        self.through = max(self.last, through)
        self._limits = sorted(id_ for id_, _, _ in items[::PART_ROWS])
        self._parts: list[list[_Row]] = [[] for _ in range(len(self._limits) + 1)]
        self._unsorted = iter(items)
        self._is_sorted = False
        # Not by the whole rows: to compare tuples takes twice as long.
        by_id = partial(sorted, key=itemgetter(1))
        self._rows: Iterator[_Row] = chain.from_iterable(map(by_id, self._parts))

    def take(self, count: int | None) -> tuple[list[_Row], bool]:
        """Return up to `count` rows in the order of ids, or all that are left, and whether those were the last.

        The first calls sort, and return none.
        """
        if not self._is_sorted:
            most = None if count is None else SORTED_PER_ROW * count
            chunk = [*islice(self._unsorted, most)]
            parts = map(partial(bisect_right, self._limits), map(_id_of, chunk))
            for (id_, source, event), part in zip(chunk, parts, strict=True):
                self._parts[part].append((self.number, id_, source, event))
            self._is_sorted = most is None or len(chunk) < most
            if count is not None:
                return [], False
        rows = [*islice(self._rows, count)]
        return rows, count is None or len(rows) < count

    def put_back(self, rows: Sequence[_Row]) -> None:
        """Have rows taken again before all others."""
        self._rows = chain(rows, self._rows)


class Identities:
    """The identities of all single events. What is said within a transaction counts once `committed` is called."""

    def __init__(self) -> None:
        self._recent: _Numbers = {}
        self._recent_count = 0
        self._recent_bytes = 0
        self._sealing: _Sealing | None = None
        self._next_segment = 0
        # All events up to this number are in segments, or on their way there, or in ranges.
        self._through = -1
        self._filters = Filters()
        self._ranges = Ranges()
        # How many events came in ranges since the last segment was begun, and the highest of their numbers.
        self._in_ranges = 0
        self._ranges_through = -1
        # Of the transaction that is open.
        self._fresh: _Numbers = {}
        self._fresh_ranges: list[Range] = []
        self._removed: list[tuple[str, str, int]] = []
        self._written: list[_Row] = []
        self._is_whole = False
        self._dropped_filters: list[int] = []

    def load(self, connection: sqlite3.Connection) -> None:
        """Read what must be in memory, outside a transaction. Where that is more than usual, it is sealed at once."""
        self._filters.load(connection.execute(sql.SELECT_FILTERS).fetchall())
        self._ranges.load(connection)
        last = connection.execute(sql.SELECT_LAST_SEGMENT).fetchone()
        if last is not None:
            self._next_segment, self._through = last[0] + 1, last[1]
        through = self._through
        while True:
            before = through
            rows = connection.execute(sql.SELECT_TAIL, (through, 2 * SEGMENT_EVENTS)).fetchall()
            # So much stays in memory while a daemon runs. Only a new index has more to do.
            is_more = len(rows) == 2 * SEGMENT_EVENTS
            for seq, source, id_ in rows[:SEGMENT_EVENTS] if is_more else rows:
                self._fresh.setdefault(source, {})[id_] = through = seq
            self.committed()
            if not is_more:
                break
            if through <= before:
                # As on a disk that only pretended to sync. The same rows would be read for ever.
                raise sqlite3.DatabaseError(
                    "the events are not in the order of their numbers, as when a disk did not keep "
                    "what it was told to; restore a backup"
                )
            connection.execute("BEGIN IMMEDIATE")
            self._write(connection, self._rotate(), None)
            connection.execute("COMMIT")
            self.committed()
        # Not before: a segment that is sealed above must not be said to reach up to the last of them.
        ranges = connection.execute(sql.SELECT_RANGES_OF_TAIL, (self._through,)).fetchone()
        self._in_ranges, self._ranges_through = ranges

    def known_of(self, connection: sqlite3.Connection, events: Sequence[EventRow]) -> set[int]:
        """Return the numbers of those events that are known. The others are, from here on; they have no rows yet."""
        singles: list[EventRow] = []
        ranges: list[Range] = []
        for range_, part in split(events):
            if range_ is not None and self._is_new(connection, range_, part):
                ranges.append(range_)
            else:
                singles += part
        self._fresh_ranges += ranges
        return self._known_singles(connection, singles, ranges)

    def _is_new(
        self, connection: sqlite3.Connection, range_: Range, events: Sequence[EventRow]
    ) -> bool:
        """Take a range in if none of its events is known."""
        return (
            not self._is_in_memory(range_.source, (event.id for event in events))
            and not (self._filters and self._in_segments(connection, events))
            and self._ranges.insert(connection, range_)
        )

    def _known_singles(
        self, connection: sqlite3.Connection, events: Sequence[EventRow], ranges: Collection[Range]
    ) -> set[int]:
        known: set[int] = set()
        new: list[EventRow] = []
        late = self._through + 1
        recent, sealing = self._recent, self._sealing.numbers if self._sealing else {}
        source: str | None = None
        fresh: dict[str, int] = {}
        newest = newer = _NONE
        for event in events:
            seq, id_ = event.seq, event.id
            if event.source != source:
                source = event.source
                fresh = self._fresh.setdefault(source, {})
                newest, newer = recent.get(source, _NONE), sealing.get(source, _NONE)
            if id_ in fresh or id_ in newest or id_ in newer:
                known.add(seq)
                continue
            fresh[id_] = seq
            new.append(event)
            if seq < late:
                late = seq
        older = self._ranges.known_of(connection, new, ranges)
        if self._filters:
            older |= self._in_segments(connection, new)
        for event in new if older else ():
            if event.seq in older:
                del self._fresh[event.source][event.id]
        if late <= self._through:
            self._come_late(connection, late)
        return known | older

    def may_know(self, block: EventBlock) -> bool:
        """Return whether one of a block's events may be in memory; INSERT_BLOCK looks everywhere else itself."""
        return self._is_in_memory(block.source, (f"{block.series}{each}" for each in block.numbers))

    def _is_in_memory(self, source: str, ids: Iterable[str]) -> bool:
        """Return whether one of a source's ids is known there."""
        sealing = self._sealing.numbers if self._sealing else {}
        layers = [
            layer[source] for layer in (self._fresh, self._recent, sealing) if source in layer
        ]
        if not layers:
            return False
        sought = [*ids]
        return not all(layer.keys().isdisjoint(sought) for layer in layers)

    def seal(self, connection: sqlite3.Connection, *, events: int) -> None:
        """Bring identities on their way into a segment: some more than the transaction has new events."""
        # Those in ranges are in no segment, but one tells up to where no rows need to be read at a start.
        count = self._recent_count + self._in_ranges
        is_due = count >= SEGMENT_EVENTS or self._recent_bytes >= SEGMENT_BYTES
        if self._sealing is not None:
            # All of it only where ids are so long that few make a segment.
            rows = None if is_due else max(FEWEST_ROWS, ROWS_PER_EVENT * events)
            self._write(connection, self._sealing, rows)
        elif is_due:
            self._rotate()

    def remove(self, source: str, id: str, seq: int) -> None:  # noqa: A002  # its name
        """Take note that an event has been removed."""
        self._removed.append((source, id, seq))

    def drop_dead(self, connection: sqlite3.Connection) -> None:
        """Remove the ranges whose last events are removed, and some of a segment of which all events are gone.

        With the last of its identities the segment goes.
        """
        self._ranges.drop(connection, ((source, seq) for source, _, seq in self._removed))
        dead = connection.execute(sql.SELECT_DEAD_SEGMENT).fetchone()
        if dead is None:
            return
        (number,) = dead
        parameters = {"segment": number, "limit": DROPPED_PER_CALL}
        if connection.execute(sql.DELETE_IDENTITIES, parameters).rowcount == DROPPED_PER_CALL:
            return
        connection.execute(sql.DELETE_SEGMENT, (number,))
        column = number // SEGMENTS_PER_COLUMN
        # Not that into which a segment may be on its way.
        if column < (self._next_segment - 1) // SEGMENTS_PER_COLUMN:
            numbers = column * SEGMENTS_PER_COLUMN, (column + 1) * SEGMENTS_PER_COLUMN
            if connection.execute(sql.DELETE_FILTER, (column, *numbers)).rowcount:
                self._dropped_filters.append(column)

    def committed(self) -> None:
        """Take the transaction's news over."""
        for source, ids in self._fresh.items():
            self._recent.setdefault(source, {}).update(ids)
            self._recent_count += len(ids)
            self._recent_bytes += sum(map(len, ids)) + len(ids) * len(source)
        self._fresh = {}
        for each in self._fresh_ranges:
            self._in_ranges += each.last - each.first + 1
            self._ranges_through = max(self._ranges_through, each.last)
        self._fresh_ranges = []
        for source, id_, seq in self._removed:
            self._forget(source, id_, seq)
        self._removed = []
        self._written = []
        if self._is_whole:
            self._is_whole = False
            self._sealing = None
        for column in self._dropped_filters:
            self._filters.drop(column)
        self._dropped_filters = []

    def rolled_back(self) -> None:
        """Drop the transaction's news."""
        self._fresh = {}
        self._fresh_ranges = []
        self._removed = []
        self._is_whole = False
        self._dropped_filters = []
        if self._sealing is not None:
            self._sealing.put_back(self._written)
        self._written = []

    def _forget(self, source: str, id: str, seq: int) -> None:  # noqa: A002  # its name
        if self._recent.get(source, _NONE).get(id) == seq:
            del self._recent[source][id]
            self._recent_count -= 1
            self._recent_bytes -= len(source) + len(id)
        elif self._sealing is not None and self._sealing.numbers.get(source, _NONE).get(id) == seq:
            del self._sealing.numbers[source][id]

    def _in_segments(self, connection: sqlite3.Connection, events: Sequence[EventRow]) -> set[int]:
        """Return the numbers of those events that are known there."""
        suspects = [
            (segment, events[number].id, events[number].source, events[number].seq)
            for number, segments in self._filters.suspects([event.id for event in events])
            for segment in segments
        ]
        return {
            seq
            for text, values in sql.KNOWN_IN_SEGMENTS.executions(suspects)
            for (seq,) in connection.execute(text, values)
        }

    def _come_late(self, connection: sqlite3.Connection, seq: int) -> None:
        """An event is new whose number lies among those of a segment: after a restart it must be found in the rows."""
        connection.execute(sql.LOWER_THROUGH, (seq - 1,))
        if self._sealing is not None:
            self._sealing.through = min(self._sealing.through, seq - 1)

    def _rotate(self) -> _Sealing:
        """Let what is in memory become the next segment."""
        through = max(self._through, self._ranges_through)
        sealing = self._sealing = _Sealing(self._next_segment, self._recent, through)
        self._next_segment += 1
        self._through = sealing.through
        self._recent = {}
        self._recent_count = self._recent_bytes = self._in_ranges = 0
        return sealing

    def _write(self, connection: sqlite3.Connection, sealing: _Sealing, count: int | None) -> None:
        rows, is_last = sealing.take(count)
        self._written += rows
        if rows:
            self._filters.add(sealing.number, [id_ for _, id_, _, _ in rows])
        for text, values in sql.INSERT_IDENTITY.executions(rows):
            connection.execute(text, values)
        if is_last:
            self._is_whole = True
            span = (sealing.number, sealing.first, sealing.last, sealing.through)
            connection.execute(sql.INSERT_SEGMENT, span)
            if sealing.is_empty:
                return
            column = sealing.number // SEGMENTS_PER_COLUMN
            connection.execute(sql.UPSERT_FILTER, (column, *self._filters.close(sealing.number)))
