"""`ctx.emit` to a real broker, through deaths of the daemon; the oracle is the store's own record of finished steps."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from reactor.cli.ledger import balance
from reactor.model.ids import spell_id
from reactor.store.sqlite.reader import read
from reactor.testing.kafka_broker import ForeignBroker, KafkaBroker
from reactor.testing.process import TELL, DaemonProcess

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(120)]

PATIENCE_SECONDS = 60
PARTS = 20
AnyBroker = KafkaBroker | ForeignBroker

PROJECT = (
    TELL
    + """
import logging

from reactor import Context, Event, Workflow
from reactor_handlers import kafka
from reactor_sensors import Every

class Told(logging.Handler):
    def emit(self, record):
        if record.getMessage() in ("outbox stalled", "outbox recovered"):
            tell(record.getMessage())

logging.getLogger("reactor").addHandler(Told())

cluster = kafka.Producer(bootstrap_servers="{address}", deadline="2s", request_timeout="2s")
flow = Workflow("flow", on=Every("{every}"), concurrency=1)
count = 0

@flow.step
async def send(event: Event, ctx: Context) -> None:
    global count
    for part in range({parts}):
        ctx.emit(cluster.record("{topic}", {{"run": ctx.run_id, "part": part}}, key=f"k{{part % 7}}"))
    count += 1
    if count in (1, 30):
        tell(count)
"""
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., DaemonProcess]]:
    """A function that starts a daemon over the project; it is gone afterwards."""
    daemons: list[DaemonProcess] = []

    def start_daemon(address: str, topic: str, *, every: str) -> DaemonProcess:
        module = tmp_path / "project.py"
        module.write_text(PROJECT.format(address=address, topic=topic, parts=PARTS, every=every))
        daemon = DaemonProcess(module, state=tmp_path / "state")
        daemons.append(daemon)
        return daemon.start()

    yield start_daemon
    for daemon in daemons:
        daemon.__exit__(None, None, None)


def consumer_of(address: str, topic: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic, bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False
    )


async def read_all(address: str, topic: str) -> list[Any]:
    """Return all records, of each partition in order."""
    async with asyncio.timeout(PATIENCE_SECONDS), consumer_of(address, topic) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        return [await consumer.getone() for _ in range(sum(ends.values()))]


async def wait_for_records(address: str, topic: str, count: int) -> None:
    """Return when the topic has so many records."""
    async with asyncio.timeout(PATIENCE_SECONDS), consumer_of(address, topic) as consumer:
        for _ in range(count):
            await consumer.getone()


def committed(state: Path) -> list[str]:
    """Return the runs whose step has a result, in the order in which they were committed."""
    with closing(sqlite3.connect(state / "reactor.db")) as database:
        rows = database.execute(
            "SELECT run FROM step WHERE outcome = 'succeeded' ORDER BY finished_at, run"
        )
        return [spell_id(run) for (run,) in rows]


def key_of(record: Any) -> str:
    return str(dict(record.headers)["idempotency-key"].decode())


def check(records: list[Any], runs: list[str]) -> None:
    """Every result's records are there, doubles are equal and have equal keys, and each key keeps its order."""
    expected = {
        f"{run}/send/{part + 1}": b'{"run":"%s","part":%d}' % (run.encode(), part)
        for run in runs
        for part in range(PARTS)
    }
    assert {key_of(record): record.value for record in records} == expected
    assert {(key_of(record), record.value) for record in records} == set(expected.items())
    order: defaultdict[bytes, list[str]] = defaultdict(list)
    for identity in dict.fromkeys(map(key_of, records)):
        part = int(identity.rpartition("/")[2]) - 1
        order[b"k%d" % (part % 7)].append(identity)
    for key, identities in order.items():
        of_key = [
            name for name in expected if (int(name.rpartition("/")[2]) - 1) % 7 == int(key[1:])
        ]
        assert identities == of_key


