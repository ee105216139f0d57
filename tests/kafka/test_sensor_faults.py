"""The Kafka sensor where brokers, members and credentials fail; the oracle is what the producer was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
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
    from pathlib import Path

    from reactor.testing.kafka_broker import ForeignBroker, KafkaBroker

pytestmark = pytest.mark.real_time

# A store of its own in a process of its own: one line per commit, and nothing is sorted out.
MEMBER = """
import asyncio, json, os, sys
from reactor.testing import RecordingIntake
from reactor_sensors.kafka import Kafka

path, bootstrap, topic = sys.argv[1:]

class FileIntake(RecordingIntake):
    async def accept_many(self, events, *, cursor=None, **_):
        await asyncio.sleep(0.003)
        line = {"numbers": [e.data.value for e in events], "cursor": spelled(cursor)}
        os.write(file, json.dumps(line).encode() + b"\\n")
        await self.move_cursor(cursor)
        print(len(events), flush=True)

    async def move_cursor(self, cursor):
        if cursor:
            os.write(file, json.dumps({"numbers": [], "cursor": spelled(cursor)}).encode() + b"\\n")
        await super().move_cursor(cursor)

def spelled(cursor):
    return {key: value.decode() for key, value in cursor.items()}

intake = FileIntake("kafka")
if os.path.exists(path):
    for line in open(path):
        for key, value in json.loads(line)["cursor"].items():
            intake.durable_cursor[key] = value.encode()
file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
sensor = Kafka(topic, bootstrap_servers=bootstrap, group=topic, session_timeout="1500ms")
asyncio.run(sensor.run(intake))
"""


class MemberProcess:
    """A daemon's worth of sensor in a process that can be killed and suspended."""

    def __init__(self, process: asyncio.subprocess.Process, store: Path) -> None:
        self.process, self.store = process, store

    @classmethod
    async def start(cls, store: Path, bootstrap: str, topic: str) -> MemberProcess:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", MEMBER, str(store), bootstrap, topic,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        return cls(process, store)

    async def journaled(self, count: int) -> None:
        """Return when so many more records are durable."""
        assert self.process.stdout is not None
        while count > 0:
            line = await self.process.stdout.readline()
            assert line, "the member ended"
            count -= int(line)

    async def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        await self.process.communicate()


def stored(store: Path) -> list[int]:
    lines = store.read_text().splitlines()
    return sorted(number for line in lines for number in json.loads(line)["numbers"])


async def produce(bootstrap: str, topic: str, numbers: range) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=2, enable_idempotence=True)
    await producer.start()
    try:
        sent = [
            await producer.send(topic, b"%d" % number, key=b"%d" % (number % 97))
            for number in numbers
        ]
        for future in sent:
            await future
    finally:
        await producer.stop()


@contextlib.asynccontextmanager
async def reading(
    bootstrap: str, topic: str, intake: RecordingIntake | None = None, **options: Any
) -> AsyncIterator[RecordingIntake]:
    chosen = {"bootstrap_servers": bootstrap, "group": topic, "session_timeout": "2s", **options}
    intake = intake or RecordingIntake("kafka")
    async with running(Kafka(topic, **chosen), intake):
        await intake.wait_until(lambda: intake.state != "starting")
        yield intake


def values(intake: RecordingIntake) -> list[int]:
    return sorted(event.data.value for event in intake.events)


async def test_a_member_killed_again_and_again_journals_each_record_once(
    broker: KafkaBroker | ForeignBroker, create_topic: Callable[..., str], tmp_path: Path
) -> None:
    topic = create_topic(4)
    await produce(broker.bootstrap, topic, range(12_000))
    store = tmp_path / "store"
    async with asyncio.timeout(50):
        for _ in range(3):
            member = await MemberProcess.start(store, broker.bootstrap, topic)
            await member.journaled(2000)
            await member.end()
        left = 12_000 - len(stored(store))
        member = await MemberProcess.start(store, broker.bootstrap, topic)
        await member.journaled(left)
        await member.end()
    assert stored(store) == list(range(12_000))


async def test_a_member_that_stood_still_loses_nothing_and_doubles_nothing_in_its_store(
    broker: KafkaBroker | ForeignBroker, create_topic: Callable[..., str], tmp_path: Path
) -> None:
    topic = create_topic(4)
    await produce(broker.bootstrap, topic, range(8000))
    stores = [tmp_path / "a", tmp_path / "b"]
    async with asyncio.timeout(50):
        first = await MemberProcess.start(stores[0], broker.bootstrap, topic)
        await first.journaled(1000)
        first.process.send_signal(signal.SIGSTOP)
        second = await MemberProcess.start(stores[1], broker.bootstrap, topic)
        # It waits until the group has given up on the first, and then has all partitions.
        await second.journaled(1000)
        first.process.send_signal(signal.SIGCONT)
        await produce(broker.bootstrap, topic, range(8000, 10_000))
        await _all_stored(first, second, count=10_000)
        await first.end()
        await second.end()
    for store in stores:
        assert len(stored(store)) == len({*stored(store)})


