"""Kafka out: `produce` sends a record and returns once the brokers have it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol
from weakref import WeakKeyDictionary

import orjson
from pydantic import BeforeValidator, ValidationError, model_validator

from reactor.api import DefinitionError, Duration, Outgoing, Outlet, Reject, StepError, nearest
from reactor_handlers._kafka_delivery import Delivery
from reactor_handlers._kafka_link import Link, LinkOptions, ProducerLink, RecordPosition
from reactor_handlers._kafka_outgoing import outgoing_of, record_of
from reactor_handlers._kafka_record import Headers, Record, make_record
from reactor_handlers._kafka_security import Security
from reactor_handlers._kafka_trouble import RefusedError

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Producer", "RecordPosition", "produce"]

_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_LARGEST_RECORD = 64 * 1024 * 1024
_SHORTEST = timedelta(milliseconds=10)


class _StepContext(Protocol):
    """What is read of `ctx`."""

    @property
    def idempotency_key(self) -> str: ...


def _as_tuple(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class Producer(Security):
    """Where to send records, and how to get in. Made once per project and used by any number of steps.

    `orders = Producer(bootstrap_servers="kafka1:9092,kafka2:9092")`, then in a step
    `await orders.send("orders", {"id": 7}, key="k1", ctx=ctx)`. Making one connects to nothing: the
    first `send` does, and all producers with equal options share one connection per event loop,
    which is closed when the loop ends.

    - `deadline`: the whole time for one record, connecting included; `request_timeout`: for one
      request to a broker.
    - `largest_bytes`: of key, value and headers of one record together.
    - `compression`: `"gzip"`, or `"snappy"`, `"lz4"`, `"zstd"`, which need the package cramjam.
    - `client_id`: what the brokers' logs and quotas call us.
    - `tls`, `tls_ca`, `tls_cert`, `tls_key`, `tls_key_password`; `sasl`, `username`, `password`,
      `token` as for the Kafka sensor. Secrets are `"env:NAME"` or `"file:PATH"`, read at each
      connection.

    Raises DefinitionError for options that cannot be meant.
    """

    bootstrap_servers: Names
    request_timeout: Duration = timedelta(seconds=10)
    deadline: Duration = timedelta(seconds=30)
    largest_bytes: int = 1024 * 1024
    compression: Literal["gzip", "snappy", "lz4", "zstd"] | None = None
    client_id: str = "reactor"

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise DefinitionError(f"kafka.Producer: {_spell_faults(error)}") from None

    @model_validator(mode="after")
    def _options_can_be_meant(self) -> Producer:
        if not self.bootstrap_servers or not all(self.bootstrap_servers):
            raise ValueError('bootstrap_servers: write "host:port", several with commas between')
        for name in ("request_timeout", "deadline"):
            if getattr(self, name) < _SHORTEST:
                raise ValueError(f'{name}: must be "10ms" or longer')
        if not 1 <= self.largest_bytes <= _LARGEST_RECORD:
            raise ValueError(f"largest_bytes: must be between 1 and {_LARGEST_RECORD:,}")
        return self

    async def send(
        self,
        topic: str,
        value: Any,
        *,
        key: Any = None,
        headers: Headers = (),
        ctx: _StepContext | None = None,
        part: str | int | None = None,
        traceparent: str | None = None,
        partition: int | None = None,
        timestamp: datetime | None = None,
    ) -> RecordPosition:
        """Send one record, and return where it is once all in-sync replicas have it (acks=all).

        At least once: the idempotent producer repeats no record by itself, but an attempt that died
        unacknowledged is followed by another. With `ctx` the header `idempotency-key` is the same on
        each attempt, so that readers can tell. A step that sends several records gives each a `part`,
        which is appended to it.

        `value` and `key`: bytes as they are, text as UTF-8, None as null, anything else as JSON. A
        header given by name replaces the one that would be added. Without `partition` records of one
        key go to one partition, as with Kafka's own clients.

        Raises Reject for a record that no attempt can send: too large, no JSON, no such thing as its
        topic's name. Raises StepError when the brokers cannot be reached, know no such topic, refuse
        the user, or do not acknowledge within `deadline`. SettingsError: a secret or file is missing.
        """
        record = self._make(
            topic,
            value,
            key=key,
            headers=headers,
            idempotency_key=_idempotency_key(ctx, part),
            traceparent=traceparent,
            partition=partition,
            timestamp=timestamp,
        )
        return await self.deliver(record)

    def record(
        self,
        topic: str,
        value: Any,
        *,
        key: Any = None,
        headers: Headers = (),
        traceparent: str | None = None,
        partition: int | None = None,
        timestamp: datetime | None = None,
    ) -> Outgoing:
        """Return a record for `ctx.emit`, which has it sent if the step succeeds. Connects to nothing.

        The arguments are those of `send`. The daemon adds the header `idempotency-key`, unless it is named here:
        run, step and the number of the record in its step, the same whenever it is sent. Records of one topic and
        key are sent in the order in which their steps succeeded, each after the acknowledgement of the one before.

        Raises Reject like `send`. DefinitionError where the producer has `token=`: a function cannot be kept until
        the record is sent.
        """
        made = self._make(
            topic,
            value,
            key=key,
            headers=headers,
            traceparent=traceparent,
            partition=partition,
            timestamp=timestamp,
        )
        return outgoing_of(made, _spell_options(self))

    async def deliver(self, record: Record) -> RecordPosition:
        """Send a record that is ready. See `send`, which makes one."""
        return await (await self._delivery()).send(record, deadline=self.deadline)

    def _make(
        self,
        topic: str,
        value: Any,
        *,
        partition: int | None,
        timestamp: datetime | None,
        **others: Any,
    ) -> Record:
        _check(topic, partition, timestamp)
        return make_record(
            topic,
            value,
            partition=partition,
            timestamp=None if timestamp is None else round(timestamp.timestamp() * 1000),
            largest_bytes=self.largest_bytes,
            **others,
        )

    async def close(self) -> None:
        """Close the connection of this loop, shared by all equal producers. The next `send` opens it again.

        The end of the loop does so too; this is for scripts and tests. What is still being sent fails.
        """
        held = _deliveries.get(asyncio.get_running_loop(), {}).get(self)
        if held is not None:
            await held[1].aclose()

    async def _delivery(self) -> Delivery:
        of_loop = _deliveries.setdefault(asyncio.get_running_loop(), {})
        if self not in of_loop:
            delivery = Delivery(self._new_link)
            until_the_end = _closing(self, delivery)
            of_loop[self] = (delivery, until_the_end)
            await anext(until_the_end)
        return of_loop[self][0]

    async def _new_link(self) -> Link:
        options = LinkOptions(
            servers=self.bootstrap_servers,
            client_id=self.client_id,
            request_timeout=self.request_timeout,
            largest_bytes=self.largest_bytes,
            compression=self.compression,
        )
        # Read anew for each connection: a password may have been changed meanwhile.
        return ProducerLink(options, await asyncio.to_thread(self.client_options))


# Nothing else could be shared by steps that each call `produce`. Of each loop for itself: a connection belongs
# to the loop that made it.
_deliveries: WeakKeyDictionary[
    asyncio.AbstractEventLoop, dict[Producer, tuple[Delivery, AsyncGenerator[None, None]]]
] = WeakKeyDictionary()


async def _closing(producer: Producer, delivery: Delivery) -> AsyncGenerator[None, None]:
    """Wait in the middle until the loop ends: `shutdown_asyncgens`, which every runner calls, then closes it."""
    of_loop = _deliveries[asyncio.get_running_loop()]
    try:
        yield
    finally:
        of_loop.pop(producer, None)
        await delivery.close()


async def produce(
    topic: str,
    value: Any,
    *,
    bootstrap_servers: str | Sequence[str],
    key: Any = None,
    headers: Headers = (),
    ctx: _StepContext | None = None,
    part: str | int | None = None,
    traceparent: str | None = None,
    partition: int | None = None,
    timestamp: datetime | None = None,
    **options: Any,
) -> RecordPosition:
    """Send one record; see `Producer.send`, and `Producer` for the other options.

    `await produce("orders", {"id": 7}, key="k1", ctx=ctx, bootstrap_servers="kafka1:9092")`. Calls
    with equal options share one connection.
    """
    producer = Producer(bootstrap_servers=bootstrap_servers, **options)
    return await producer.send(
        topic,
        value,
        key=key,
        headers=headers,
        ctx=ctx,
        part=part,
        traceparent=traceparent,
        partition=partition,
        timestamp=timestamp,
    )


class _Outlet:
    """Sends what steps emit, over the connection that equal producers share in this loop."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    async def deliver(self, outgoing: Outgoing, *, idempotency_key: str) -> None:
        """See `reactor.api.Outlet`."""
        try:
            await self._producer.deliver(record_of(outgoing, idempotency_key))
        except StepError as error:
            if isinstance(error.__cause__, RefusedError):
                raise Reject(str(error)) from error
            raise

    async def close(self) -> None:
        """See `reactor.api.Outlet`."""
        await self._producer.close()


