"""Records of one partition as events, a column at a time: what is done for each record alone takes twice as long.

Only for values that are plain JSON. What is said of each part is said in `_kafka_record.py`, and what comes out is the
same.
"""

from __future__ import annotations

from collections import deque
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from reactor.api import Event, Rejected
from reactor_sensors._kafka_record import (
    BASE64,
    RECORD,
    TIMESTAMP_TYPES,
    KafkaRecord,
    spell_bytes,
    spell_headers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from reactor_sensors._kafka_record import Decoder, Origin, RawRecord

_NO_HEADERS = b"[]"
_SETTERS = {
    name: vars(KafkaRecord)[name].__set__
    for name in (
        *("topic", "partition", "offset", "key", "value", "headers"),
        *("timestamp", "timestamp_type"),
    )
}
# Exhausts an iterator and keeps nothing.
_exhaust: Callable[[Iterable[object]], None] = deque[object](maxlen=0).extend


class Decoded(NamedTuple):
    """What records are: events, and in `kept` the record of each; and poison.

    `json` is the data of the events where that is at hand.
    """

    events: Sequence[Event[Any]]
    kept: Sequence[RawRecord]
    json: Sequence[bytes] | None
    poison: Sequence[Rejected]


def decode_records(
    decoder: Decoder, origin: Origin, records: Sequence[RawRecord], *, now: datetime
) -> Decoded:
    """Return what records of one partition are."""
    if decoder.is_plain:
        values, kept, without = _values(decoder, records)
        if (made := _events(decoder, origin, kept, values, now)) is not None:
            events, json = made
            poison = _one_by_one(decoder, origin, without, now).poison
            return Decoded(events, kept, json, poison)
    return _one_by_one(decoder, origin, records, now)


def _one_by_one(
    decoder: Decoder, origin: Origin, records: Sequence[RawRecord], now: datetime
) -> Decoded:
    events: list[Event[Any]] = []
    kept: list[RawRecord] = []
    poison: list[Rejected] = []
    for record in records:
        made = decoder.decode(origin, record, now=now)
        if isinstance(made, Rejected):
            poison.append(made)
        else:
            events.append(made)
            kept.append(record)
    return Decoded(events, kept, None, poison)


def _values(
    decoder: Decoder, records: Sequence[RawRecord]
) -> tuple[list[Any], Sequence[RawRecord], Sequence[RawRecord]]:
    """Return the values of records and the record of each; and the records that have none."""
    loads, largest_bytes = orjson.loads, decoder.largest_bytes
    values: list[Any] = []
    kept: list[RawRecord] = []
    without: list[RawRecord] = []
    for record in records:
        raw = record.value
        try:
            # Nearly all are read here: a call of Python for each would take a third longer.
            if raw is not None and len(raw) <= largest_bytes:
                values.append(loads(raw))
            else:
                values.append(decoder.value(record))
        except ValueError:
            without.append(record)
        else:
            kept.append(record)
    return values, kept, without


def _events(
    decoder: Decoder,
    origin: Origin,
    records: Sequence[RawRecord],
    values: Sequence[Any],
    now: datetime,
) -> tuple[Sequence[Event[Any]], Sequence[bytes]] | None:
    """Return the events that records with these values are, and their data as JSON; None where one has no JSON."""
    if not records:
        return (), ()
    timestamps = [record.timestamp for record in records]
    try:
        instants = {each: decoder.instant(each, now) for each in {*timestamps}}
        told = [-1 if each is None else each for each in timestamps]
        keys = _spell_keys([record.key for record in records])
        offsets = [record.offset for record in records]
        headers, headers_json = _spell_headers([record.headers for record in records])
        types, types_json = _types([record.timestamp_type for record in records])
        data = _records(
            len(records),
            topic=repeat(origin.topic),
            partition=repeat(origin.partition),
            offset=offsets,
            key=keys,
            value=values,
            headers=headers,
            timestamp=told,
            timestamp_type=types,
        )
        template = (
            b'{"topic":%b,"partition":%d,"offset":%%d,"key":%%b,"value":%%b,"headers":%b,'
            b'"timestamp":%%d,"timestamp_type":%b}'
            % (
                orjson.dumps(origin.topic).replace(b"%", b"%%"),
                origin.partition,
                _place_of(headers_json),
                _place_of(types_json),
            )
        )
        columns: list[Iterable[Any]] = [
            offsets,
            map(orjson.dumps, keys),
            map(orjson.dumps, values),
            headers_json,
            told,
            types_json,
        ]
        own = [column for column in columns if not isinstance(column, bytes)]
        json = [template % row for row in zip(*own, strict=True)]
    except (ValueError, TypeError):
        # One cannot be written as JSON, nested too deep for instance.
        return None
    made = Event.alike(
        ids=map(f"{origin.topic}/{origin.partition}/{{}}".format, offsets),
        source=origin.source,
        type=RECORD,
        times=[instants[each] for each in timestamps],
        data=data,
        subjects=keys,
    )
    return made, json


def _spell_keys(keys: Sequence[bytes | None]) -> list[str | None]:
    """Return keys as `spell_bytes` spells each."""
    try:
        texts = [None if key is None else key.decode() for key in keys]
    except UnicodeDecodeError:
        return [spell_bytes(key) for key in keys]
    if BASE64 in "".join([text for text in texts if text]):
        return [spell_bytes(key) for key in keys]
    return texts


def _place_of(json: bytes | Sequence[bytes]) -> bytes:
    """Return what stands in the template for a column: itself where it is the same for all."""
    return json if isinstance(json, bytes) else b"%b"


def _spell_headers(
    headers: Sequence[Sequence[tuple[str, bytes | None]]],
) -> tuple[Iterable[Sequence[tuple[str, str | None]]], bytes | Sequence[bytes]]:
    """Return headers as text and as JSON, that of all where none has any, as mostly."""
    if not any(headers):
        return repeat(()), _NO_HEADERS
    spelled = [spell_headers(each) if each else () for each in headers]
    return spelled, [orjson.dumps(each) if each else _NO_HEADERS for each in spelled]


def _types(kinds: Sequence[int | None]) -> tuple[Iterable[str], bytes | Sequence[bytes]]:
    """Return what the timestamps are, as text and as JSON, that of all where all are the same, as mostly."""
    if kinds.count(kinds[0]) == len(kinds):
        same = TIMESTAMP_TYPES[kinds[0] == 1]
        return repeat(same), orjson.dumps(same)
    types = [TIMESTAMP_TYPES[kind == 1] for kind in kinds]
    return types, [*map(orjson.dumps, types)]


def _records(count: int, **columns: Iterable[Any]) -> list[KafkaRecord[Any]]:
    """Return so many records of these columns, not validated."""
    made: list[KafkaRecord[Any]] = [*map(object.__new__, repeat(KafkaRecord, count))]
    for name, column in columns.items():
        _exhaust(map(_SETTERS[name], made, column))
    return made