async def test_every_record_of_a_committed_result_arrives_although_the_daemon_is_killed(
    broker_to_break: KafkaBroker,
    create_topic_at: Callable[..., str],
    start: Callable[..., DaemonProcess],
    tmp_path: Path,
) -> None:
    address = broker_to_break.bootstrap
    topic = create_topic_at(address, 3)
    broker_to_break.suspend()
    daemon = start(address, topic, every="20ms")
    # Nothing can be delivered: the records of all these runs are in the outbox when it dies.
    await asyncio.to_thread(daemon.wait_until_told, "30")
    daemon.kill()
    broker_to_break.resume()
    for count in (60, 700):
        daemon.start()
        await wait_for_records(address, topic, count)
        daemon.kill()
    daemon.start()
    assert await asyncio.to_thread(daemon.stop) == 0
    runs = committed(daemon.state)
    assert len(runs) >= 30
    check(await read_all(address, topic), runs)
    [line] = read(daemon.state, lambda reader: balance(*reader.counts())).outbox
    assert line.counted == line.parts["delivered"] == PARTS * len(runs)
    assert line.difference == 0


async def test_a_broker_that_is_down_is_told_and_waited_for(
    broker_to_break: KafkaBroker,
    create_topic_at: Callable[..., str],
    start: Callable[..., DaemonProcess],
) -> None:
    address = broker_to_break.bootstrap
    topic = create_topic_at(address, 3)
    broker_to_break.kill()
    # Slowly, so that what gathers meanwhile is soon sent on a machine with much else to do.
    daemon = start(address, topic, every="200ms")
    await asyncio.to_thread(daemon.wait_until_told, "outbox stalled")
    readiness = daemon.get("/readyz")
    assert readiness.status_code == 503
    assert f"outbox to kafka '{topic}'" in readiness.text
    assert "connection refused; is the broker running there?" in readiness.text
    await asyncio.to_thread(broker_to_break.start)
    await asyncio.to_thread(daemon.wait_until_told, "outbox recovered")
    assert daemon.get("/readyz").status_code == 200
    assert await asyncio.to_thread(daemon.stop) == 0
    check(await read_all(address, topic), committed(daemon.state))


async def test_a_record_that_the_topic_refuses_is_a_dead_letter_and_the_next_goes_on(
    broker: AnyBroker,
    create_topic: Callable[..., str],
    start: Callable[..., DaemonProcess],
    tmp_path: Path,
) -> None:
    topic = create_topic(1, max_message_bytes=1_000)
    module = tmp_path / "project.py"
    module.write_text(
        TELL
        + f"""
from reactor import Context, Event, Workflow
from reactor_handlers import kafka
from reactor_sensors import Webhook

cluster = kafka.Producer(bootstrap_servers="{broker.bootstrap}")
flow = Workflow("flow", on=Webhook("/in", auth=None))

@flow.step
async def send(event: Event, ctx: Context) -> None:
    for value in (b"before", b"x" * 2_000, b"after"):
        ctx.emit(cluster.record("{topic}", value, key="k"))
"""
    )
    with DaemonProcess(module, state=tmp_path / "state") as daemon:
        daemon.post("/api/emit", {"sensor": "webhook:/in", "data": {}}).raise_for_status()
        await wait_for_records(broker.bootstrap, topic, 2)
        answer = daemon.post("/api/redrive", {"reason": "undeliverable"}).json()
        assert answer == {"redriven": 1, "refused": []}
        assert daemon.stop() == 0
    values = [record.value for record in await read_all(broker.bootstrap, topic)]
    assert values == [b"before", b"after"]
    (found,) = read(tmp_path / "state", lambda reader: reader.dead_letters(reason=None, limit=9))
    letter = found.letter
    assert (letter.sensor, letter.reason, letter.subject) == (
        "outlet kafka",
        "undeliverable",
        topic,
    )
    assert "is larger than the topic takes" in letter.detail
    assert found.raw_bytes == 2_000
