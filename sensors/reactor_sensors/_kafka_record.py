"""A Kafka record as an event, or as the poison that it is, and the envelope in which poison is kept."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, TypeVar

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated_dataclass

from reactor.api import Event, Rejected, from_micros
from reactor_sensors._kafka_framing import unframe
from reactor_sensors._kafka_poison import PoisonError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from reactor_sensors._kafka_framing import SchemaRef
    from reactor_sensors._kafka_schemas import Schemas

RECORD = "reactor.kafka.record"
Decoding: TypeAlias = Literal["json", "text", "bytes", "avro", "json-schema"]
V = TypeVar("V")

_ENVELOPE_VERSION = 1
BASE64 = "base64:"
TIMESTAMP_TYPES = ("create", "append")
# Kafka did not exist before; an older timestamp is a broken clock or an invention.
_EARLIEST = datetime(2011, 1, 1, tzinfo=UTC)
_MOST_AHEAD = timedelta(days=1)
_MICROS_PER_MS = 1000
_MOST_FAULTS = 3


class RawRecord(Protocol):
    """What is read of a consumer's record. `timestamp` is in milliseconds since 1970."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int | None: ...
    @property
    def timestamp_type(self) -> int | None: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


# Of pydantic because of bytes: only so does a value of bytes pass through JSON and come back as it was.
@validated_dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"),
)
class KafkaRecord(Generic[V]):
    """A record of a topic. `value` is None for a tombstone, whatever the model.

    Key and header values are text where they are UTF-8; other bytes are `"base64:"` followed by their base64, and
    so is text that begins with those letters itself: `key_bytes` and `header_bytes` give back exactly what was sent.
    `headers` keeps order and duplicates. `timestamp` is in milliseconds since 1970 as it was sent, right or
    wrong, -1 where there is none; `timestamp_type` tells whether the producer ("create") or the broker ("append")
    wrote it.
    """

    topic: str
    partition: int
    offset: int
    key: str | None
    value: V
    headers: tuple[tuple[str, str | None], ...] = ()
    timestamp: int = -1
    timestamp_type: str = "create"

    @property
    def key_bytes(self) -> bytes | None:
        """The key as it was sent."""
        return None if self.key is None else unspell_bytes(self.key)

    def header(self, name: str) -> str | None:
        """Return the last header of that name, which is the one that counts in Kafka, or None."""
        for key, value in reversed(self.headers):
            if key == name:
                return value
        return None

    def header_bytes(self, name: str) -> bytes | None:
        """Return the last header of that name as it was sent, or None."""
        value = self.header(name)
        return None if value is None else unspell_bytes(value)

    @property
    def traceparent(self) -> str | None:
        """The trace context of the producer (https://www.w3.org/TR/trace-context/), or None."""
        return self.header("traceparent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where records of one partition come from. `source` names cluster, topic and generation for ever."""

    source: str
    topic: str
    partition: int
    # Distinguishes dead letters of a topic from those of one that was recreated under its name.
    generation: str


class Decoder:
    """Makes events of records, by the sensor's options. Pure but for the instant it is given, and `prepare`.

    With `schemas` of a registry, `prepare` learns what records need before they can be decoded.
    """

    def __init__(
        self,
        decoding: Decoding,
        model: Any,
        *,
        largest_bytes: int,
        schemas: Schemas | None = None,
    ) -> None:
        self._read: Callable[[bytes], Any] = _READ.get(decoding, _loads)
        if model is not None:
            self._read = partial(_model_value, TypeAdapter(model))
        self.largest_bytes = largest_bytes
        self._schemas = schemas
        # The last timestamp and its instant: records that were sent together mostly share it.
        self._timestamp: int | None = None
        self._instant = _EARLIEST

    @property
    def needs_schemas(self) -> bool:
        """Whether records must be prepared; decoding them is then work for a thread, not for the loop."""
        return self._schemas is not None

    @property
    def is_plain(self) -> bool:
        """Whether values are JSON, of no model and no schema."""
        return self._read is _loads and self._schemas is None

    async def prepare(self, records: Iterable[RawRecord]) -> None:
        """Learn the schemas of these records. Raises RegistryError for those that cannot be learnt now."""
        if self._schemas is not None:
            needed = dict.fromkeys(map(self._schema_of, records))
            await self._schemas.fetch([schema for schema in needed if schema is not None])

    def lacks_schema(self, record: RawRecord) -> bool:
        """Return whether a record cannot be decoded yet, neither as an event nor as poison."""
        if self._schemas is None:
            return False
        schema = self._schema_of(record)
        return schema is not None and self._schemas.lacks(schema)

    def _schema_of(self, record: RawRecord) -> SchemaRef | None:
        if record.value is None or len(record.value) > self.largest_bytes:
            return None
        try:
            return unframe(record)[0]
        except PoisonError:
            return None

    def decode(self, origin: Origin, record: RawRecord, *, now: datetime) -> Event[Any] | Rejected:
        """Return the event that a record is, or the poison."""
        try:
            value = self.value(record)
        except PoisonError as error:
            return poison_of(origin, record, error)
        key = spell_bytes(record.key)
        return Event(
            id=f"{origin.topic}/{origin.partition}/{record.offset}",
            source=origin.source,
            type=RECORD,
            time=self.instant(record.timestamp, now),
            data=_readable(origin, record, key, value),
            subject=key,
        )

    def instant(self, timestamp: int | None, now: datetime) -> datetime:
        """Return the instant of a record's timestamp in milliseconds, `now` where that is none."""
        if timestamp is None:
            return now
        if timestamp != self._timestamp:
            instant = sane_time(timestamp, now)
            if instant is now:
                return now
            self._timestamp, self._instant = timestamp, instant
        return self._instant

    def value(self, record: RawRecord) -> Any:
        """Return the decoded value, None for a tombstone. Raises PoisonError."""
        raw = record.value
        if raw is None:
            return None
        if len(raw) > self.largest_bytes:
            raise PoisonError(
                "too_large",
                f"the value is {len(raw):,} bytes, more than the {self.largest_bytes:,} of largest_bytes",
            )
        if self._schemas is not None:
            return self._schema_value(self._schemas, record)
        return self._read(raw)

    def _schema_value(self, schemas: Schemas, record: RawRecord) -> Any:
        schema, payload = unframe(record)
        try:
            return self._read(schemas.codec(schema)(payload))
        except PoisonError as error:
            raise PoisonError(error.reason, f"schema {schema}: {error}") from None

    def revive(self, envelope: bytes, *, now: datetime) -> Event[Any]:
        """Return the event of an enveloped record. Raises ValueError that says why it still is none."""
        origin, record = unpack(envelope)
        revived = self.decode(origin, record, now=now)
        if isinstance(revived, Rejected):
            raise ValueError(revived.detail)
        return revived


def poison_of(origin: Origin, record: RawRecord, why: PoisonError) -> Rejected:
    """Return the record as poison, enveloped."""
    return Rejected(
        event_id=f"{origin.topic}@{origin.generation}/{origin.partition}/{record.offset}",
        reason=why.reason,
        detail=str(why),
        subject=spell_bytes(record.key),
        raw=pack(origin, record),
    )


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise PoisonError("not_json", f"the value is not JSON: {error}") from None


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise PoisonError("not_text", f"the value is not UTF-8: {error}") from None


def _model_value(model: TypeAdapter[Any], raw: bytes) -> Any:
    if b"NaN" in raw or b"Infinity" in raw:
        # pydantic would take them, and the store could not keep them.
        _loads(raw)
    try:
        return model.validate_json(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        if faults[0]["type"] == "json_invalid":
            raise PoisonError("not_json", f"the value is not JSON: {faults[0]['msg']}") from None
        spelled = [
            f"{'.'.join(map(str, fault['loc'])) or 'value'}: {fault['msg']}"
            for fault in faults[:_MOST_FAULTS]
        ]
        raise PoisonError(
            "breaks_model", "the value breaks its model: " + "; ".join(spelled)
        ) from None


def _same(raw: bytes) -> bytes:
    return raw


# All others end as JSON.
_READ: dict[Decoding, Callable[[bytes], Any]] = {"text": _text, "bytes": _same}


_put_topic, _put_partition, _put_offset, _put_key, _put_value, _put_headers = (
    vars(KafkaRecord)[name].__set__
    for name in ("topic", "partition", "offset", "key", "value", "headers")
)
_put_timestamp, _put_timestamp_type = (
    vars(KafkaRecord)[name].__set__ for name in ("timestamp", "timestamp_type")
)


def _readable(origin: Origin, record: RawRecord, key: str | None, value: Any) -> KafkaRecord[Any]:
    """Return the record with its decoded value; by its parts: to validate them would take as long as all else."""
    made: KafkaRecord[Any] = object.__new__(KafkaRecord)
    _put_topic(made, origin.topic)
    _put_partition(made, origin.partition)
    _put_offset(made, record.offset)
    _put_key(made, key)
    _put_value(made, value)
    headers = record.headers
    _put_headers(made, spell_headers(headers) if headers else ())
    _put_timestamp(made, -1 if record.timestamp is None else record.timestamp)
    _put_timestamp_type(made, TIMESTAMP_TYPES[record.timestamp_type == 1])
    return made


def sane_time(timestamp: int, now: datetime) -> datetime:
    """Return the instant of a record's timestamp in milliseconds, or `now` where no right clock can have meant it."""
    try:
        written_at = from_micros(timestamp * _MICROS_PER_MS)
    except OverflowError:
        return now
    return written_at if _EARLIEST <= written_at <= now + _MOST_AHEAD else now


def spell_bytes(raw: bytes | None) -> str | None:
    """Return bytes as text that `unspell_bytes` reads back as the same bytes."""
    if raw is None:
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return BASE64 + base64.b64encode(raw).decode()
    return BASE64 + base64.b64encode(raw).decode() if text.startswith(BASE64) else text


def spell_headers(
    headers: Sequence[tuple[str, bytes | None]],
) -> tuple[tuple[str, str | None], ...]:
    """Return headers with their values as text."""
    return tuple([(name, spell_bytes(text)) for name, text in headers])


def unspell_bytes(text: str) -> bytes:
    """Return the bytes that `spell_bytes` spelled."""
    if text.startswith(BASE64):
        return base64.b64decode(text.removeprefix(BASE64))
    return text.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unpacked:
    offset: int
    timestamp: int | None
    timestamp_type: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def pack(origin: Origin, record: RawRecord) -> bytes:
    """Return the envelope of a record: a JSON object; key, value and header values are base64 of what was sent."""
    return orjson.dumps(
        {
            "kafka": _ENVELOPE_VERSION,
            "source": origin.source,
            "topic": origin.topic,
            "generation": origin.generation,
            "partition": origin.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "timestamp_type": record.timestamp_type,
            "key": _to_base64(record.key),
            "headers": [[name, _to_base64(value)] for name, value in record.headers],
            "value": _to_base64(record.value),
        }
    )


def unpack(envelope: bytes) -> tuple[Origin, RawRecord]:
    """Return what `pack` packed. Raises ValueError for anything else."""
    try:
        parts = orjson.loads(envelope)
        if parts["kafka"] != _ENVELOPE_VERSION:
            raise ValueError(f"its version is {parts['kafka']!r}, not {_ENVELOPE_VERSION}")
        origin = Origin(
            source=parts["source"],
            topic=parts["topic"],
            partition=parts["partition"],
            generation=parts["generation"],
        )
        record = _Unpacked(
            offset=parts["offset"],
            timestamp=parts["timestamp"],
            timestamp_type=parts["timestamp_type"],
            key=_from_base64(parts["key"]),
            value=_from_base64(parts["value"]),
            headers=[(name, _from_base64(value)) for name, value in parts["headers"]],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is not the envelope of a Kafka record ({error!r})") from None
    return origin, record


def _to_base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _from_base64(text: str | None) -> bytes | None:
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
