"""What aiokafka makes of a fetch once a Kafka sensor runs in its process: for the sensor, and for others."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import ConsumerRecord, TopicPartition

from reactor_sensors._kafka_fetched import as_it_was_read, read_leniently

ORDERS = TopicPartition("orders", 3)


@pytest.fixture(autouse=True)
def leniently() -> None:
    read_leniently()


def fetched(header: str, *, key_deserializer: Any) -> list[Any]:
    """Return the records of a fetch that begins with offset 1; the name of their header is as long as `header`."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 9999)
    for offset in range(3):
        builder.append(offset, 5, b"k%d" % offset, b"v", headers=[("name", b"x")])
    data = bytes(builder.build()).replace(b"name", header.encode("latin-1"))
    return [
        *fetcher.PartitionRecords(
            ORDERS, fetcher.MemoryRecords(data), [], 1, key_deserializer, None, False, 0
        )
    ]


@pytest.mark.parametrize("header", ["name", "nam\xff"])
def test_a_sensor_gets_records_as_they_were_read(header: str) -> None:
    found = fetched(header, key_deserializer=as_it_was_read)
    assert [(each.offset, each.key, each.value, each.timestamp) for each in found] == [
        (1, b"k1", b"v", 5),
        (2, b"k2", b"v", 5),
    ]
    assert not any(isinstance(each, ConsumerRecord) for each in found)


@pytest.mark.parametrize("header", ["name", "nam\xff"])
def test_any_other_consumer_gets_what_it_got_before(header: str) -> None:
    found = fetched(header, key_deserializer=bytes.decode)
    assert [(each.topic, each.partition, each.offset, each.key) for each in found] == [
        ("orders", 3, 1, "k1"),
        ("orders", 3, 2, "k2"),
    ]


def test_a_header_whose_name_is_no_text_is_spelled() -> None:
    (first, _) = fetched("nam\xff", key_deserializer=as_it_was_read)
    assert first.headers == [("base64:bmFt/w==", b"x")]
