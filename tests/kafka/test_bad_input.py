"""What the Kafka sensor makes of odd records, of clocks that are wrong, and of rights that are missing or come late."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator
from aiokafka.producer import producer as producer_module
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from reactor.testing import RecordingIntake, running
from reactor_sensors.kafka import Kafka

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from reactor.testing.kafka_broker import ForeignBroker, KafkaBroker

pytestmark = pytest.mark.real_time

MEGABYTE = 1024 * 1024


@contextlib.asynccontextmanager
async def reading(bootstrap: str, topic: str, **options: Any) -> AsyncIterator[RecordingIntake]:
    intake = RecordingIntake("kafka")
    chosen = {"bootstrap_servers": bootstrap, "group": topic, "session_timeout": "2s", **options}
    async with running(Kafka(topic, **chosen), intake):
        await intake.wait_until(lambda: intake.state != "starting")
        yield intake


def send(bootstrap: str, topic: str, *values: bytes, **options: Any) -> None:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "message.max.bytes": 8 * MEGABYTE, "log_level": 3}
    )
    for value in values:
        producer.produce(topic, value, **options)
        assert producer.flush(20) == 0


class OddName(str):
    """The name of a header as a client in another language may write it."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfe"


async def test_a_header_whose_name_is_no_utf8_does_not_stop_its_partition(
    broker: KafkaBroker | ForeignBroker,
    create_topic: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The builder in C insists on str itself.
    for module in (message_accumulator, producer_module):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    topic = create_topic(1)
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"1", headers=[(OddName("odd"), b"v")])
        await producer.send_and_wait(topic, b"2", headers=[("plain", b"\xff"), ("plain", b"x")])
    finally:
        await producer.stop()
    async with reading(broker.bootstrap, topic) as intake:
        odd, plain = [event.data for event in await intake.wait_for_events(2)]
    assert (odd.value, odd.headers) == (1, (("base64://4=", "v"),))
    assert plain.headers == (("plain", "base64:/w=="), ("plain", "x"))


@pytest.mark.parametrize("skew", [timedelta(days=-365 * 40), timedelta(days=365 * 200)])
async def test_a_clock_that_is_wrong_does_not_become_the_time_of_the_event(
    skew: timedelta, broker: KafkaBroker | ForeignBroker, create_topic: Callable[..., str]
) -> None:
    topic = create_topic(1, message_timestamp_after_max_ms=2**62)
    now = datetime.now(UTC)
    wrong = int((now + skew).timestamp() * 1000)
    send(broker.bootstrap, topic, b"1", timestamp=wrong)
    async with reading(broker.bootstrap, topic) as intake:
        (event,) = await intake.wait_for_events(1)
    assert abs(event.time - now) < timedelta(minutes=5)
    assert event.data.timestamp == wrong


async def test_a_record_larger_than_a_fetch_is_parked_and_the_next_goes_on(
    broker: KafkaBroker | ForeignBroker, create_topic: Callable[..., str]
) -> None:
    topic = create_topic(1, max_message_bytes=8 * MEGABYTE)
    send(broker.bootstrap, topic, b'"%s"' % (b"x" * 3 * MEGABYTE), b"2")
    async with reading(broker.bootstrap, topic, largest_bytes=1000) as intake:
        await intake.wait_for_events(1)
    assert [letter.reason for letter in intake.rejected] == ["too_large"]
    assert intake.events[0].data.value == 2


async def test_a_codec_that_is_not_installed_is_named(
    broker: KafkaBroker | ForeignBroker, create_topic: Callable[..., str]
) -> None:
    topic = create_topic(1)
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "compression.type": "lz4", "log_level": 3}
    )
    producer.produce(topic, b"[%s]" % b",".join([b"1"] * 1000))
    assert producer.flush(20) == 0
    async with reading(broker.bootstrap, topic) as intake:
        await intake.wait_until(lambda: "install cramjam" in intake.state)
    assert intake.events == []


async def test_a_group_without_rights_is_said_and_read_once_there_are_some(
    sasl_broker: KafkaBroker,
    create_topic_at: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "alice-secret")
    topic = create_topic_at(sasl_broker.bootstrap, 1)
    send(sasl_broker.bootstrap, topic, b"1")
    admin = AdminClient({"bootstrap.servers": sasl_broker.bootstrap, "log_level": 3})
    for_bob, for_alice = (
        AclBinding(
            ResourceType.GROUP, topic, ResourcePatternType.LITERAL, f"User:{user}", "*",
            AclOperation.ALL, AclPermissionType.ALLOW,
        )
        for user in ("bob", "alice")
    )  # fmt: skip
    admin.create_acls([for_bob])[for_bob].result(10)
    options: dict[str, Any] = {
        "sasl": "PLAIN",
        "username": "alice",
        "password": "env:KAFKA_PASSWORD",
    }
    async with reading(sasl_broker.sasl_bootstrap, topic, **options) as intake:
        await intake.wait_until(lambda: f"no right to be in group {topic};" in intake.state)
        admin.create_acls([for_alice])[for_alice].result(10)
        await intake.wait_for_events(1)


async def test_credentials_that_are_put_right_open_the_broker_without_a_restart(
    sasl_broker: KafkaBroker,
    create_topic_at: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "yesterdays")
    topic = create_topic_at(sasl_broker.bootstrap, 1)
    send(sasl_broker.bootstrap, topic, b"1")
    options: dict[str, Any] = {
        "sasl": "SCRAM-SHA-256",
        "username": "alice",
        "password": "env:KAFKA_PASSWORD",
    }
    async with reading(sasl_broker.sasl_bootstrap, topic, **options) as intake:
        assert "wrong credentials" in intake.state
        monkeypatch.setenv("KAFKA_PASSWORD", "alice-secret")
        await intake.wait_for_events(1)
