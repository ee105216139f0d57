"""The project that is fed garbage: records of orders, and of each customer in order. Run by `reactor run`."""

from __future__ import annotations

import os
import socket
from typing import Any

from pydantic import BaseModel

from reactor import Event, Workflow
from reactor_sensors import Kafka, KafkaRecord

EVERY = int(os.environ["TORTURE_TOLD_EACH"])


class Order(BaseModel):
    n: int
    customer: str


class LenientOrder(BaseModel):
    n: int | str
    customer: str = ""


# The model of the day after: what broke the first one can be redriven.
model = LenientOrder if "TORTURE_LENIENT" in os.environ else Order
records = Kafka(
    os.environ["TORTURE_TOPIC"],
    bootstrap_servers=os.environ["TORTURE_SERVERS"],
    group=os.environ["TORTURE_GROUP"],
    session_timeout="5s",
    # Batches are of plain JSON, which is read a column at a time.
    model=None if "TORTURE_BATCHES" in os.environ else model,
    name="records",
)
done = 0


def count(more: int) -> int:
    """Count records that are done, and tell of each `EVERY`."""
    global done
    told, done = done // EVERY, done + more
    for _ in range(told, done // EVERY):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"TOLD=more", "\0" + os.environ["REACTOR_TEST_TELL"])
    return done


if "TORTURE_BATCHES" in os.environ:
    batches = Workflow("batches", on=records.batch(500, within="500ms"), concurrency=1000)

    @batches.step
    async def book_all(events: list[Event[Any]]) -> int:
        return count(len(events))

else:
    on = records if "TORTURE_KEYLESS" in os.environ else records.key("data.key")
    orders = Workflow("orders", on=on, concurrency=1000)

    @orders.step
    async def book(event: Event[KafkaRecord[LenientOrder]]) -> int:
        return count(1)