async def _all_stored(*members: MemberProcess, count: int) -> None:
    """Return once the members together hold so many different records; looked at after each commit."""
    reads = {asyncio.create_task(member.journaled(1), name="read"): member for member in members}
    while len({number for member in members for number in stored(member.store)}) < count:
        done, _ = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
        for read in done:
            read.result()
            member = reads.pop(read)
            reads[asyncio.create_task(member.journaled(1), name="read")] = member
    for read in reads:
        read.cancel()
    await asyncio.wait(reads)


async def test_a_broker_killed_and_started_again_costs_no_record(
    broker_to_break: KafkaBroker, create_topic_at: Callable[..., str]
) -> None:
    bootstrap = broker_to_break.bootstrap
    topic = create_topic_at(bootstrap, 3)
    async with asyncio.timeout(50), reading(bootstrap, topic) as intake:
        await produce(bootstrap, topic, range(1000))
        await intake.wait_for_events(500)
        await asyncio.to_thread(broker_to_break.kill)
        await intake.wait_until(lambda: intake.state.startswith("down"))
        await asyncio.to_thread(broker_to_break.start)
        await produce(bootstrap, topic, range(1000, 2000))
        await intake.wait_for_events(2000)
        await intake.wait_until(lambda: intake.state == "up")
    assert (values(intake), intake.duplicates) == (list(range(2000)), 0)


async def test_a_broker_that_stands_still_costs_no_record(
    broker_to_break: KafkaBroker, create_topic_at: Callable[..., str]
) -> None:
    bootstrap = broker_to_break.bootstrap
    topic = create_topic_at(bootstrap, 3)
    async with asyncio.timeout(55), reading(bootstrap, topic) as intake:
        await produce(bootstrap, topic, range(1000))
        await intake.wait_for_events(1000)
        broker_to_break.suspend()
        await intake.wait_until(lambda: intake.state.startswith("down"))
        broker_to_break.resume()
        await produce(bootstrap, topic, range(1000, 2000))
        await intake.wait_for_events(2000)
        await intake.wait_until(lambda: intake.state == "up")
    assert (values(intake), intake.duplicates) == (list(range(2000)), 0)


async def test_a_broker_that_is_down_at_the_start_is_waited_for(
    broker_to_break: KafkaBroker, create_topic_at: Callable[..., str]
) -> None:
    bootstrap = broker_to_break.bootstrap
    topic = create_topic_at(bootstrap, 1)
    await produce(bootstrap, topic, range(1))
    await asyncio.to_thread(broker_to_break.stop)
    async with asyncio.timeout(50), reading(bootstrap, topic) as intake:
        assert "connection refused" in intake.state
        await asyncio.to_thread(broker_to_break.start)
        await intake.wait_for_events(1)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_credentials_open_the_broker(
    mechanism: str,
    sasl_broker: KafkaBroker,
    create_topic_at: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "alice-secret")
    topic = create_topic_at(sasl_broker.bootstrap, 1)
    await produce(sasl_broker.bootstrap, topic, range(1))
    options: dict[str, Any] = {
        "sasl": mechanism,
        "username": "alice",
        "password": "env:KAFKA_PASSWORD",
    }
    async with reading(sasl_broker.sasl_bootstrap, topic, **options) as intake:
        await intake.wait_for_events(1)


async def test_wrong_credentials_are_said(
    sasl_broker: KafkaBroker,
    create_topic_at: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "guessed-wrong")
    topic = create_topic_at(sasl_broker.bootstrap, 1)
    options: dict[str, Any] = {
        "sasl": "SCRAM-SHA-512",
        "username": "alice",
        "password": "env:KAFKA_PASSWORD",
    }
    async with reading(sasl_broker.sasl_bootstrap, topic, **options) as intake:
        assert "wrong credentials" in intake.state
        assert "guessed-wrong" not in intake.state


async def test_a_topic_without_rights_is_said(
    sasl_broker: KafkaBroker,
    create_topic_at: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "alice-secret")
    topic = create_topic_at(sasl_broker.bootstrap, 1)
    rule = AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:bob", "*",
        AclOperation.ALL, AclPermissionType.ALLOW,
    )  # fmt: skip
    client = AdminClient({"bootstrap.servers": sasl_broker.bootstrap})
    client.create_acls([rule])[rule].result(10)
    options: dict[str, Any] = {
        "sasl": "PLAIN",
        "username": "alice",
        "password": "env:KAFKA_PASSWORD",
    }
    async with reading(sasl_broker.sasl_bootstrap, topic, **options) as intake:
        assert "may not be read by this user" in intake.state


async def test_a_broker_without_topic_ids_serves_too(mock_broker: str) -> None:
    await produce(mock_broker, "mocked", range(10))
    # It lets a group wait 3 seconds for more members; a shorter session would end meanwhile.
    async with reading(mock_broker, "mocked", session_timeout="10s") as intake:
        await intake.wait_for_events(10)
    assert values(intake) == list(range(10))
