"""The project that is killed: each kind of trigger and step, with an effect of each execution outside the process.

It is copied into a round's folder and run by `reactor run`. The lines of its effect log are appended by single
writes to an O_APPEND file: what was written before a SIGKILL stays.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from typing import Any

from reactor import Context, Event, Retry, Workflow
from reactor_sensors import Every, FileArrived, Files, Webhook

EFFECTS = os.open(os.environ["TORTURE_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
# Long enough that kills find steps at work, short enough that few runs see three deaths in a row.
MOST_STEP_SECONDS = 0.02
SPREAD = 5


def effect(ctx: Context, events: list[Event[Any]], **got: str) -> str:
    """Do what a step is for: leave a line outside. Return a token that no other execution returns."""
    token = secrets.token_hex(8)
    line = {
        "run": ctx.run_id,
        "workflow": ctx.workflow,
        "step": ctx.step,
        "attempt": ctx.attempt,
        "key": ctx.idempotency_key,
        "events": [event.id for event in events],
        "got": got,
        "token": token,
    }
    os.write(EFFECTS, json.dumps(line).encode() + b"\n")
    return token


async def work(event: Event[Any]) -> None:
    """Take some time, which differs from event to event."""
    await asyncio.sleep(MOST_STEP_SECONDS * (sum(event.id.encode()) % SPREAD) / SPREAD)


def tell(text: str) -> None:
    """Send the driver a line, so that it need not look again and again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"TOLD={text}".encode(), "\0" + os.environ["REACTOR_TEST_TELL"])


inbox = Files("inbox/*.dat", name="inbox")
orders = Webhook("/orders", auth=None, name="orders")

order = Workflow("order", on=orders)
keyed = Workflow("keyed", on=orders.where(lambda event: event.data["n"] % 2 == 1).key("data.who"))
bulk = Workflow("bulk", on=orders.batch(20, within="200ms"))
arrival = Workflow("arrival", on=inbox)
large = Workflow("large", on=inbox.where(lambda event: event.data.size_bytes > 1000))
beat = Workflow("beat", on=Every("50ms", name="beat"))
pulse = Workflow("pulse", on=Every("200ms", name="pulse", missed="all"))


@order.step
async def take(event: Event[Any], ctx: Context) -> str:
    token = effect(ctx, [event])
    await work(event)
    return token


@order.step
def left(take: str, event: Event[Any], ctx: Context) -> str:
    return effect(ctx, [event], take=take)


@order.step(retry=Retry(attempts=3, first_delay="20ms", longest_delay="50ms"))
async def right(take: str, event: Event[Any], ctx: Context) -> str:
    token = effect(ctx, [event], take=take)
    await work(event)
    if event.data["n"] % 7 == 0 and ctx.attempt == 1:
        raise ConnectionError("the first attempt of every seventh fails")
    return token


@order.step
async def join(left: str, right: str, event: Event[Any], ctx: Context) -> str:
    token = effect(ctx, [event], left=left, right=right)
    tell("order")
    return token


@keyed.step
async def serve(event: Event[Any], ctx: Context) -> str:
    token = effect(ctx, [event])
    await work(event)
    return token


@bulk.step
async def load(events: list[Event[Any]], ctx: Context) -> str:
    token = effect(ctx, events)
    await work(events[0])
    return token


@arrival.step
def read(event: Event[FileArrived], ctx: Context) -> str:
    return effect(ctx, [event])


@arrival.step
async def report(read: str, event: Event[FileArrived], ctx: Context) -> str:
    token = effect(ctx, [event], read=read)
    await work(event)
    tell("arrival")
    return token


@large.step
async def weigh(event: Event[FileArrived], ctx: Context) -> str:
    return effect(ctx, [event])


@beat.step
async def tick(event: Event[Any], ctx: Context) -> str:
    token = effect(ctx, [event])
    tell("beat")
    return token


@pulse.step
async def toll(event: Event[Any], ctx: Context) -> str:
    token = effect(ctx, [event])
    await work(event)
    return token
