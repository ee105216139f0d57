"""`kafka.Producer.record` without a broker: what is kept in the outbox, and what becomes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Any

import pytest
from aiokafka.errors import InvalidTimestampError, KafkaError
from hypothesis import given
from hypothesis import strategies as st

from reactor.errors import DefinitionError, Reject, StepError
from reactor_handlers._kafka_outgoing import outgoing_of, record_of
from reactor_handlers._kafka_record import Record
from reactor_handlers._kafka_trouble import RefusedError, TroubleError
from reactor_handlers.kafka import Producer, RecordPosition, open_outlet

pytestmark = pytest.mark.virtual_time

SERVERS = "nowhere.invalid:9092"
CLUSTER = Producer(bootstrap_servers=SERVERS, deadline="1m30s", largest_bytes=1_000)

raw = st.none() | st.binary()
records = st.builds(
    Record,
    topic=st.text("abc", min_size=1),
    value=raw,
    key=raw,
    headers=st.lists(st.tuples(st.text(), raw)).map(tuple),
    partition=st.none() | st.integers(0, 100),
    timestamp=st.none() | st.integers(0, 2**53),
)


@given(records)
def test_a_record_comes_back_from_the_outbox_as_it_was(record: Record) -> None:
    back = record_of(outgoing_of(record, "{}"), "run/step/1")
    named = any(name == "idempotency-key" for name, _ in record.headers)
    added = () if named else (("idempotency-key", b"run/step/1"),)
    assert back.headers == record.headers + added
    fields = ("topic", "value", "key", "partition", "timestamp")
    assert [getattr(back, name) for name in fields] == [getattr(record, name) for name in fields]


def test_equal_arguments_make_equal_records() -> None:
    again = Producer(bootstrap_servers=SERVERS, deadline="90s", largest_bytes=1_000)
    assert CLUSTER.record("t", {"id": 7}, key="k") == again.record("t", {"id": 7}, key="k")
    assert CLUSTER.record("t", {"id": 7}, key="k") != again.record("t", {"id": 8}, key="k")


def test_the_value_is_the_payload_so_that_a_dead_letter_shows_it() -> None:
    outgoing = CLUSTER.record("orders", {"id": 7}, key="k1")
    assert (outgoing.outlet, outgoing.target) == ("kafka", "orders")
    assert (outgoing.payload, outgoing.key) == (b'{"id":7}', b"k1")


def test_the_options_that_are_kept_make_an_equal_producer() -> None:
    producer = Producer(
        bootstrap_servers="a:1,b:2",
        deadline="90s",
        tls=True,
        tls_ca="ca.pem",
        sasl="PLAIN",
        username="alice",
        password="env:KAFKA_PASSWORD",
    )
    assert Producer(**json.loads(producer.record("t", "v").options)) == producer


def test_a_secret_is_kept_as_a_reference_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "canary")
    producer = Producer(
        bootstrap_servers=SERVERS, sasl="PLAIN", username="a", password="env:KAFKA_PASSWORD"
    )
    kept = producer.record("t", "v")
    assert "env:KAFKA_PASSWORD" in kept.options
    assert "canary" not in repr(kept)


def test_a_function_that_returns_a_token_cannot_be_kept() -> None:
    async def token() -> str:
        return "t"

    producer = Producer(bootstrap_servers=SERVERS, sasl="OAUTHBEARER", token=token)
    with pytest.raises(DefinitionError, match=r"with token= cannot make a record for ctx\.emit"):
        producer.record("t", "v")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"topic": "no topic", "value": "v"}, "cannot be a topic"),
        ({"topic": "t", "value": "x" * 2_000}, "more than the 1,000 allowed"),
        ({"topic": "t", "value": object()}, "cannot be written"),
        ({"topic": "t", "value": "v", "timestamp": datetime(2026, 1, 1)}, "has no zone"),  # noqa: DTZ001  # the fault
        ({"topic": "t", "value": None}, "neither key nor value"),
    ],
)
def test_what_no_attempt_can_send_is_rejected_in_the_step(
    arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(Reject, match=complaint):
        CLUSTER.record(**arguments)


def test_the_outlet_is_found_by_its_entry_point() -> None:
    [point] = entry_points(group="reactor.outlets", name=CLUSTER.record("t", "v").outlet)
    assert point.load() is open_outlet


async def test_the_outlet_sends_with_the_deadline_of_the_producer_and_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[Producer, Record]] = []

    async def deliver(self: Producer, record: Record) -> RecordPosition:
        sent.append((self, record))
        return RecordPosition(topic="t", partition=0, offset=0, timestamp=0)

    monkeypatch.setattr(Producer, "deliver", deliver)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    outgoing = CLUSTER.record("t", "v", timestamp=at, headers={"a": "b"})
    outlet = open_outlet(json.loads(outgoing.options))
    await outlet.deliver(outgoing, idempotency_key="run/step/1")
    [(producer, record)] = sent
    assert producer == CLUSTER
    assert record.headers == (("a", b"b"), ("idempotency-key", b"run/step/1"))
    assert record.timestamp == 1_767_225_600_000
    await outlet.close()


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (RefusedError("its timestamp is out of range"), Reject),
        (TroubleError("topic 't' does not exist", is_hopeless=True), StepError),
        (InvalidTimestampError(), StepError),
    ],
)
async def test_only_a_refusal_of_the_record_itself_is_for_good(
    monkeypatch: pytest.MonkeyPatch, cause: TroubleError | KafkaError, expected: type[Exception]
) -> None:
    async def deliver(self: Producer, record: Record) -> RecordPosition:
        raise StepError("a record was not sent") from cause

    monkeypatch.setattr(Producer, "deliver", deliver)
    with pytest.raises(StepError) as caught:
        await open_outlet({"bootstrap_servers": SERVERS}).deliver(
            CLUSTER.record("t", "v"), idempotency_key="run/step/1"
        )
    assert type(caught.value) is expected