def open_outlet(options: Mapping[str, Any]) -> Outlet:
    """Return the outlet for records that a producer with these options made. Connects to nothing."""
    return _Outlet(Producer(**options))


@lru_cache(maxsize=256)
def _spell_options(producer: Producer) -> str:
    """Return the options as JSON; secrets are references already."""
    if producer.token is not None:
        raise DefinitionError(
            "kafka: a producer with token= cannot make a record for ctx.emit, because a function cannot be kept "
            "until the record is sent; use another sasl=, or send the record in the step: await producer.send(...)"
        )
    options = producer.model_dump(mode="json", exclude_defaults=True)
    return orjson.dumps(options, option=orjson.OPT_SORT_KEYS).decode()


def _idempotency_key(ctx: _StepContext | None, part: str | int | None) -> str | None:
    if ctx is None:
        if part is not None:
            raise DefinitionError("kafka: part= means nothing without ctx=; give ctx=ctx")
        return None
    return ctx.idempotency_key if part is None else f"{ctx.idempotency_key}/{part}"


def _check(topic: str, partition: int | None, timestamp: datetime | None) -> None:
    if not _TOPIC_NAME.fullmatch(topic) or topic in (".", ".."):
        raise Reject(
            f"{topic!r} cannot be a topic; names are of letters, digits, '.', '_' and '-', 249 at most"
        )
    if partition is not None and partition < 0:
        raise Reject(f"partition={partition} is below 0; leave it out to have one chosen")
    if timestamp is not None and timestamp.tzinfo is None:
        raise Reject(f"timestamp={timestamp} has no zone; give an aware datetime")


def _spell_faults(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        where = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown option {where!r}{nearest(where, [*Producer.model_fields])}")
        else:
            said = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {said}" if where else said)
    return "; ".join(lines)
