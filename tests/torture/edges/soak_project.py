"""The project that runs for long: every sensor that needs no broker, each kind of trigger and step.

Copied into a scenario's folder and run by `reactor run`. With SOAK_LEAKS set, its steps leak memory, tasks, descriptors
and threads, to prove that leaks are found.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import threading
from typing import Any

from reactor import Context, Event, Retry, Workflow
from reactor.api import Outgoing
from reactor_sensors import Every, FileArrived, Files, Webhook

GAUGES = os.open(os.environ["EDGE_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
LEAKS = "SOAK_LEAKS" in os.environ
LEAKED_BYTES = 50_000
kept: list[object] = []

inbox = Files("inbox/*.dat", name="inbox")
orders = Webhook("/orders", auth=None, name="orders")

order = Workflow("order", on=orders)
keyed = Workflow("keyed", on=orders.key("data.who"))
bulk = Workflow("bulk", on=orders.batch(20, within="1s"))
arrival = Workflow("arrival", on=inbox)
minute = Workflow("minute", on=Every("5s", name="minute"))
gauge = Workflow("gauge", on=Every("500ms", name="gauge"))
beat = Workflow("beat", on=Every("100ms", name="beat"))


@order.step
async def take(event: Event[Any], ctx: Context) -> int:
    ctx.emit(Outgoing(outlet="soak", options="{}", target="t", payload=b"x"))
    await asyncio.sleep(0.005)
    if LEAKS:
        kept.append(bytearray(os.urandom(LEAKED_BYTES)))
    return int(event.data["n"])


@order.step
def left(take: int) -> int:
    return take


@order.step(retry=Retry(attempts=3, first_delay="20ms", longest_delay="50ms"))
async def right(take: int, ctx: Context) -> int:
    if take % 7 == 0 and ctx.attempt == 1:
        raise ConnectionError("the first attempt of every seventh fails")
    return take


@order.step(timeout="5s")
async def join(left: int, right: int) -> list[int]:
    return [left, right]


@keyed.step
async def serve(event: Event[Any]) -> None:
    """Do nothing."""


@bulk.step
async def load(events: list[Event[Any]]) -> int:
    return len(events)


@arrival.step
def read(event: Event[FileArrived]) -> int:
    with event.data.open() as file:
        return len(file.read())


@minute.step(executor="process")
def far(event: Event[Any]) -> int:
    return os.getpid()


@gauge.step
async def look(event: Event[Any]) -> None:
    if LEAKS:
        leak()
    line = {"tasks": len(asyncio.all_tasks()), "objects": len(gc.get_objects())}
    os.write(GAUGES, json.dumps(line).encode() + b"\n")


def leak() -> None:
    """Leave something of each kind behind that nobody ends or closes."""
    kept.append(asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="leaked"))
    kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
    kept.append(thread)


@beat.step
async def tick(event: Event[Any]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"TOLD=beat", "\0" + os.environ["REACTOR_TEST_TELL"])
