"""The topic of the demo: a broker inside this process, and what its producer was acknowledged.

The broker is the mock of librdkafka that comes with the PyPI package confluent-kafka. It speaks
Kafka's protocol on a port of 127.0.0.1 and keeps everything in memory. It lives in the demo's own
process, so it outlives the daemon that is killed, and ends with the demo, however that ends.
Source: https://github.com/confluentinc/librdkafka/blob/master/src/rdkafka_mock.h
"""

from __future__ import annotations

import asyncio
import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reactor.cli._demo_daemon import DemoError
from reactor.cli._demo_plan import TOPIC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reactor.cli._demo_data import Record

ANSWER_WITHIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A record that the broker has acknowledged, and where it put it."""

    record: Record
    partition: int
    offset: int

    @property
    def event_id(self) -> str:
        """The id of its event, as the sensor makes it."""
        return f"{TOPIC}/{self.partition}/{self.offset}"


class Topic:
    """A broker with one topic, and its only producer. `log` is the demo's oracle.

    `close` ends the broker; what was in it is gone.
    """

    def __init__(self, producer: Any) -> None:
        self.log: list[Sent] = []
        self._producer = producer
        self._turn = asyncio.Lock()
        self._errors: list[str] = []
        # To ask for a topic makes it; the daemon's sensor makes none.
        known = producer.list_topics(TOPIC, timeout=ANSWER_WITHIN_SECONDS)
        broker = next(iter(known.brokers.values()))
        self.address = f"{broker.host}:{broker.port}"

    async def send(self, records: Sequence[Record]) -> None:
        """Send records and return when all are acknowledged. Raises DemoError when one is not."""
        async with self._turn:
            await asyncio.to_thread(self._send, records)

    def _send(self, records: Sequence[Record]) -> None:
        for record in records:
            self._producer.produce(
                TOPIC, record.value, record.key, on_delivery=self._acknowledged(record)
            )
        left = self._producer.flush(ANSWER_WITHIN_SECONDS)
        if left or self._errors:
            why = self._errors[0] if self._errors else f"{left} records were not acknowledged"
            raise DemoError(f"the embedded broker did not take what it was sent: {why}")

    def _acknowledged(self, record: Record) -> Any:
        def note(error: object, message: Any) -> None:
            if error is not None:
                self._errors.append(str(error))
                return
            sent = Sent(record=record, partition=message.partition(), offset=message.offset())
            self.log.append(sent)

        return note

    def close(self) -> None:
        """End the broker."""
        # It lives as long as the client that it came with.
        self._producer = None


def open_topic() -> Topic | str:
    """Return a broker with the topic, or why there can be none: then the demo runs without."""
    try:
        from confluent_kafka import KafkaException, Producer
    except ImportError as error:  # no wheel for this system, or a library it needs is missing
        return f"confluent_kafka cannot be imported ({error})"
    try:
        # librdkafka tells on standard error of every connection that ends; errors are enough.
        return Topic(
            Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 3})
        )
    except KafkaException as error:
        return f"the broker inside confluent_kafka does not answer ({error})"


def sent_by_industry(log: Sequence[Sent]) -> dict[str, list[str]]:
    """Return what the producer was acknowledged of each industry, in the order of the topic."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for sent in sorted(log, key=lambda sent: (sent.partition, sent.offset)):
        if not sent.record.is_poison:
            jobs = json.loads(sent.record.value)
            found[jobs["industry"]].append(f"{jobs['month']} {jobs['thousands']:g}")
    return dict(found)


def followed_by_industry(folder: Path) -> dict[str, list[str]]:
    """Return what the workflow `trend` noted of each industry, in the order in which it did."""
    found = {}
    for path in sorted((folder / "trend").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows = [f"{row['month']} {row['thousands']}" for row in csv.DictReader(file)]
        found[path.stem] = rows
    return found
