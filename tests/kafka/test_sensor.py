"""The Kafka sensor against a real broker; the oracle is what the producer was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from reactor.testing import RecordingIntake, SensorContract, running
from reactor_sensors.kafka import Kafka

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reactor.testing.kafka_broker import ForeignBroker, KafkaBroker

pytestmark = pytest.mark.real_time


class Bench:
    """A topic of one test, with a producer and an admin client."""

    def __init__(
        self, bootstrap: str, admin: AIOKafkaAdminClient, producer: AIOKafkaProducer
    ) -> None:
        self.bootstrap, self.admin, self.producer = bootstrap, admin, producer
        self.topic = f"t-{uuid.uuid4().hex[:12]}"
        self.acknowledged: list[int] = []

    async def create(self, partitions: int = 1) -> None:
        await self.admin.create_topics([NewTopic(self.topic, partitions, 1)])
        # The answer comes before the leader is there.
        await self.producer.send_and_wait(self.topic, b'"first"', partition=0)

    def sensor(self, **options: Any) -> Kafka:
        chosen = {"bootstrap_servers": self.bootstrap, "group": self.topic, "session_timeout": "2s"}
        return Kafka(self.topic, **{**chosen, **options})

    async def produce(self, numbers: range) -> None:
        """Send each number to the partition that its key names; return when all are acknowledged."""
        sent = [
            await self.producer.send(self.topic, b"%d" % number, key=b"%d" % (number % 97))
            for number in numbers
        ]
        for future in sent:
            await future
        self.acknowledged.extend(numbers)

    async def committed(self) -> dict[int, int]:
        found = await self.admin.list_consumer_group_offsets(self.topic)
        return {pair.partition: kept.offset for pair, kept in found.items()}


@pytest.fixture
async def bench(broker: KafkaBroker | ForeignBroker) -> AsyncIterator[Bench]:
    async with contextlib.AsyncExitStack() as stack:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        stack.push_async_callback(admin.close)
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=2)
        await producer.start()
        stack.push_async_callback(producer.stop)
        yield Bench(broker.bootstrap, admin, producer)


@contextlib.asynccontextmanager
async def reading(
    sensor: Kafka, intake: RecordingIntake | None = None
) -> AsyncIterator[RecordingIntake]:
    intake = intake or RecordingIntake("kafka")
    intake.state = "starting"
    async with running(sensor, intake):
        await intake.wait_until(lambda: intake.state != "starting")
        yield intake


def numbers(*intakes: RecordingIntake) -> list[int]:
    """Return the numbers in these stores, each as often as it was journaled."""
    found = [event.data.value for intake in intakes for event in intake.events]
    return sorted(value for value in found if value != "first")


class TestContract(SensorContract):
    @pytest.fixture
    async def sensor(self, bench: Bench) -> Kafka:
        await bench.admin.create_topics([NewTopic(bench.topic, 1, 1)])
        self.bench = bench
        return bench.sensor()

    @pytest.fixture
    def intake(self) -> RecordingIntake:
        return RecordingIntake("kafka")

    async def happen(self, intake: RecordingIntake, number: int) -> None:
        await self.bench.produce(range(number, number + 1))


async def test_an_event_holds_all_that_the_record_held(bench: Bench) -> None:
    await bench.create()
    before = datetime.now(UTC) - timedelta(seconds=1)
    async with reading(bench.sensor(start="latest")) as intake:
        await bench.producer.send_and_wait(
            bench.topic,
            b'{"a": 1}',
            key=b"\xff",
            headers=[("traceparent", b"00-1"), ("raw", b"\xfe")],
        )
        (event,) = await intake.wait_for_events(1)
    record = event.data
    assert event.id == f"{bench.topic}/0/1"
    assert event.source.startswith("kafka://")
    assert f"/{bench.topic}@" in event.source
    assert before < event.time < before + timedelta(minutes=1)
    assert (record.partition, record.offset, record.value) == (0, 1, {"a": 1})
    assert (record.key_bytes, record.traceparent) == (b"\xff", "00-1")
    assert record.header_bytes("raw") == b"\xfe"


async def test_poison_and_tombstones_pass_in_order(bench: Bench) -> None:
    await bench.create()
    async with reading(bench.sensor(largest_bytes=1000)) as intake:
        for value in (b"{", None, b'"' + b"x" * 2000 + b'"', b"2"):
            await bench.producer.send_and_wait(bench.topic, value, key=b"k", partition=0)
        await intake.wait_until(lambda: b"5" in intake.durable_cursor.values())
    assert [event.data.value for event in intake.events] == ["first", None, 2]
    assert [poison.reason for poison in intake.rejected] == ["not_json", "too_large"]


async def test_a_start_in_the_past_begins_there(bench: Bench) -> None:
    await bench.create()
    at = datetime.now(UTC) - timedelta(hours=1)
    old, new = [round((at + timedelta(minutes=m)).timestamp() * 1000) for m in (-30, 30)]
    await bench.producer.send_and_wait(bench.topic, b"1", partition=0, timestamp_ms=old)
    for value, timestamp in ((b"2", old), (b"3", new)):
        await bench.producer.send_and_wait(bench.topic, value, partition=0, timestamp_ms=timestamp)
    await bench.admin.delete_records({_pair(bench.topic, 0): _records_before(1)})
    async with reading(bench.sensor(start="-1h")) as intake:
        await intake.wait_for_events(1)
    assert intake.events[0].data.value == 3


async def test_members_that_join_and_leave_journal_each_record_once(bench: Bench) -> None:
    await bench.create(partitions=6)
    sensor = bench.sensor()
    stores = [RecordingIntake(f"kafka-{number}") for number in range(3)]
    async with asyncio.timeout(50), contextlib.AsyncExitStack() as members:
        first = contextlib.AsyncExitStack()
        await first.enter_async_context(reading(sensor, stores[0]))
        for step, store in enumerate(stores[1:]):
            await bench.produce(range(step * 5000, step * 5000 + 5000))
            await members.enter_async_context(reading(sensor, store))
        await bench.produce(range(10_000, 15_000))
        await first.aclose()
        await bench.produce(range(15_000, 20_000))
        await _all_read(bench, stores)
    assert numbers(*stores) == sorted(bench.acknowledged)


async def _all_read(bench: Bench, stores: list[RecordingIntake]) -> None:
    # Whichever store it is that the last record comes to.
    wanted = len(bench.acknowledged) + 1
    waits = [
        asyncio.create_task(
            store.wait_until(lambda: sum(len(each.events) for each in stores) >= wanted),
            name=f"wait for {store.sensor}",
        )
        for store in stores
    ]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def test_a_long_wait_for_credit_costs_no_partition(bench: Bench) -> None:
    await bench.create(partitions=2)
    async with reading(bench.sensor(max_poll_interval="1s")) as intake:
        intake.overload(timedelta(seconds=1))
        await bench.produce(range(10_000))
        # Three times as long as a member may go without polling; the broker's clock is the subject.
        await asyncio.sleep(3)
        intake.relieve()
        await intake.wait_for_events(10_001)
    assert "rebalance" not in intake.incidents
    assert numbers(intake) == list(range(10_000))


async def test_records_of_aborted_transactions_are_left_out_and_the_group_shows_no_lag(
    bench: Bench,
) -> None:
    await bench.create()
    writer = AIOKafkaProducer(bootstrap_servers=bench.bootstrap, transactional_id=bench.topic)
    await writer.start()
    async with reading(bench.sensor()) as intake:
        for number, fate in enumerate(("commit", "abort", "commit", "abort")):
            await writer.begin_transaction()
            await writer.send_and_wait(bench.topic, b"%d" % number, partition=0)
            await getattr(writer, f"{fate}_transaction")()
        await writer.stop()
        await intake.wait_until(lambda: b"9" in intake.durable_cursor.values())
    assert numbers(intake) == [0, 2]
    assert await bench.committed() == {0: 9}


async def test_partitions_added_are_read_from_their_beginning(bench: Bench) -> None:
    await bench.create()
    async with reading(bench.sensor(start="latest")) as intake:
        await bench.admin.create_partitions({bench.topic: NewPartitions(3)})
        await bench.producer.client.force_metadata_update()
        await bench.producer.send_and_wait(bench.topic, b"1", partition=2)
        await intake.wait_for_events(1)
    assert numbers(intake) == [1]


async def test_a_recreated_topic_halts_until_an_operator_says_where_to_go_on(bench: Bench) -> None:
    sensor = bench.sensor()
    await bench.create()
    async with reading(sensor) as intake:
        await intake.wait_for_events(1)
    await bench.admin.delete_topics([bench.topic])
    await _created_again(bench)
    async with reading(sensor, intake):
        await intake.wait_until(lambda: "recreated" in intake.state)
        assert f"reactor kafka seek 'kafka' {bench.topic}/0 earliest" in intake.state
        assert len(intake.events) == 1
        with pytest.raises(ValueError, match="offset 7 is not there"):
            await sensor.seek(intake, f"{bench.topic}/0", "7")
        done = await sensor.seek(intake, f"{bench.topic}/0", "earliest")
        assert done == f"{bench.topic}/0 goes on at offset 0; the log holds 0 to 1"
        await intake.wait_for_events(2)


async def _created_again(bench: Bench) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(Exception):
                await bench.create()
                return
            await bench.producer.client.force_metadata_update()


async def test_a_restart_goes_on_where_the_store_is_not_where_the_group_was_moved(
    bench: Bench,
) -> None:
    await bench.create()
    await bench.produce(range(100))
    async with reading(bench.sensor()) as intake:
        await intake.wait_for_events(101)
    mover = AIOKafkaConsumer(bootstrap_servers=bench.bootstrap, group_id=bench.topic)
    await mover.start()
    mover.assign([_pair(bench.topic, 0)])
    await mover.commit({_pair(bench.topic, 0): 0})
    await mover.stop()
    await bench.produce(range(100, 110))
    async with reading(bench.sensor(), intake):
        await intake.wait_for_events(111)
    assert (numbers(intake), intake.duplicates) == (list(range(110)), 0)


async def test_a_topic_that_is_missing_is_said_and_not_made(bench: Bench) -> None:
    async with reading(bench.sensor()) as intake:
        assert intake.state == f"down: topic '{bench.topic}' does not exist"
    assert bench.topic not in await bench.admin.list_topics()


async def test_a_pattern_takes_topics_that_appear_later(bench: Bench) -> None:
    await bench.create()
    pattern = Kafka(
        pattern=f"{bench.topic}.*",
        bootstrap_servers=bench.bootstrap,
        group=bench.topic,
        session_timeout="2s",
    )
    async with reading(pattern) as intake:
        await intake.wait_for_events(1)
        await bench.admin.create_topics([NewTopic(f"{bench.topic}-b", 1, 1)])
        await bench.producer.send_and_wait(f"{bench.topic}-b", b"1")
        await intake.wait_for_events(2)
    assert {event.data.topic for event in intake.events} == {bench.topic, f"{bench.topic}-b"}


async def test_a_port_where_nobody_listens_is_said(bench: Bench) -> None:
    async with reading(bench.sensor(bootstrap_servers="127.0.0.1:1")) as intake:
        assert "127.0.0.1:1" in intake.state
        assert "connection refused" in intake.state


def _pair(topic: str, partition: int) -> Any:
    from aiokafka import TopicPartition

    return TopicPartition(topic, partition)


def _records_before(offset: int) -> Any:
    from aiokafka.admin import RecordsToDelete

    return RecordsToDelete(before_offset=offset)
