"""`kafka.produce` against a real broker: acknowledged means readable, refused says why, and nothing disturbs others."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop
from aiokafka import AIOKafkaConsumer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from reactor import Reject, StepError
from reactor.testing.kafka_broker import ForeignBroker, KafkaBroker
from reactor_handlers.kafka import Producer, RecordPosition, produce

pytestmark = pytest.mark.real_time

PATIENCE_SECONDS = 30
AnyBroker = KafkaBroker | ForeignBroker


@dataclass(frozen=True)
class Ctx:
    idempotency_key: str = "run-1/send"


async def read(address: str, topic: str, count: int) -> list[Any]:
    """Return the first `count` records, and look that there are no more."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False
    )
    async with asyncio.timeout(PATIENCE_SECONDS), consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        assert sum(ends.values()) == count
        return [await consumer.getone() for _ in range(count)]


async def test_a_produced_record_is_where_the_answer_says(broker: AnyBroker, topic: str) -> None:
    position = await produce(
        topic,
        {"id": 7},
        key="k1",
        headers={"colour": "blue"},
        ctx=Ctx(),
        traceparent="00-ab-cd-01",
        bootstrap_servers=broker.bootstrap,
    )
    [record] = await read(broker.bootstrap, topic, 1)
    assert position == RecordPosition(
        topic=topic, partition=record.partition, offset=record.offset, timestamp=record.timestamp
    )
    assert (record.key, record.value) == (b"k1", b'{"id":7}')
    assert dict(record.headers) == {
        "colour": b"blue",
        "idempotency-key": b"run-1/send",
        "traceparent": b"00-ab-cd-01",
    }


async def test_records_of_one_key_keep_their_order(broker: AnyBroker, topic: str) -> None:
    producer = Producer(bootstrap_servers=broker.bootstrap)
    sent = [await producer.send(topic, str(number), key="one") for number in range(20)]
    assert {position.partition for position in sent} == {sent[0].partition}
    records = await read(broker.bootstrap, topic, 20)
    assert [record.value for record in records] == [b"%d" % number for number in range(20)]


async def test_many_steps_at_once_share_one_connection(broker: AnyBroker, topic: str) -> None:
    producer = Producer(bootstrap_servers=broker.bootstrap)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(producer.send(topic, str(n)), name=f"{n}") for n in range(500)]
    places = {(task.result().partition, task.result().offset) for task in tasks}
    assert len(places) == 500
    assert len(await read(broker.bootstrap, topic, 500)) == 500


async def test_a_null_value_deletes_what_its_key_names(broker: AnyBroker, topic: str) -> None:
    await produce(topic, None, key="gone", bootstrap_servers=broker.bootstrap)
    [record] = await read(broker.bootstrap, topic, 1)
    assert (record.key, record.value) == (b"gone", None)


async def test_a_record_over_the_limit_of_the_topic_is_rejected_and_the_next_is_sent(
    broker: AnyBroker, create_topic: Callable[..., str]
) -> None:
    topic = create_topic(1, max_message_bytes=1_000)
    producer = Producer(bootstrap_servers=broker.bootstrap)
    await producer.send(topic, "before")
    with pytest.raises(Reject, match=r"of 2,000 bytes is larger than the topic takes"):
        await producer.send(topic, b"x" * 2_000)
    await producer.send(topic, "after")
    records = await read(broker.bootstrap, topic, 2)
    assert [record.value for record in records] == [b"before", b"after"]


async def test_records_that_fit_are_not_refused_for_their_neighbours(
    broker: AnyBroker, create_topic: Callable[..., str]
) -> None:
    topic = create_topic(1, max_message_bytes=1_000)
    producer = Producer(bootstrap_servers=broker.bootstrap)
    values = [b"%03d" % number + b"x" * 300 for number in range(40)]

    async def send(value: bytes) -> str:
        try:
            await producer.send(topic, value)
        except Reject:
            return "rejected"
        return "sent"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(send(value), name="send") for value in [*values, b"y" * 2_000]]
    assert Counter(task.result() for task in tasks) == {"sent": 40, "rejected": 1}
    records = await read(broker.bootstrap, topic, 40)
    assert sorted(record.value for record in records) == values


async def test_a_compacted_topic_refuses_a_record_without_a_key_in_words(
    broker: AnyBroker, create_topic: Callable[..., str]
) -> None:
    topic = create_topic(1, cleanup_policy="compact")
    producer = Producer(bootstrap_servers=broker.bootstrap)
    with pytest.raises(StepError, match="a compacted topic takes only records with a key"):
        await producer.send(topic, "no key")
    await producer.send(topic, "with key", key="k")
    assert len(await read(broker.bootstrap, topic, 1)) == 1


async def test_an_unknown_topic_is_named(broker: AnyBroker) -> None:
    with pytest.raises(StepError, match=r"topic 'no-such-topic' does not exist at .*; make it"):
        await produce(
            "no-such-topic", "v", bootstrap_servers=broker.bootstrap, request_timeout="300ms"
        )


