"""The brokers that tests are given do what a broker does, and come back as one that was hit."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, TopicAuthorizationFailedError
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from reactor.testing.java import JavaProcessError
from reactor.testing.kafka_broker import ForeignBroker, KafkaBroker, free_ports

pytestmark = pytest.mark.real_time

PATIENCE_SECONDS = 30
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


async def produce(address: str, topic: str, *values: bytes, **options: object) -> None:
    async with AIOKafkaProducer(bootstrap_servers=address, acks="all", **options) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(address: str, topic: str, count: int, **options: object) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=address,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **options,
    )
    async with asyncio.timeout(PATIENCE_SECONDS), consumer:
        values = [(await consumer.getone()).value for _ in range(count)]
        if options.get("group_id"):
            # What was fetched ahead is not consumed: the offset is the one after the last value.
            await consumer.commit()
        return values


async def test_a_message_goes_in_and_comes_out(
    broker: KafkaBroker | ForeignBroker, topic: str
) -> None:
    await produce(broker.bootstrap, topic, b"hello")
    assert await consume(broker.bootstrap, topic, 1, group_id=topic) == [b"hello"]


@pytest.mark.parametrize("topic", [5], indirect=True)
async def test_a_topic_has_the_partitions_that_were_asked_for(
    broker: KafkaBroker | ForeignBroker, topic: str
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        assert await producer.partitions_for(topic) == set(range(5))


async def test_a_topic_takes_settings(
    broker: KafkaBroker | ForeignBroker, create_topic: Callable[..., str]
) -> None:
    topic = create_topic(1, max_message_bytes=1_000)
    with pytest.raises(MessageSizeTooLargeError):
        await produce(broker.bootstrap, topic, b"x" * 2_000)


async def test_a_killed_broker_resumes_with_its_data_and_address(
    broker_to_break: KafkaBroker, create_topic_at: Callable[..., str]
) -> None:
    address = broker_to_break.bootstrap
    topic = create_topic_at(address, 1)
    await produce(address, topic, b"before")
    broker_to_break.kill()
    assert not broker_to_break.is_running
    await asyncio.to_thread(broker_to_break.start)
    assert broker_to_break.bootstrap == address
    await produce(address, topic, b"after")
    assert await consume(address, topic, 2) == [b"before", b"after"]


async def test_a_group_goes_on_where_it_was_after_a_restart(
    broker_to_break: KafkaBroker, create_topic_at: Callable[..., str]
) -> None:
    address = broker_to_break.bootstrap
    topic = create_topic_at(address, 1)
    await produce(address, topic, b"one", b"two")
    assert await consume(address, topic, 1, group_id=topic) == [b"one"]
    await asyncio.to_thread(broker_to_break.restart)
    assert await consume(address, topic, 1, group_id=topic) == [b"two"]


async def test_a_suspended_broker_answers_once_it_is_resumed(
    broker_to_break: KafkaBroker, create_topic_at: Callable[..., str]
) -> None:
    address = broker_to_break.bootstrap
    topic = create_topic_at(address, 1)
    async with AIOKafkaProducer(bootstrap_servers=address, linger_ms=0) as producer:
        await producer.send_and_wait(topic, b"first")
        broker_to_break.suspend()
        assert states(broker_to_break.pid) == {"T"}
        answer = await producer.send(topic, b"second")
        broker_to_break.resume()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await answer
    assert await consume(address, topic, 2) == [b"first", b"second"]


def states(pid: int) -> set[str]:
    """Return the states of all threads of a process, such as {"S", "R"}; T is stopped."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks}


def credentials(mechanism: str, password: str = "alice-secret") -> dict[str, str]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "alice",
        "sasl_plain_password": password,
    }


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_client_with_credentials_is_let_in(
    sasl_broker: KafkaBroker, create_topic_at: Callable[..., str], mechanism: str
) -> None:
    topic = create_topic_at(sasl_broker.bootstrap, 1)
    await produce(sasl_broker.sasl_bootstrap, topic, b"hello", **credentials(mechanism))
    assert await consume(
        sasl_broker.sasl_bootstrap, topic, 1, group_id=topic, **credentials(mechanism)
    ) == [b"hello"]


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_client_with_a_wrong_password_is_not_let_in(
    sasl_broker: KafkaBroker, mechanism: str
) -> None:
    wrong = credentials(mechanism, "guessed")
    producer = AIOKafkaProducer(bootstrap_servers=sasl_broker.sasl_bootstrap, **wrong)
    with pytest.raises(KafkaError):
        await producer.start()
    await producer.stop()


async def test_a_topic_with_a_rule_is_closed_to_those_it_does_not_name(
    sasl_broker: KafkaBroker, create_topic_at: Callable[..., str]
) -> None:
    topic = create_topic_at(sasl_broker.bootstrap, 1)
    rule = AclBinding(
        restype=ResourceType.TOPIC,
        name=topic,
        resource_pattern_type=ResourcePatternType.LITERAL,
        principal="User:bob",
        host="*",
        operation=AclOperation.ALL,
        permission_type=AclPermissionType.ALLOW,
    )
    client = AdminClient({"bootstrap.servers": sasl_broker.bootstrap})
    client.create_acls([rule])[rule].result(PATIENCE_SECONDS)
    with pytest.raises(TopicAuthorizationFailedError):
        await produce(sasl_broker.sasl_bootstrap, topic, b"hello", **credentials("PLAIN"))


def test_addresses_are_known_only_once_the_broker_was_started(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="expected `start` before"):
        _ = KafkaBroker(tmp_path).bootstrap


def test_a_password_that_would_break_the_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected letters, digits"):
        KafkaBroker(tmp_path, users={"alice": 'quote"'})


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = KafkaBroker(tmp_path, port=port, jars=tmp_path)
        with pytest.raises(JavaProcessError, match=f"port {port} of 127.0.0.1 is taken"):
            broker.start()


def test_a_cluster_may_have_an_identifier_that_looks_like_an_option(
    start_broker: Callable[..., KafkaBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One random identifier in 64 starts with a dash, which Kafka's tool took for an option."""
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xf8" + bytes(15)))
    broker = start_broker()
    client = AdminClient({"bootstrap.servers": broker.bootstrap})
    assert str(client.list_topics(timeout=PATIENCE_SECONDS).cluster_id).startswith("-")


def test_free_ports_are_those_that_the_system_does_not_hand_out() -> None:
    ports = free_ports(3)
    assert len(set(ports)) == 3
    assert max(ports) < 32_768


def test_a_broker_that_does_not_come_up_says_what_its_log_says(
    start_broker: Callable[..., KafkaBroker],
) -> None:
    with pytest.raises(JavaProcessError, match="Invalid value many for configuration num"):
        start_broker(properties={"num.network.threads": "many"})


async def test_a_group_of_members_works_against_the_mock_broker(mock_broker: str) -> None:
    await produce(mock_broker, "any", b"hello")
    assert await consume(mock_broker, "any", 1, group_id="readers") == [b"hello"]
