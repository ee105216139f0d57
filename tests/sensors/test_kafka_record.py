"""Kafka records as events, as poison, and as the envelopes of poison."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from reactor.api import Rejected
from reactor.engine.event_json import encode
from reactor_sensors._kafka_record import (
    Decoder,
    KafkaRecord,
    Origin,
    pack,
    sane_time,
    spell_bytes,
    unpack,
    unspell_bytes,
)
from reactor_sensors.kafka import Kafka
from tests.sensors.raw_record import Raw

if TYPE_CHECKING:
    from reactor.api import Event

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin(source="kafka://c/orders@g1", topic="orders", partition=2, generation="g1")


class Order(BaseModel):
    customer: str
    amount: int


def decoded(raw: Raw, decode: Any = "json", model: Any = None, limit: int = 1000) -> Event[Any]:
    made = Decoder(decode, model, largest_bytes=limit).decode(ORIGIN, raw, now=NOW)
    assert not isinstance(made, Rejected), made
    return made


def poisoned(raw: Raw, decode: Any = "json", model: Any = None, limit: int = 1000) -> Rejected:
    made = Decoder(decode, model, largest_bytes=limit).decode(ORIGIN, raw, now=NOW)
    assert isinstance(made, Rejected)
    return made


def test_an_event_tells_where_it_comes_from() -> None:
    event = decoded(Raw(value=b'{"a": 1}', headers=[("traceparent", b"00-1"), ("x", None)]))
    assert (event.id, event.source) == ("orders/2/7", "kafka://c/orders@g1")
    assert (event.type, event.subject, event.time) == ("reactor.kafka.record", "k", NOW)
    record = event.data
    assert (record.topic, record.partition, record.offset) == ("orders", 2, 7)
    assert (record.key, record.value, record.timestamp_type) == ("k", {"a": 1}, "create")
    assert record.traceparent == "00-1"
    assert record.headers == (("traceparent", "00-1"), ("x", None))


def test_a_tombstone_is_an_event_without_a_value_even_with_a_model() -> None:
    assert decoded(Raw(value=None), model=Order).data.value is None


def test_text_and_bytes_come_as_they_are() -> None:
    assert decoded(Raw(value="grün".encode()), "text").data.value == "grün"
    assert decoded(Raw(value=b"\xff\x00"), "bytes").data.value == b"\xff\x00"


def test_a_model_gives_typed_values() -> None:
    event = decoded(Raw(value=b'{"customer": "a", "amount": 3}'), model=Order)
    assert event.data.value == Order(customer="a", amount=3)


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({}, b'{"a": [1, null]}'),
        ({}, None),
        ({"decode": "text"}, b"text"),
        ({"decode": "bytes"}, b"\xff\x00\xfe"),
        ({"model": Order}, b'{"customer": "a", "amount": 3}'),
        ({"model": Order}, None),
    ],
)
def test_the_data_is_the_same_after_the_store(options: dict[str, Any], value: bytes | None) -> None:
    sensor = Kafka("orders", bootstrap_servers="h:1", group="g", **options)
    event = decoded(
        Raw(value=value, key=b"\xff", headers=[("h", b"\xfe"), ("h", b"x")]),
        options.get("decode", "json"),
        options.get("model"),
    )
    assert TypeAdapter(sensor.data_type).validate_json(encode(event.data)) == event.data


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b"NaN", b"nonsense"])
def test_what_is_not_json_is_poison(value: bytes) -> None:
    assert poisoned(Raw(value=value)).reason == "not_json"
    assert poisoned(Raw(value=value), model=Order).reason == "not_json"


def test_what_is_not_text_is_poison() -> None:
    poison = poisoned(Raw(value=b"\xff"), "text")
    assert (poison.reason, poison.subject) == ("not_text", "k")


def test_what_breaks_its_model_is_poison_that_names_the_field() -> None:
    poison = poisoned(Raw(value=b'{"customer": "a", "amount": "many"}'), model=Order)
    assert poison.reason == "breaks_model"
    assert "amount" in poison.detail
    assert "many" not in poison.detail


def test_what_is_too_large_is_poison_that_names_the_limit() -> None:
    poison = poisoned(Raw(value=b'"' + b"x" * 999 + b'"'))
    assert (poison.reason, "1,001" in poison.detail) == ("too_large", True)


def test_poison_is_named_by_topic_generation_partition_and_offset() -> None:
    assert poisoned(Raw(value=b"{")).event_id == "orders@g1/2/7"


def test_an_envelope_holds_key_headers_and_value_as_base64() -> None:
    raw = orjson.loads(pack(ORIGIN, Raw(key=b"\xff", value=b"\x00", headers=[("h", b"\xfe")])))
    assert base64.b64decode(raw["key"]) == b"\xff"
    assert base64.b64decode(raw["value"]) == b"\x00"
    assert [(n, base64.b64decode(v)) for n, v in raw["headers"]] == [("h", b"\xfe")]
    assert (raw["topic"], raw["partition"], raw["offset"]) == ("orders", 2, 7)


def test_poison_that_fits_another_model_is_revived_as_the_event_it_would_have_been() -> None:
    raw = Raw(value=b'{"amount": 1}', key=b"\xff", headers=[("h", b"1")])
    envelope = poisoned(raw, model=Order).raw
    sensor = Kafka("orders", bootstrap_servers="h:1", group="g")
    assert sensor.revive(envelope, event_id="x", subject=None, at=NOW) == decoded(raw)


def test_poison_that_still_is_poison_is_not_revived() -> None:
    sensor = Kafka("orders", bootstrap_servers="h:1", group="g")
    envelope = poisoned(Raw(value=b"{")).raw
    with pytest.raises(ValueError, match="the value is not JSON"):
        sensor.revive(envelope, event_id="x", subject=None, at=NOW)


@pytest.mark.parametrize("envelope", [b"", b"{}", b'{"kafka": 2}', b"[]", b'{"kafka": 1}'])
def test_what_is_no_envelope_says_so(envelope: bytes) -> None:
    with pytest.raises(ValueError, match="not the envelope of a Kafka record"):
        unpack(envelope)


@pytest.mark.parametrize(
    "timestamp", [-1, 0, -(2**63), 2**63 - 1, 1_767_225_600_000 + 100_000_000_000]
)
def test_a_timestamp_that_no_right_clock_wrote_becomes_now(timestamp: int) -> None:
    assert sane_time(timestamp, NOW) == NOW


def test_a_sane_timestamp_is_kept_to_the_millisecond() -> None:
    written_at = NOW - timedelta(days=30, milliseconds=123)
    assert sane_time(round(written_at.timestamp() * 1000), NOW) == written_at


def test_the_last_header_of_a_name_counts() -> None:
    event = decoded(Raw(headers=[("a", b"1"), ("a", b"\xff")]))
    assert event.data.header("a") == "base64:/w=="
    assert event.data.header_bytes("a") == b"\xff"
    assert event.data.header("b") is None
    assert event.data.header_bytes("b") is None


def test_a_record_without_a_key_has_no_subject() -> None:
    event = decoded(Raw(key=None))
    assert (event.subject, event.data.key, event.data.key_bytes) == (None, None, None)


@given(st.binary() | st.text().map(str.encode) | st.binary().map(lambda b: b"base64:" + b))
def test_any_bytes_are_spelled_so_that_they_come_back(raw: bytes) -> None:
    text = spell_bytes(raw)
    assert text is not None
    assert unspell_bytes(text) == raw
    assert KafkaRecord(topic="t", partition=0, offset=0, key=text, value=None).key_bytes == raw


@given(
    key=st.none() | st.binary(),
    value=st.none() | st.binary(),
    headers=st.lists(st.tuples(st.text(), st.none() | st.binary())),
    timestamp=st.none() | st.integers(-(2**63), 2**63 - 1),
)
def test_any_record_comes_out_of_its_envelope_as_it_went_in(
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes | None]],
    timestamp: int | None,
) -> None:
    raw = Raw(key=key, value=value, headers=headers, timestamp=timestamp)
    origin, record = unpack(pack(ORIGIN, raw))
    assert origin == ORIGIN
    assert (record.key, record.value, list(record.headers)) == (key, value, headers)
    assert (record.offset, record.timestamp, record.timestamp_type) == (7, timestamp, 0)


@given(st.binary())
def test_any_value_becomes_an_event_or_poison(value: bytes) -> None:
    for model in (None, Order):
        made = Decoder("json", model, largest_bytes=50).decode(ORIGIN, Raw(value=value), now=NOW)
        if isinstance(made, Rejected):
            assert unpack(made.raw)[1].value == value
