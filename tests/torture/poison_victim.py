"""The project that is fed garbage: records of orders, and of each customer in order. Run by `reactor run`."""

from __future__ import annotations

import os
import socket

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
    model=model,
    name="records",
)
on = records if "TORTURE_KEYLESS" in os.environ else records.key("data.key")
orders = Workflow("orders", on=on, concurrency=1000)
done = 0


@orders.step
async def book(event: Event[KafkaRecord[LenientOrder]]) -> int:
    global done
    done += 1
    if done % EVERY == 0:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"TOLD=more", "\0" + os.environ["REACTOR_TEST_TELL"])
    return done
