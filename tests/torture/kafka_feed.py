"""The oracle of the Kafka rounds: a producer that never gives up, and its log of what was acknowledged where."""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING

from confluent_kafka import Producer

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

    from tests.torture.journal import Journal

PATIENCE_SECONDS = 60.0
RECORDS_PER_BREATH = 20
BREATH_SECONDS = 0.02
# A broker that stops says at last that the cluster has no brokers. librdkafka 2.16 then has none to ask, and begins
# anew with those that it was given only after so long; 5 minutes unless it is told otherwise.
REBOOTSTRAP_MILLISECONDS = 2_000


class KafkaFeed:
    """Produces numbers to all partitions in turn until it is stopped; an outage makes it wait.

    Each acknowledgement is a line `{"partition", "offset", "n"}` of the log.
    """

    def __init__(self, servers: str, topic: str, partitions: int, log: Journal) -> None:
        self._topic, self._log = topic, log
        self._partitions = partitions
        self._ends: dict[int, int] = {}
        self._again: deque[int] = deque()
        self._sent = self._acknowledged = 0
        self._troubles: deque[str] = deque(maxlen=5)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 2,
                # None is given up, so that each record is acknowledged exactly once in the end.
                "message.timeout.ms": 0,
                "reconnect.backoff.max.ms": 300,
                "metadata.recovery.rebootstrap.trigger.ms": REBOOTSTRAP_MILLISECONDS,
                "error_cb": lambda error: self._troubles.append(str(error)),
                "log_level": 2,
            }
        )
        self._thread = threading.Thread(target=self._run, name="kafka feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return once everything that was sent is acknowledged. Raises AssertionError when it never is."""
        self._stopping.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "the producer did not get everything acknowledged"

    def abandon(self) -> None:
        """End at once. A thread left inside the client would crash the end of the interpreter."""
        self._abandoned.set()
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_SECONDS)
        self._producer.purge()

    def grow(self, partitions: int) -> None:
        """Produce to so many partitions from now on."""
        self._producer.list_topics(self._topic, timeout=PATIENCE_SECONDS)
        self._partitions = partitions

    @property
    def ends(self) -> dict[int, int]:
        """For each partition the offset after the last acknowledged one."""
        with self._lock:
            return dict(self._ends)

    @property
    def account(self) -> str:
        """What the producer has to say for itself, for an operator."""
        return (
            f"{self._sent} records sent, {self._acknowledged} acknowledged, {len(self._again)} refused; "
            f"thread {'runs' if self._thread.is_alive() else 'ended'}; troubles: {[*self._troubles]}"
        )

    def _run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            for _ in range(RECORDS_PER_BREATH):
                self._produce(number)
                number += 1
            self._producer.poll(0)
            self._stopping.wait(BREATH_SECONDS)
        while (len(self._producer) or self._again) and not self._abandoned.is_set():
            while self._again:
                self._produce(self._again.popleft())
            self._producer.flush(0.5)

    def _produce(self, number: int) -> None:
        self._sent += 1
        self._producer.produce(
            self._topic,
            json.dumps({"n": number}).encode(),
            partition=number % self._partitions,
            on_delivery=lambda error, message: self._delivered(number, error, message),
        )

    def _delivered(self, number: int, error: KafkaError | None, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        if error is not None or partition is None or offset is None:
            # A partition just made that the client does not know yet.
            self._again.append(number)
            return
        self._acknowledged += 1
        self._log.add({"partition": partition, "offset": offset, "n": number})
        with self._lock:
            self._ends[partition] = max(self._ends.get(partition, 0), offset + 1)