async def test_an_unknown_partition_is_named(broker: AnyBroker, topic: str) -> None:
    with pytest.raises(StepError, match="has no partition 9; it has 0 to 2"):
        await produce(topic, "v", partition=9, bootstrap_servers=broker.bootstrap)


async def test_a_cancelled_send_leaves_the_producer_usable(broker: AnyBroker, topic: str) -> None:
    producer = Producer(bootstrap_servers=broker.bootstrap)
    for _ in range(20):
        task = asyncio.create_task(producer.send(topic, "cancelled"), name="cancelled")
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    position = await producer.send(topic, "kept")
    assert position.offset >= 0


async def test_an_unreachable_broker_is_named_with_its_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        StepError, match=rf"deadline='300ms': .*127\.0\.0\.1:{port}: connection refused"
    ):
        await produce("t", "v", bootstrap_servers=f"127.0.0.1:{port}", deadline="300ms")


async def test_a_broker_that_never_answers_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(StepError, match=f"{address}: no answer in time"):
                await produce(
                    "t", "v", bootstrap_servers=address, deadline="500ms", request_timeout="200ms"
                )


async def test_a_record_waits_for_a_broker_that_comes_back(
    broker_to_break: KafkaBroker, create_topic_at: Callable[..., str]
) -> None:
    address = broker_to_break.bootstrap
    topic = create_topic_at(address, 1)
    producer = Producer(bootstrap_servers=address, request_timeout="2s")
    await producer.send(topic, "before")
    broker_to_break.kill()
    sending = asyncio.create_task(producer.send(topic, "meanwhile"), name="meanwhile")
    await asyncio.to_thread(broker_to_break.start)
    await sending
    records = await read(address, topic, 2)
    assert [record.value for record in records] == [b"before", b"meanwhile"]


async def test_the_attempt_after_a_deadline_does_not_send_a_second_copy(
    broker_to_break: KafkaBroker, create_topic_at: Callable[..., str]
) -> None:
    address = broker_to_break.bootstrap
    topic = create_topic_at(address, 1)
    producer = Producer(bootstrap_servers=address, deadline="500ms")
    await producer.send(topic, "before")
    broker_to_break.suspend()
    for _ in range(3):
        with pytest.raises(StepError, match="not acknowledged within deadline='500ms'"):
            await producer.send(topic, "once", ctx=Ctx())
    broker_to_break.resume()
    position = await producer.send(topic, "once", ctx=Ctx())
    assert position.offset == 1
    assert len(await read(address, topic, 2)) == 2


def credentials(name: str, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
    return {"sasl": mechanism, "username": name, "password": "env:KAFKA_PASSWORD"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_credentials_open_the_broker(
    sasl_broker: KafkaBroker,
    create_topic_at: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    mechanism: str,
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "alice-secret")
    topic = create_topic_at(sasl_broker.bootstrap, 1)
    producer = Producer(
        bootstrap_servers=sasl_broker.sasl_bootstrap, **credentials("alice", mechanism)
    )
    assert (await producer.send(topic, "v")).offset == 0


async def test_wrong_credentials_are_told_at_once(
    sasl_broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "guessed")
    producer = Producer(bootstrap_servers=sasl_broker.sasl_bootstrap, **credentials("alice"))
    with pytest.raises(StepError, match="wrong credentials") as caught:
        await producer.send("t", "v")
    assert "guessed" not in str(caught.value)


async def test_a_topic_without_rights_is_told_and_others_go_on(
    sasl_broker: KafkaBroker, create_topic_at: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "alice-secret")
    topic, other = (create_topic_at(sasl_broker.bootstrap, 1) for _ in range(2))
    rule = AclBinding(
        restype=ResourceType.TOPIC,
        name=topic,
        resource_pattern_type=ResourcePatternType.LITERAL,
        principal="User:bob",
        host="*",
        operation=AclOperation.ALL,
        permission_type=AclPermissionType.ALLOW,
    )
    admin = AdminClient({"bootstrap.servers": sasl_broker.bootstrap})
    admin.create_acls([rule])[rule].result(PATIENCE_SECONDS)
    producer = Producer(bootstrap_servers=sasl_broker.sasl_bootstrap, **credentials("alice"))
    with pytest.raises(StepError, match="grant WRITE and DESCRIBE on it"):
        await producer.send(topic, "v")
    assert (await producer.send(other, "v")).offset == 0


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_the_end_of_the_loop_closes_the_connection(
    broker: AnyBroker, topic: str, run: Callable[..., Any]
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(produce(topic, "v", bootstrap_servers=broker.bootstrap))
        gc.collect()
    assert [str(warning.message) for warning in caught if "kafka" in str(warning.message)] == []
    assert [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)] == []
