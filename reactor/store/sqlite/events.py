"""Events of a state directory, of whatever schema version: the newest, that of a number, those of an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactor.store.contract import EventRow, split_id
from reactor.store.sqlite import statements as sql
from reactor.store.sqlite.blocks import event_in, sources_with_blocks, unpack
from reactor.store.sqlite.ranges import sources_with_ranges

if TYPE_CHECKING:
    import sqlite3

BLOCKS_VERSION = 3
SEGMENTS_VERSION = 4
RANGES_VERSION = 5
# Single events; their table is named `event_row` from schema version 3 on, and `event` before.
_EVENTS = """
SELECT seq, source, id, sensor, type, subject, time, accepted_at,
       substr(data, 1, coalesce(:data_bytes, length(data))), decisions
FROM {single}
WHERE (:sensor IS NULL OR sensor = :sensor) AND (:since IS NULL OR accepted_at >= :since)
ORDER BY seq DESC LIMIT :limit
"""
_EVENT_BY_SEQ = """
SELECT seq, source, id, sensor, type, subject, time, accepted_at, data, decisions
FROM {single} WHERE seq = ?
"""
# What is in no segment yet is looked for row by row.
_EVENTS_BY_ID = """
SELECT seq, source, id, sensor, type, subject, time, accepted_at, data, decisions FROM event_row
WHERE seq > coalesce((SELECT through FROM identity_segment ORDER BY number DESC LIMIT 1), -1) AND id = :id
UNION
SELECT seq, event.source, event.id, sensor, type, subject, time, accepted_at, data, decisions
FROM identity_segment AS segment
CROSS JOIN identity AS known ON known.segment = segment.number AND known.id = :id
CROSS JOIN event_row AS event ON event.seq = known.event AND event.id = known.id
"""
_EVENT_IN_RANGE = """
SELECT seq, event.source, event.id, sensor, type, subject, time, accepted_at, data, decisions
FROM (SELECT * FROM identity_range WHERE source = :source AND series = :series AND first_number <= :number
      ORDER BY first_number DESC LIMIT 1) AS known
JOIN event_row AS event ON event.seq = known.first + :number - known.first_number
WHERE event.source = :source AND event.id = :id
"""
# Before there were segments, an index on events began with their source: one probe per source.
_EVENTS_BY_SOURCE_AND_ID = """
SELECT seq, source, event.id, sensor, type, subject, time, accepted_at, data, decisions
FROM ({sources}) AS known JOIN {single} AS event USING (source) WHERE event.id = :id ORDER BY seq
"""
_BLOCKS = """
SELECT first, source, series, sensor, type, accepted_at, decisions, parts, subjects, data FROM event_block
WHERE (:sensor IS NULL OR sensor = :sensor) AND (:since IS NULL OR accepted_at >= :since)
ORDER BY first DESC LIMIT :limit
"""


class Events:
    """The events of a database, seen through one connection. `table` holds those that are in no block."""

    def __init__(self, connection: sqlite3.Connection, version: int) -> None:
        self.has_blocks = version >= BLOCKS_VERSION
        self.table = "event_row" if self.has_blocks else "event"
        self._connection = connection
        self._version = version

    def newest(
        self, *, sensor: str | None, since: int | None, limit: int, data_bytes: int | None
    ) -> list[EventRow]:
        """Return the newest events first; of `data` only the first `data_bytes`."""
        wanted = {"sensor": sensor, "since": since, "limit": limit, "data_bytes": data_bytes}
        found = [
            EventRow(*row)
            for row in self._connection.execute(_EVENTS.format(single=self.table), wanted)
        ]
        if self.has_blocks:
            of_blocks: list[EventRow] = []
            for block in self._connection.execute(_BLOCKS, wanted):
                # What is newer than this block stands in those before it.
                of_blocks += reversed(unpack(block))
                if len(of_blocks) >= limit:
                    break
            found += [event._replace(data=event.data[:data_bytes]) for event in of_blocks[:limit]]
            found.sort(reverse=True)
        return found[:limit]

    def by_seq(self, seq: int) -> list[EventRow]:
        """Return the event of that number, or none."""
        row = self._connection.execute(_EVENT_BY_SEQ.format(single=self.table), (seq,)).fetchone()
        if row is not None:
            return [EventRow(*row)]
        if not self.has_blocks:
            return []
        blocks = self._connection.execute(sql.BLOCK_OF_EVENT, {"seq": seq}).fetchall()
        event = event_in(blocks, seq)
        return [] if event is None else [event]

    def by_id(self, event_id: str) -> list[EventRow]:
        """Return the events with that id, one of a source at most, by their numbers."""
        statement = (
            _EVENTS_BY_ID
            if self._version >= SEGMENTS_VERSION
            else _EVENTS_BY_SOURCE_AND_ID.format(
                single=self.table, sources=sql.SOURCES.format(table=self.table)
            )
        )
        rows = self._connection.execute(statement, {"id": event_id})
        found = {EventRow(*row) for row in rows}
        series, number = split_id(event_id)
        if number is None:
            return sorted(found)
        if self._version >= RANGES_VERSION:
            for source in sources_with_ranges(self._connection):
                wanted = {"source": source, "series": series, "number": number, "id": event_id}
                # What is in no segment yet was found by its row.
                found |= {
                    EventRow(*row) for row in self._connection.execute(_EVENT_IN_RANGE, wanted)
                }
        if self.has_blocks:
            for source in sources_with_blocks(self._connection):
                block = self._connection.execute(
                    sql.BLOCK_BY_NUMBER, (source, series, number)
                ).fetchone()
                if block is not None:
                    found |= {event for event in unpack(block) if event.id == event_id}
        return sorted(found)
