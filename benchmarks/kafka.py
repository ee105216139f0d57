"""Kafka records through a real daemon from a real broker: one durable step each, in batches, and how soon.

Beside it raw aiokafka, which keeps nothing, and FastStream as it comes, which commits before it works.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.apart import apart, listening, scratch
from benchmarks.figures import Figure, MeasurementError, Result, quantile
from benchmarks.peer import or_missing, run_peer
from benchmarks.raw_aiokafka import consume
from reactor.store.sqlite.connection import DATABASE
from reactor.testing.java import JavaProcessError, UnavailableError
from reactor.testing.kafka_broker import KafkaBroker
from reactor.testing.process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from socket import socket

    from benchmarks.figures import Scale

TOPIC = "orders"
PARTITIONS = 4
CUSTOMERS = 1000
BATCH = 500
PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.1
PAUSE_SECONDS = 0.02
_SOCKET = "BENCH_SOCKET"
_HEAD = """\
from reactor import Event, Workflow
from reactor_sensors import Kafka

orders = Kafka("{topic}", bootstrap_servers="{servers}", group="{group}")
"""
_EACH = (
    _HEAD
    + """
each = Workflow("each", on=orders, concurrency=1000)

@each.step
async def take(event: Event) -> int:
    return 1
"""
)
_BATCHES = (
    _HEAD
    + """
batches = Workflow("batches", on=orders.batch(500, within="1s"))

@batches.step
async def take(events: list[Event]) -> int:
    return len(events)
"""
)
_TELLING = f"""\
import os, socket, time
{_HEAD}
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.connect(os.environ["{_SOCKET}"])
soon = Workflow("soon", on=orders)

@soon.step
async def arrived(event: Event) -> None:
    now, since_append = time.monotonic_ns(), time.time_ns() - event.data.timestamp * 1_000_000
    sender.send(f"{{{{event.data.value['id']}}}} {{{{now}}}} {{{{since_append}}}}".encode())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many records lie in the topic, and how many come later, one after the other."""

    records: int
    later: int


SIZES: Mapping[Scale, Size] = {
    "tiny": Size(records=1_000, later=3),
    "quick": Size(records=20_000, later=100),
    "full": Size(records=100_000, later=300),
}

RAW = Figure(name="raw aiokafka with orjson, nothing kept", unit="records/s")
FASTSTREAM = Figure(name="FastStream, committed before the work", unit="records/s")
EACH = Figure(name="Reactor, one durable step each", unit="records/s", at_least=20_000)
TO_FASTSTREAM = Figure(name="Reactor to FastStream", unit="×", at_least=1.0)
BATCHED = Figure(name="Reactor, batches of 500", unit="records/s", at_least=150_000)
APPENDED = Figure(
    name="Reactor, appended to first line of the step, median", unit="ms", at_most=6.0
)
P50 = Figure(name="Reactor, produced to first line of the step, median", unit="ms")
P99 = Figure(name="Reactor, produced to first line of the step, p99", unit="ms")


def measure(size: Size, *, peers: bool) -> Result:
    """Measure all sides over the same records of the same broker."""
    try:
        with scratch() as directory, KafkaBroker(directory / "kafka") as broker:
            return _measure(broker.bootstrap, directory, size, peers=peers)
    except (UnavailableError, JavaProcessError, KafkaException) as error:
        raise MeasurementError(f"no Kafka broker could be had: {error}") from None


def _measure(servers: str, directory: Path, size: Size, *, peers: bool) -> Result:
    _make(servers, TOPIC)
    _fill(servers, TOPIC, size.records)
    values = {RAW: apart(consume, servers, TOPIC, size.records)}
    each = _rate(_EACH, "each", servers, directory, runs=size.records, records=size.records)
    beside = (
        or_missing(FASTSTREAM, partial(_faststream, servers, size)) if peers else Result(values={})
    )
    if FASTSTREAM in beside.values:
        beside |= Result(values={TO_FASTSTREAM: each / beside.values[FASTSTREAM]})
    batches = size.records // BATCH
    batched = _rate(*(_BATCHES, "batches", servers, directory), runs=batches, records=size.records)
    latencies, since_append = _latencies(servers, directory, size.later)
    return (
        Result(values=values)
        | beside
        | Result(
            values={
                EACH: each,
                BATCHED: batched,
                APPENDED: statistics.median(since_append),
                P50: statistics.median(latencies),
                P99: quantile(latencies, 0.99),
            }
        )
    )


def _faststream(servers: str, size: Size) -> float:
    return run_peer(
        *("faststream", "faststream_consume.py", servers, TOPIC, str(size.records)),
        seconds=PATIENCE_SECONDS,
    )


def _make(servers: str, topic: str, **config: str) -> None:
    """Make an empty topic."""
    admin = AdminClient({"bootstrap.servers": servers})
    new = NewTopic(topic, PARTITIONS, 1, config=config)
    admin.create_topics([new])[topic].result(PATIENCE_SECONDS)


def _fill(servers: str, topic: str, count: int) -> None:
    """Put `count` records of 200 bytes into a topic, each acknowledged."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "acks": "all",
            "linger.ms": 20,
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    for number in range(count):
        producer.produce(topic, value=_value(number), key=_customer(number))
        producer.poll(0)
    if producer.flush(PATIENCE_SECONDS):
        raise MeasurementError("the broker did not acknowledge all records in time")


