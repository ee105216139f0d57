"""The least that reading records could cost in Python: aiokafka and orjson, nothing kept and nothing committed."""

from __future__ import annotations

import time

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.figures import MeasurementError


def consume(servers: str, topic: str, count: int) -> float:
    """Read `count` records from the beginning; return records per second once the consumer has started."""
    return uvloop.run(_consume(servers, topic, count))


async def _consume(servers: str, topic: str, count: int) -> float:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
        group_id=None,
        fetch_max_bytes=8 * 1024 * 1024,
    )
    seen = 0
    async with consumer:
        began = time.perf_counter()
        while seen < count:
            fetched = await consumer.getmany(timeout_ms=10_000)
            if not fetched:
                raise MeasurementError(f"no record came for 10 s, after {seen} of {count}")
            for records in fetched.values():
                for record in records:
                    if orjson.loads(record.value)["customer"]:
                        seen += 1
        return count / (time.perf_counter() - began)
