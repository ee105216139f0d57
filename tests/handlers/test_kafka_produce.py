"""`kafka.produce` without a broker: what goes on the wire, and what is refused before."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from reactor.api import read_secret
from reactor.errors import DefinitionError, Reject, SettingsError
from reactor_handlers._kafka_link import LinkOptions, ProducerLink
from reactor_handlers._kafka_record import Record, encode, make_record
from reactor_handlers.kafka import Producer, produce

pytestmark = pytest.mark.virtual_time

SERVERS = "nowhere.invalid:9092"


def record(value: Any = "v", **options: Any) -> Record:
    return make_record("t", value, **{"largest_bytes": 1_000, **options})


class Order(BaseModel):
    id: int
    at: datetime


# What goes on the wire


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"a"), b"a"),
        ("grün", "grün".encode()),
        (None, None),
        ({"b": 1, "a": [True, None]}, b'{"b":1,"a":[true,null]}'),
        (7, b"7"),
        (Order(id=1, at=datetime(2026, 1, 1)), b'{"id":1,"at":"2026-01-01T00:00:00"}'),  # noqa: DTZ001  # no zone asked
    ],
)
def test_a_value_is_bytes_text_or_json(value: Any, raw: bytes | None) -> None:
    assert encode(value, "value") == raw


@given(st.dictionaries(st.text(), st.integers(-(2**53), 2**53)))
def test_equal_keys_are_equal_bytes(key: dict[str, int]) -> None:
    turned = dict(reversed(key.items()))
    assert encode(key, "key") == encode(turned, "key")


@pytest.mark.parametrize(
    "value", [object(), {"n": float("nan")}, [float("inf")], "\ud800", {1, object()}]
)
@pytest.mark.parametrize("what", ["key", "value"])
def test_what_is_no_json_is_rejected(value: Any, what: str) -> None:
    with pytest.raises(Reject, match=f"the {what} of a record cannot be written"):
        encode(value, what)


def test_the_idempotency_key_and_the_trace_go_into_headers() -> None:
    made = record(headers={"a": "1"}, idempotency_key="k", traceparent="00-1")
    assert made.headers == (("a", b"1"), ("idempotency-key", b"k"), ("traceparent", b"00-1"))


def test_a_header_that_is_named_is_not_added_again() -> None:
    made = record(headers={"idempotency-key": "mine"}, idempotency_key="k")
    assert made.headers == (("idempotency-key", b"mine"),)


def test_headers_keep_their_order_and_duplicates() -> None:
    pairs = [("b", "1"), ("a", b"\xff"), ("b", None)]
    assert record(headers=pairs).headers == (("b", b"1"), ("a", b"\xff"), ("b", None))


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"n": 1}, "header 'n' is a int; expected text, bytes or None"),
        (["ab"], "'ab' is no header; give headers as a dict"),
        ([("a", "b", "c")], "is no header"),
        ({1: "a"}, "is no header"),
        ({"\ud800": "a"}, "is not valid Unicode"),
    ],
)
def test_headers_that_kafka_cannot_carry_are_rejected(headers: Any, said: str) -> None:
    with pytest.raises(Reject, match=said):
        record(headers=headers)


def test_a_record_over_the_limit_is_rejected_before_it_is_sent() -> None:
    with pytest.raises(Reject, match="has 1,001 bytes, more than the 1,000 allowed; send a ref"):
        record(b"x" * 997, key="k", headers={"a": "bc"})


def test_a_record_of_exactly_the_limit_is_made() -> None:
    assert record(b"x" * 996, key="k", headers={"a": "bc"}).size_bytes == 1_000


def test_a_record_without_key_and_value_is_rejected() -> None:
    with pytest.raises(Reject, match="neither key nor value"):
        record(None)


def test_the_trace_does_not_make_another_record_of_an_attempt() -> None:
    one, two = (record(idempotency_key="k", traceparent=trace) for trace in ("1", "2"))
    assert one.identity == two.identity


@pytest.mark.parametrize("other", [{"key": "x"}, {"partition": 1}, {"headers": {"a": "b"}}])
def test_records_that_differ_have_another_identity(other: dict[str, Any]) -> None:
    assert record(idempotency_key="k").identity != record(idempotency_key="k", **other).identity


def test_a_record_of_no_step_has_no_identity() -> None:
    assert record().identity is None


# Options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bootstrap_server": "a:1"}, "unknown option 'bootstrap_server'; did you mean"),
        ({"bootstrap_servers": "a:1,"}, 'write "host:port"'),
        ({"deadline": "soon"}, "deadline: 'soon' is not a duration"),
        ({"deadline": "1ms"}, 'deadline: must be "10ms" or longer'),
        ({"largest_bytes": 0}, "largest_bytes: must be between 1 and"),
        ({"compression": "zip"}, "compression: Input should be 'gzip'"),
        ({"tls_ca": "ca.pem"}, "mean nothing without tls=True"),
        ({"tls": True, "tls_key": "k.pem"}, "tls_key needs tls_cert"),
        ({"username": "alice"}, "credentials need sasl="),
        ({"sasl": "PLAIN", "username": "a"}, 'takes username= and password="env:NAME"'),
        ({"sasl": "OAUTHBEARER"}, "takes token="),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        Producer(**{"bootstrap_servers": SERVERS, **options})


def test_a_password_in_the_clear_is_refused_and_not_repeated() -> None:
    with pytest.raises(DefinitionError, match="is a reference") as caught:
        Producer(bootstrap_servers=SERVERS, sasl="PLAIN", username="a", password="hunter2")
    assert "hunter2" not in str(caught.value)


async def test_a_secret_that_is_not_there_is_named() -> None:
    producer = Producer(
        bootstrap_servers=SERVERS, sasl="PLAIN", username="a", password="env:NOT_SET"
    )
    with pytest.raises(SettingsError, match="environment variable NOT_SET is not set"):
        await producer.send("t", "v")


def test_a_secret_of_a_file_has_no_newline_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"hunter2\n")
    assert read_secret(f"file:{tmp_path}/secret") == b"hunter2"


async def test_tls_files_that_are_not_there_are_named() -> None:
    producer = Producer(bootstrap_servers=SERVERS, tls=True, tls_ca="not-there.pem")
    with pytest.raises(SettingsError, match=r"TLS files not-there\.pem cannot be used"):
        await producer.send("t", "v")


async def test_a_codec_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiokafka.codec.cramjam", None)
    producer = Producer(bootstrap_servers=SERVERS, compression="zstd")
    with pytest.raises(SettingsError, match=r"compression='zstd': .*; install cramjam"):
        await producer.send("t", "v")


@pytest.mark.parametrize("topic", ["", "a b", "..", "x" * 250])
async def test_a_name_that_no_topic_can_have_is_rejected(topic: str) -> None:
    with pytest.raises(Reject, match="cannot be a topic"):
        await produce(topic, "v", bootstrap_servers=SERVERS)


async def test_a_partition_below_zero_is_rejected() -> None:
    with pytest.raises(Reject, match="partition=-1 is below 0"):
        await produce("t", "v", partition=-1, bootstrap_servers=SERVERS)


async def test_a_timestamp_without_a_zone_is_rejected() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  # the subject
    with pytest.raises(Reject, match="has no zone"):
        await produce("t", "v", timestamp=naive, bootstrap_servers=SERVERS)


async def test_a_part_without_a_context_is_refused() -> None:
    with pytest.raises(DefinitionError, match="part= means nothing without ctx="):
        await produce("t", "v", part=1, bootstrap_servers=SERVERS)


def test_the_entry_point_leads_to_the_handler() -> None:
    point = EntryPoint("kafka.produce", "reactor_handlers.kafka:produce", "reactor.handlers")
    assert point.load() is produce


@pytest.mark.parametrize("task", ["_sender._sender_task", "client._sync_task"])
async def test_a_link_is_spoilt_once_a_task_of_its_client_has_ended(task: str) -> None:
    """aiokafka tells nobody; a record would wait for its whole deadline."""
    link = unopened_link()
    running = asyncio.get_running_loop().create_future()
    holder, name = task.split(".")
    part = getattr(link._producer, holder)
    setattr(part, name, running)
    before = link.is_spoilt
    running.set_result(None)
    assert (before, link.is_spoilt) == (False, True)


def unopened_link() -> ProducerLink:
    options = LinkOptions(
        servers=[SERVERS],
        client_id="c",
        request_timeout=timedelta(seconds=1),
        largest_bytes=1_000,
        compression=None,
    )
    link = ProducerLink(options, {})
    # It complains when it is collected otherwise.
    link._producer._closed = True
    return link
