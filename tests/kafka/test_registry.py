"""Kafka records in Avro, by the schemas of a registry: a real broker, and a registry on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import io
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from aiokafka import AIOKafkaProducer
from pydantic import BaseModel

from reactor.testing import RecordingIntake, running
from reactor.testing.schema_registry import SchemaRegistry
from reactor_sensors.kafka import Kafka

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from reactor.testing.kafka_broker import ForeignBroker, KafkaBroker

pytestmark = pytest.mark.real_time

ORDER = {
    "type": "record",
    "name": "Order",
    "namespace": "com.example",
    "fields": [
        {"name": "number", "type": "long"},
        {"name": "customer", "type": ["null", "string"]},
    ],
}
RECORDS = 2000


class Order(BaseModel):
    number: int
    customer: str | None


def framed(schema: int, number: int) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, ORDER, {"number": number, "customer": f"c{number % 7}"})
    return b"\x00" + schema.to_bytes(4, "big") + stream.getvalue()


@pytest.fixture
async def registry() -> AsyncIterator[SchemaRegistry]:
    async with SchemaRegistry() as registry:
        yield registry


async def produce(bootstrap: str, topic: str, values: Iterable[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=2, enable_idempotence=True)
    await producer.start()
    try:
        sent = [
            await producer.send(topic, value, key=b"%d" % (place % 97))
            for place, value in enumerate(values)
        ]
        for future in sent:
            await future
    finally:
        await producer.stop()


@contextlib.asynccontextmanager
async def reading(
    bootstrap: str, topic: str, registry: SchemaRegistry, **options: Any
) -> AsyncIterator[RecordingIntake]:
    intake = RecordingIntake("kafka")
    sensor = Kafka(
        topic, bootstrap_servers=bootstrap, group=topic, decode="avro", registry=registry.url,
        model=Order, **{"session_timeout": "2s", "max_poll_interval": "2s", **options},
    )  # fmt: skip
    async with running(sensor, intake):
        await intake.wait_until(lambda: intake.state != "starting")
        yield intake


def numbers(intake: RecordingIntake) -> list[int]:
    return sorted(event.data.value.number for event in intake.events)


async def test_avro_records_are_read_by_the_schemas_they_name(
    broker: KafkaBroker | ForeignBroker, topic: str, registry: SchemaRegistry
) -> None:
    schemas = [registry.register(ORDER), registry.register(ORDER)]
    values = [framed(schemas[number % 2], number) for number in range(RECORDS)]
    values.insert(RECORDS // 2, framed(99, 0))
    await produce(broker.bootstrap, topic, values)
    async with asyncio.timeout(50), reading(broker.bootstrap, topic, registry) as intake:
        await intake.wait_for_events(RECORDS)
        await intake.wait_until(lambda: len(intake.rejected) == 1)
    assert numbers(intake) == list(range(RECORDS))
    assert intake.duplicates == 0
    assert intake.rejected[0].reason == "unknown_schema"
    assert sorted(registry.asked) == [f"/schemas/ids/{number}" for number in (1, 2, 99)]


async def test_while_the_registry_is_down_records_wait_and_no_partition_is_lost(
    broker: KafkaBroker | ForeignBroker, create_topic: Callable[..., str], registry: SchemaRegistry
) -> None:
    topic = create_topic(3)
    schemas = [registry.register(ORDER), registry.register(ORDER)]
    await produce(broker.bootstrap, topic, [framed(schemas[0], n) for n in range(RECORDS)])
    async with asyncio.timeout(55), reading(broker.bootstrap, topic, registry) as intake:
        await intake.wait_for_events(RECORDS)
        registry.misbehave(lambda _: (503, b"busy"))
        later = [framed(schemas[1], n) for n in range(RECORDS, 6 * RECORDS)]
        await produce(broker.bootstrap, topic, later)
        # Six tries take longer than the group lets a member go without a poll.
        await registry.wait_until_asked(1 + 6)
        assert "answers 503" in intake.state
        await registry.stop()
        await intake.wait_until(lambda: "503" not in intake.state)
        assert intake.state.startswith(f"down: schema registry {registry.url}: ")
        assert numbers(intake) == list(range(RECORDS))
        registry.misbehave(None)
        await registry.start()
        await intake.wait_for_events(6 * RECORDS)
        await intake.wait_until(lambda: intake.state == "up")
    assert numbers(intake) == list(range(6 * RECORDS))
    assert (intake.duplicates, intake.rejected, intake.incidents) == (0, [], ["registry"])
