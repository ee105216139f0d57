"""How aiokafka reads what was fetched, where it must be told otherwise.

Header names that are no UTF-8: aiokafka 0.14 raises for them out of `getmany`, again and again, so that one record of
one client stops every partition of the sensor; here such a batch is read a second time, leniently. And a sensor needs
no more of a record than was read of it.

Message format: https://kafka.apache.org/documentation/#messageformat
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

from reactor_sensors._kafka_record import spell_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

# Base offset and length, before what the length counts; the same in all formats.
_OVERHEAD = struct.Struct(">qi")


class _LenientBytes(bytearray):
    """Bytes whose slices decode to what `spell_bytes` makes of them."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _LenientBytes(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        try:
            return super().decode(encoding, errors)
        except UnicodeDecodeError:
            return spell_bytes(bytes(self)) or ""


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka is untyped
    _buffer: bytearray

    def __iter__(self) -> Any:
        records = super().__iter__()
        self._buffer = _LenientBytes(self._buffer)
        return records


class _Batch:
    """A batch of aiokafka that is read again where a header's name is no UTF-8."""

    def __init__(self, batch: Any, raw: bytes) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter([*self._batch])
        except UnicodeDecodeError:
            return iter(_LenientBatch(self._raw))


class LenientRecords:
    """The fetched records of a partition, as aiokafka's fetcher reads them."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0
        self._records = MemoryRecords(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        if batch is None:
            return None
        _, length = _OVERHEAD.unpack_from(self._data, self._position)
        start, self._position = self._position, self._position + _OVERHEAD.size + length
        # The fetcher looks into a control batch by `next`.
        if batch.is_control_batch:
            return batch
        return _Batch(batch, self._data[start : self._position])


def as_it_was_read(key: Any) -> Any:
    """The `key_deserializer` of a consumer that wants records as they were read, without what aiokafka adds to each."""
    return key


class FetchedRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """What a fetch brought of a partition, for any consumer of this process."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        if self._key_deserializer is as_it_was_read:
            self._consumer_record = _second

    def __iter__(self) -> Any:
        return self._records_iterator


def _second(_: object, record: Any) -> Any:
    return record


def read_leniently() -> None:
    """Let aiokafka's consumers in this process read so. There is no other place to say it; may be repeated."""
    fetcher.MemoryRecords = LenientRecords
    fetcher.PartitionRecords = FetchedRecords
