"""Avro values as JSON, by the schema that they were written with. Needs fastavro."""

from __future__ import annotations

import base64
import math
import struct
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import UUID

import fastavro
import orjson

# Not public: the same reader without C, for schemas that contain themselves. It raises where the other would crash.
from fastavro._read_py import schemaless_reader as read_without_c
from fastavro.read import LOGICAL_READERS

from reactor_sensors._avro_schema import MOST_DIGITS, bad_schema, read_avro_schema
from reactor_sensors._kafka_poison import PoisonError

if TYPE_CHECKING:
    from collections.abc import Callable

# What fastavro raises for bytes that do not fit: at their end, for a branch or symbol that is not there, a text that is
# not UTF-8, an instant that no calendar has.
_UNFIT = (EOFError, ValueError, LookupError, ArithmeticError, TypeError, struct.error, MemoryError)
# 10 ** MOST_DIGITS in bytes, with its sign.
_MOST_DECIMAL_BYTES = math.ceil(MOST_DIGITS * math.log2(10) / 8) + 1
# A record of one field is written as the field is; around any root it makes one case of all.
_ROOT, _FIELD = "reactor.kafka.Root", "value"


def avro_codec(text: str, references: tuple[str, ...] = ()) -> Callable[[bytes], bytes]:
    """Return the function that makes JSON of a value: bytes in, bytes out. It raises PoisonError.

    Logical types become what JSON and pydantic know: instants, dates and times in ISO 8601, decimals and UUIDs as text.
    Bytes and fixed become base64. Raises PoisonError ("bad_schema"). Takes long for large schemas: not for the loop.
    """
    schema = read_avro_schema(text, references)
    if schema.root == "bytes":
        # Confluent's Java serializer writes these without their length, and its deserializer expects that.
        return lambda payload: orjson.dumps(_plain(payload))
    known: dict[str, Any] = {}
    wrapped = {
        "type": "record",
        "name": _ROOT,
        "fields": [{"name": _FIELD, "type": schema.root}],
    }
    try:
        for one in schema.types:
            fastavro.parse_schema(one, known)
        parsed = fastavro.parse_schema(wrapped, known)
    except (fastavro.schema.SchemaParseException, ValueError, LookupError, TypeError) as error:
        raise bad_schema(str(error)) from None
    read: Any = read_without_c if schema.is_recursive else fastavro.schemaless_reader

    def to_json(payload: bytes) -> bytes:
        stream = BytesIO(payload)
        try:
            value = read(stream, parsed, None)[_FIELD]
        except RecursionError:
            raise PoisonError("not_storable", "the value is nested too deep") from None
        except _UNFIT as error:
            said = f"{type(error).__name__}: {error}" if str(error) else "it ends too early"
            raise PoisonError("not_avro", f"the value is not of its Avro schema: {said}") from None
        if left := len(payload) - stream.tell():
            raise PoisonError("not_avro", f"the value goes on for {left} bytes after its end")
        if schema.has_floats:
            _expect_finite(value)
        try:
            return orjson.dumps(value, default=_plain)
        except TypeError as error:
            raise PoisonError("not_storable", f"the value cannot be JSON: {error}") from None

    return to_json


def _expect_finite(value: Any) -> None:
    """Raise PoisonError for what JSON has no number for; it would silently become null."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, float):
            if not math.isfinite(one):
                raise PoisonError("not_storable", f"the value holds {one}, which JSON cannot")
        elif isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is not known")


def _decimal(raw: bytes, schema: Any, _: Any = None) -> str:
    if len(raw) > _MOST_DECIMAL_BYTES:
        raise ValueError(f"a decimal of {len(raw)} bytes is longer than {MOST_DIGITS} digits")
    unscaled, scale = int.from_bytes(raw, "big", signed=True), schema["scale"]
    digits = tuple(map(int, str(abs(unscaled))))
    return format(Decimal((int(unscaled < 0), digits, -scale)), "f")


def _duration(raw: bytes, *_: Any) -> str:
    """Return ISO 8601. Months, days and milliseconds stay apart: a month is no number of days."""
    months, days, millis = struct.unpack("<III", raw)
    return f"P{months}M{days}DT{millis // 1000}.{millis % 1000:03}S"


def _uuid(raw: bytes, *_: Any) -> str:
    return str(UUID(bytes=bytes(raw)))


# fastavro's own reader of decimals has no bound, and it knows neither of the others. No schema of others has these
# names: `_avro_schema` puts them in place of the right ones.
LOGICAL_READERS["bytes-reactor-decimal"] = LOGICAL_READERS["fixed-reactor-decimal"] = _decimal
LOGICAL_READERS["fixed-reactor-duration"] = _duration
LOGICAL_READERS["fixed-reactor-uuid"] = _uuid