def _customer(number: int) -> str:
    return f"c{number % CUSTOMERS}"


def _value(number: int) -> bytes:
    plain = json.dumps({"id": number, "customer": _customer(number), "pad": ""})
    return json.dumps(
        {"id": number, "customer": _customer(number), "pad": "x" * (200 - len(plain))}
    ).encode()


def _rate(
    project: str, name: str, servers: str, directory: Path, *, runs: int, records: int
) -> float:
    """Return records per second, from the first commit to the end of the last run, by the daemon's own database."""
    module = directory / f"{name}.py"
    module.write_text(project.format(servers=servers, topic=TOPIC, group=name), encoding="utf-8")
    state = directory / name
    with DaemonProcess(module, state=state) as daemon:
        _await_runs(daemon, state / DATABASE, runs)
    with closing(sqlite3.connect(state / DATABASE)) as connection:
        events = connection.execute("SELECT count(*) FROM event").fetchone()[0]
        done, last = connection.execute(
            "SELECT count(*), max(finished_at) FROM run WHERE outcome = 'succeeded'"
        ).fetchone()
        first = connection.execute("SELECT min(accepted_at) FROM event").fetchone()[0]
    if events != records or done < runs:
        raise MeasurementError(
            f"the daemon stored {events} events and {done} finished runs; expected {records}, and {runs}"
        )
    return float(records / ((last - first) / 1e6))


def _await_runs(daemon: DaemonProcess, database: Path, runs: int) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        while True:
            done = connection.execute("SELECT count(*) FROM run WHERE state = 'finished'")
            if done.fetchone()[0] >= runs:
                return
            if time.monotonic() > until or not daemon.is_running:
                raise MeasurementError(
                    f"the daemon did not finish {runs} runs in {PATIENCE_SECONDS:.0f} s:\n"
                    f"{daemon.log[-2000:]}"
                )
            # A look takes little, and the instants come from the database.
            time.sleep(LOOK_SECONDS)


def _latencies(servers: str, directory: Path, count: int) -> tuple[list[float], list[float]]:
    """Return what passes until the first line of a record's step, in milliseconds, one record at a time.

    Once from the call that sends the record, and once from the instant that the broker gave it when it appended it:
    of that it tells whole milliseconds, so the latter is too long by half of one on average.
    """
    topic = "later"
    _make(servers, topic, **{"message.timestamp.type": "LogAppendTime"})
    module = directory / "soon.py"
    text = _TELLING.format(servers=servers, topic=topic, group="soon")
    module.write_text(text, encoding="utf-8")
    place = directory / "told"
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "linger.ms": 0})
    daemon = DaemonProcess(module, state=directory / "soon", environment={_SOCKET: str(place)})
    latencies, since_append = [], []
    with listening(place) as told, daemon:
        for number in range(-1, count):
            time.sleep(PAUSE_SECONDS)
            began = time.monotonic_ns()
            producer.produce(topic, value=_value(number))
            producer.flush()
            instant, since = _told(told, number)
            latencies.append((instant - began) / 1e6)
            since_append.append(since / 1e6)
    # The first one also connects the producer.
    return latencies[1:], since_append[1:]


def _told(told: socket, number: int) -> tuple[int, int]:
    """Return the instant of the step's first line, and how long before the record was appended, in nanoseconds."""
    try:
        heard, instant, since_append = map(int, told.recv(4096).split())
    except TimeoutError:
        raise MeasurementError(f"nobody told of record {number}; expected it in time") from None
    if heard != number:
        raise MeasurementError(f"told of record {heard}; expected {number}")
    return instant, since_append
