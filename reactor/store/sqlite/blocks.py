"""Events in blocks: one row for many that came together, what it takes to find one of them, and to know it again."""

from __future__ import annotations

from collections import defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import orjson

from reactor.store.contract import EventRow, split_id
from reactor.store.sqlite import statements as sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from reactor.store.contract import EventBlock


def pack(block: EventBlock) -> Mapping[str, Any]:
    """Return a block as the parameters of INSERT_BLOCK. Raises ValueError for subjects that no text can be."""
    subjects = [b"" if subject is None else subject.encode() for subject in block.subjects]
    lengths = [*map(len, block.data)]
    subject_lengths = [
        None if subject is None else len(raw)
        for subject, raw in zip(block.subjects, subjects, strict=True)
    ]
    parts = zip(
        block.numbers,
        block.times,
        accumulate(lengths, initial=0),
        lengths,
        accumulate(map(len, subjects), initial=0),
        subject_lengths,
        strict=False,
    )
    first_number, last_number = block.numbers[0], block.numbers[-1]
    return {
        "first": block.first,
        "last": block.first + len(block.numbers) - 1,
        "source": block.source,
        "series": block.series,
        "first_number": first_number,
        "last_number": last_number,
        "first_id": f"{block.series}{first_number}",
        "last_id": f"{block.series}{last_number}",
        "sensor": block.sensor,
        "type": block.type,
        "accepted_at": block.accepted_at,
        "decisions": block.decisions,
        "parts": orjson.dumps([*parts]).decode(),
        "subjects": b"".join(subjects),
        "data": b"".join(block.data),
    }


def unpack(row: Sequence[Any]) -> list[EventRow]:
    """Return the events of a block; the columns are those of BLOCK_OF_EVENT."""
    first, source, series, sensor, type_, accepted_at, decisions, parts, subjects, data = row
    return [
        EventRow(
            seq,
            source,
            f"{series}{number}",
            sensor,
            type_,
            None
            if subject_length is None
            else subjects[subject_start : subject_start + subject_length].decode(),
            time,
            accepted_at,
            data[start : start + length],
            decisions,
        )
        for seq, (number, time, start, length, subject_start, subject_length) in enumerate(
            orjson.loads(parts), first
        )
    ]


def rows_of(block: EventBlock) -> list[EventRow]:
    """Return the events of a block as rows of their own."""
    columns = zip(block.numbers, block.subjects, block.times, block.data, strict=True)
    return [
        EventRow(
            seq,
            block.source,
            f"{block.series}{number}",
            block.sensor,
            block.type,
            subject,
            time,
            block.accepted_at,
            data,
            block.decisions,
        )
        for seq, (number, subject, time, data) in enumerate(columns, block.first)
    ]


def insert_block(connection: sqlite3.Connection, block: EventBlock) -> bool:
    """Insert a block; return False, and keep nothing, where one of its events may have been known before."""
    return bool(connection.execute(sql.INSERT_BLOCK, pack(block)).rowcount)


def sources_with_blocks(connection: sqlite3.Connection) -> set[str]:
    """Return the sources of which events are in blocks."""
    return {source for (source,) in connection.execute(sql.SOURCES_WITH_BLOCKS)}


def known_in_blocks(connection: sqlite3.Connection, events: Iterable[EventRow]) -> set[int]:
    """Return the sequence numbers of those events whose identities are in blocks."""
    wanted: defaultdict[tuple[str, str], dict[int, list[int]]] = defaultdict(dict)
    for event in events:
        series, number = split_id(event.id)
        if number is not None:
            wanted[event.source, series].setdefault(number, []).append(event.seq)
    known: set[int] = set()
    for (source, series), seqs in wanted.items():
        highest = max(seqs)
        for first_number, parts in connection.execute(
            sql.BLOCKS_OF_SERIES, (source, series, min(seqs))
        ):
            if first_number > highest:
                break
            for number, *_ in orjson.loads(parts):
                known.update(seqs.get(number, ()))
    return known


def event_in(rows: Sequence[Sequence[Any]], seq: int) -> EventRow | None:
    """Return the event of that number out of what BLOCK_OF_EVENT found for it, one row or none."""
    for row in rows:
        first: int = row[0]
        return unpack(row)[seq - first]
    return None
