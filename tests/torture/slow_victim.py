"""The project whose steps do not return until they are told to. Run by `reactor run`."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Kafka, KafkaRecord

PLACES, PENDING, TOLD_EACH = (int(part) for part in os.environ["TORTURE_LIMITS"].split())

records = Kafka(
    os.environ["TORTURE_TOPIC"],
    bootstrap_servers=os.environ["TORTURE_SERVERS"],
    group="slow",
    session_timeout="2s",
    max_poll_interval="3s",
    name="records",
)
slow = Workflow("slow", on=records, concurrency=PLACES, pending=PENDING)
opened = asyncio.Event()
began = 0
ended = 0


def tell(text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"TOLD={text}".encode(), "\0" + os.environ["REACTOR_TEST_TELL"])


async def wait_at_the_door() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.setblocking(False)
        door.bind("\0" + os.environ["REACTOR_TEST_TELL"] + "/door")
        tell("held")
        await asyncio.get_running_loop().sock_recv(door, 1)


@slow.step
async def work(event: Event[KafkaRecord[Any]]) -> int:
    global began, ended
    began += 1
    if began == PLACES:
        await wait_at_the_door()
        opened.set()
    await opened.wait()
    ended += 1
    if ended % TOLD_EACH == 0:
        tell("more")
    return int(event.data.value["n"])
