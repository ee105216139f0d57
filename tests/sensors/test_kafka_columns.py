"""Records decoded together are what they are one by one, and are written down as the engine would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from reactor.api import Event, Rejected
from reactor.engine.event_json import encode
from reactor_sensors._kafka_columns import decode_records
from reactor_sensors._kafka_record import Decoder, Origin, RawRecord

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LARGEST = 200


@dataclass
class Raw:
    offset: int = 1
    timestamp: int | None = 1_795_277_700_000
    timestamp_type: int | None = 0
    key: bytes | None = None
    value: bytes | None = b"1"
    headers: Sequence[tuple[str, bytes | None]] = ()


class Order(BaseModel):
    id: int


plain_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
).map(lambda value: json.dumps(value).encode())
records = st.lists(
    st.builds(
        Raw,
        offset=st.integers(0, 2**63 - 1),
        timestamp=st.none() | st.integers(-1, 2**60),
        timestamp_type=st.sampled_from([0, 1, None]),
        key=st.none() | st.binary(max_size=9) | st.just(b"base64:x") | st.just(b"a\x00b"),
        value=st.none() | plain_json | st.binary(max_size=3),
        headers=st.lists(
            st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=3)), max_size=2
        ),
    ),
    min_size=1,
    max_size=6,
)


def decoder(model: object = None) -> Decoder:
    return Decoder("json", model, largest_bytes=LARGEST)


def origin(topic: str = "orders") -> Origin:
    return Origin(source="kafka:c/orders", topic=topic, partition=3, generation="g")


@given(records, st.sampled_from(["orders", 'or"de%rs', "ö"]))
def test_records_together_are_what_they_are_one_by_one(given: list[RawRecord], topic: str) -> None:
    one_by_one = [decoder().decode(origin(topic), record, now=NOW) for record in given]
    together = decode_records(decoder(), origin(topic), given, now=NOW)
    assert [*together.events] == [made for made in one_by_one if isinstance(made, Event)]
    assert [*together.poison] == [made for made in one_by_one if isinstance(made, Rejected)]
    assert [record.offset for record in together.kept] == [
        event.data.offset for event in together.events
    ]
    if together.json is not None:
        assert [*together.json] == [encode(event.data) for event in together.events]


@pytest.mark.parametrize("value", [b"1", None, b'{"a":[1.5,"\xc3\xb6"]}'])
def test_plain_json_is_at_hand_as_json(value: bytes | None) -> None:
    decoded = decode_records(decoder(), origin(), [Raw(value=value), Raw(offset=2)], now=NOW)
    assert decoded.json is not None
    assert [json.loads(each)["offset"] for each in decoded.json] == [1, 2]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(Raw(value=b"{"), id="no JSON"),
        pytest.param(Raw(value=b'"%s"' % (b"x" * LARGEST)), id="too large"),
    ],
)
def test_of_events_beside_poison_the_json_is_at_hand(record: Raw) -> None:
    given = [Raw(), record, Raw(offset=2)]
    decoded = decode_records(decoder(), origin(), given, now=NOW)
    assert decoded.json is not None
    assert [json.loads(each)["offset"] for each in decoded.json] == [1, 2]
    assert [one.event_id for one in decoded.poison] == ["orders@g/3/1"]


def test_of_nothing_but_poison_there_is_nothing_else() -> None:
    decoded = decode_records(decoder(), origin(), [Raw(value=b"{"), Raw(value=b"]")], now=NOW)
    assert [len(column or ()) for column in decoded] == [0, 0, 0, 2]


def test_what_is_too_deep_to_be_written_is_left_to_the_engine() -> None:
    deep = Raw(value=b"[" * 300 + b"]" * 300)
    reads_more = Decoder("json", None, largest_bytes=1000)
    decoded = decode_records(reads_more, origin(), [deep], now=NOW)
    assert (len(decoded.events), decoded.json) == (1, None)


def test_of_a_model_nothing_is_at_hand() -> None:
    decoded = decode_records(decoder(Order), origin(), [Raw(value=b'{"id":1}')], now=NOW)
    assert decoded.json is None
    assert [event.data.value for event in decoded.events] == [Order(id=1)]
