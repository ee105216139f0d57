"""The one place that touches aiokafka: a started producer, and what its errors mean.

What aiokafka 0.14.0 asks for, read in its source and seen on a broker:

- A batch that a broker refused keeps its place in the numbering of the idempotent producer, so that every later
  record of that partition is refused as out of order, for ever. So the first refusal makes a link spoilt.
- A limit of the topic counts for a batch, and a batch that is too large is not split: records that would fit are
  refused because of their neighbours. So a refused record is sent once more, in a batch of its own.
- `stop` waits for all that is unacknowledged, without a limit, and leaves a task behind when it is interrupted. So
  `close` takes the producer apart itself.
- A connection that was lost a moment before it is written to ends the task that sends or the one that keeps the
  metadata fresh, where the loop is uvloop's. Nobody is told. So `is_spoilt` looks at both.
- A failure to get in is told as "unable to bootstrap". So the brokers are asked once more, for the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, ProducerClosed, UnknownTopicOrPartitionError

from reactor.api import SettingsError
from reactor_handlers._kafka_trouble import TroubleError, is_hopeless, spell_trouble

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reactor_handlers._kafka_record import Record

STOP_SECONDS = 5.0
PROBE_SECONDS = 3.0
# Of what aiokafka puts around key, value and headers.
OVERHEAD_BYTES = 4096
BATCH_BYTES = 64 * 1024
# What comes out of aiokafka where no broker can be used. RuntimeError is uvloop's, for a connection that was lost a
# moment before it is written to.
_FAILURES = (KafkaError, OSError, TimeoutError, RuntimeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPosition:
    """Where an acknowledged record is. `timestamp` is in milliseconds since 1970, as the topic keeps it."""

    topic: str
    partition: int
    offset: int
    timestamp: int


class Link(Protocol):
    """What a delivery needs of a client that can send. Made new, opened once, closed once.

    `put` returns once the record is in hand; the future it returns becomes a RecordPosition, or raises KafkaError.
    Nobody needs to wait for that future. `spoil` says that the link must not be used for new records.
    """

    @property
    def is_spoilt(self) -> bool: ...
    def spoil(self) -> None: ...
    async def open(self) -> None: ...
    async def put(self, record: Record, *, alone: bool) -> asyncio.Future[RecordPosition]: ...
    async def why_not(self, seconds: float) -> TroubleError | None: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """What a producer is made with, beside how to get in."""

    servers: Sequence[str]
    client_id: str
    request_timeout: timedelta
    largest_bytes: int
    compression: str | None


class ProducerLink:
    """An idempotent producer of aiokafka behind `Link`."""

    def __init__(self, options: LinkOptions, security: Mapping[str, Any]) -> None:
        self._options = options
        self._security = dict(security)
        self._is_refused = False
        self._pending: set[asyncio.Future[RecordPosition]] = set()
        try:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=list(options.servers),
                client_id=options.client_id,
                acks="all",
                enable_idempotence=True,
                compression_type=options.compression,
                max_batch_size=BATCH_BYTES,
                max_request_size=options.largest_bytes + OVERHEAD_BYTES,
                request_timeout_ms=options.request_timeout // timedelta(milliseconds=1),
                metadata_max_age_ms=30_000,
                **self._security,
            )
        except RuntimeError as error:  # so it says that a codec is missing
            raise SettingsError(
                f"compression={options.compression!r}: {error}; install cramjam, or use gzip"
            ) from None

    @property
    def is_spoilt(self) -> bool:
        """Whether nothing more can be sent: a record was refused, or one of the client's tasks has ended."""
        tasks = (self._producer._sender.sender_task, self._producer.client._sync_task)
        return self._is_refused or any(task is not None and task.done() for task in tasks)

    def spoil(self) -> None:
        """Say that a record was refused by a broker."""
        self._is_refused = True

    async def open(self) -> None:
        """Connect. Raises TroubleError that says for each address why not; may be cancelled, then `close` it."""
        try:
            await self._producer.start()
        except _FAILURES as error:
            trouble = await self.why_not()
            raise trouble or TroubleError(
                f"the brokers {self._servers} refuse a producer: {spell_trouble(error)}",
                is_hopeless=is_hopeless(error),
            ) from error

    async def put(self, record: Record, *, alone: bool) -> asyncio.Future[RecordPosition]:
        """Hand `record` to the task that sends. Waits for the topic's partitions, and for room. Raises KafkaError.

        Raises TroubleError when there is no such topic or partition, or no right to know of it.
        """
        try:
            partitions = await self._producer.partitions_for(record.topic)
        except UnknownTopicOrPartitionError:
            # It says so too when nobody could be asked.
            raise await self.why_not() or self._unknown_topic(record.topic) from None
        if record.partition is not None and record.partition not in partitions:
            raise TroubleError(
                f"topic {record.topic!r} has no partition {record.partition}; it has 0 to "
                f"{max(partitions)}. Correct partition=, or leave it out",
                is_hopeless=True,
            )
        return await (self._put_alone(record) if alone else self._put(record))

    async def _put(self, record: Record) -> asyncio.Future[RecordPosition]:
        sent: asyncio.Future[Any] = await self._producer.send(
            record.topic,
            record.value,
            key=record.key,
            partition=record.partition,
            timestamp_ms=record.timestamp,
            headers=list(record.headers),
        )
        return self._position(sent, made_at=-1)

    async def _put_alone(self, record: Record) -> asyncio.Future[RecordPosition]:
        batch = self._producer.create_batch()
        kept = batch.append(
            timestamp=record.timestamp,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
        )
        batch.close()
        # The public surface chooses partitions for single records only.
        partition = self._producer._partition(
            record.topic, record.partition, None, None, record.key, record.value
        )
        sent: asyncio.Future[Any] = await self._producer.send_batch(
            batch, record.topic, partition=partition
        )
        return self._position(sent, made_at=kept.timestamp)

    def _position(
        self, sent: asyncio.Future[Any], *, made_at: int
    ) -> asyncio.Future[RecordPosition]:
        position: asyncio.Future[RecordPosition] = asyncio.get_running_loop().create_future()

        def settle(sent: asyncio.Future[Any]) -> None:
            self._pending.discard(position)
            error = ProducerClosed() if sent.cancelled() else sent.exception()
            if position.done():
                return
            if error is not None:
                position.set_exception(error)
                # Perhaps nobody waits for it any more, and that is no news for the log.
                position.exception()
                return
            at = sent.result()
            # The broker names no time where the topic keeps that of the sender.
            timestamp = at.timestamp if at.timestamp >= 0 else made_at
            position.set_result(
                RecordPosition(
                    topic=at.topic, partition=at.partition, offset=at.offset, timestamp=timestamp
                )
            )

        self._pending.add(position)
        sent.add_done_callback(settle)
        return position

    async def why_not(self, seconds: float = PROBE_SECONDS) -> TroubleError | None:
        """Return why no broker lets us in within `seconds`, with each address; None when one of them does."""
        hosts = self._producer.client.hosts
        async with asyncio.TaskGroup() as group:
            probes = [
                group.create_task(
                    self._probe(host, port, seconds), name=f"kafka probe {host}:{port}"
                )
                for host, port, _ in hosts
            ]
        refusals = [probe.result() for probe in probes]
        if None in refusals:
            return None
        reasons = "; ".join(
            f"{host}:{port}: {spell_trouble(refusal)}"
            for (host, port, _), refusal in zip(hosts, refusals, strict=True)
            if refusal is not None
        )
        hopeless = any(refusal is not None and is_hopeless(refusal) for refusal in refusals)
        return TroubleError(f"no broker can be reached; {reasons}", is_hopeless=hopeless)

    async def _probe(self, host: str, port: int, seconds: float) -> Exception | None:
        options = {"ssl_context": None, **self._security}
        try:
            async with asyncio.timeout(seconds):
                connection = await create_conn(
                    host, port, client_id=self._options.client_id, **options
                )
                await connection.close()
        except _FAILURES as error:
            return error
        return None

    async def close(self) -> None:
        """Leave the brokers. What is unacknowledged then fails with ProducerClosed; may be repeated."""
        producer = self._producer
        producer._closed = True  # so that it does not complain when it is collected
        for position in self._pending:
            if not position.done():
                position.set_exception(ProducerClosed())
                position.exception()
        self._pending.clear()
        try:
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await producer._sender.close()
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await producer.client.close()

    @property
    def _servers(self) -> str:
        return ",".join(self._options.servers)

    def _unknown_topic(self, topic: str) -> TroubleError:
        return TroubleError(
            f"topic {topic!r} does not exist at {self._servers}; make it, or correct its name",
            is_hopeless=True,
        )
