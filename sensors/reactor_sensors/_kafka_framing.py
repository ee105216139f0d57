"""Which schema a record was written by: the framing of Confluent's serializers.

The value begins with a magic byte and the schema's number: 0 and four bytes, big-endian, of a registry's id; or 1 and
the sixteen bytes of a GUID, which is the same in every registry. Newer serializers write the same bytes into the
header `__value_schema_id` and leave the value alone; the header counts where there is one. Source: "Wire format" in
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias
from uuid import UUID

from reactor_sensors._kafka_poison import PoisonError

if TYPE_CHECKING:
    from collections.abc import Sequence

VALUE_HEADER = "__value_schema_id"
_ID_MAGIC, _GUID_MAGIC = 0, 1
_ID_SIZE, _GUID_SIZE = 5, 17

SchemaRef: TypeAlias = int | UUID
"""A schema by its id in one registry, or by its GUID."""


class Framed(Protocol):
    """What of a record tells its schema."""

    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


def unframe(record: Framed) -> tuple[SchemaRef, bytes]:
    """Return the schema of a record that has a value, and the value without its framing. Raises PoisonError."""
    assert record.value is not None
    for name, text in reversed(record.headers):
        if name == VALUE_HEADER and text is not None:
            schema, rest = _read(text, f"the header {VALUE_HEADER}")
            if rest:
                raise PoisonError(
                    "not_framed", f"the header {VALUE_HEADER} has {len(rest)} bytes too many"
                )
            return schema, record.value
    return _read(record.value, "the value")


def _read(raw: bytes, where: str) -> tuple[SchemaRef, bytes]:
    if len(raw) >= _ID_SIZE and raw[0] == _ID_MAGIC:
        number = int.from_bytes(raw[1:_ID_SIZE], "big", signed=True)
        if number < 0:
            # No registry gives it; asking for it would be answered as a wrong address is.
            raise PoisonError("not_framed", f"{where} names schema {number}; ids are not negative")
        return number, raw[_ID_SIZE:]
    if len(raw) >= _GUID_SIZE and raw[0] == _GUID_MAGIC:
        return UUID(bytes=bytes(raw[1:_GUID_SIZE])), raw[_GUID_SIZE:]
    found = f"{len(raw)} bytes that begin with {raw[:1].hex() or 'nothing'}"
    raise PoisonError(
        "not_framed",
        f"{where} does not begin with 00 and a schema id, or 01 and a GUID; it is {found}. "
        "Was it written by a serializer of a schema registry?",
    )
