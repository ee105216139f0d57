"""The project whose runs an upgrade finds in every state. Copied into a folder and run by `reactor run`.

Where UPGRADE_HOLD is set it is the life that will be killed: steps stop in their middle and tell so.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from typing import Any

from reactor import Context, Event, Reject, Retry, Workflow
from reactor_sensors import Every, FileArrived, Files, Webhook

EFFECTS = os.open(os.environ["UPGRADE_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
IS_HELD = "UPGRADE_HOLD" in os.environ

orders = Webhook("/orders", auth=None, name="orders")
deadly = Webhook("/deadly", auth=None, name="deadly")


def tell(text: str) -> None:
    """Send the driver a line, so that it need not look again and again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"TOLD={text}".encode(), "\0" + os.environ["REACTOR_TEST_TELL"])


def effect(ctx: Context) -> str:
    """Leave a line outside, and return what is the same on every attempt."""
    line = {"run": ctx.run_id, "step": ctx.step, "key": ctx.idempotency_key}
    os.write(EFFECTS, json.dumps(line).encode() + b"\n")
    return ctx.idempotency_key


async def hold(what: str) -> None:
    """Stand still in the life that will be killed."""
    if IS_HELD:
        tell(f"held {what}")
        await asyncio.Event().wait()


chain = Workflow("chain", on=orders.where(lambda event: event.data["to"] == "chain"))
patient = Workflow("patient", on=orders.where(lambda event: event.data["to"] == "patient"))
single = Workflow(
    "single", on=orders.where(lambda event: event.data["to"] == "single"), concurrency=1
)
keyed = Workflow(
    "keyed", on=orders.where(lambda event: event.data["to"] == "keyed").key("data.who")
)
bulk = Workflow(
    "bulk",
    on=orders.where(lambda event: event.data["to"] == "bulk").batch(3, within="60s"),
)
failing = Workflow("failing", on=orders.where(lambda event: event.data["to"] == "failing"))
fatal = Workflow("fatal", on=deadly)
arrival = Workflow("arrival", on=Files("inbox/*.txt", name="inbox"))
beat = Workflow("beat", on=Every("200ms", name="beat"))


@chain.step
async def take(event: Event[Any], ctx: Context) -> str:
    return effect(ctx)


@chain.step
def left(take: str, ctx: Context) -> str:
    return effect(ctx)


@chain.step
async def right(take: str, ctx: Context) -> str:
    await hold("right")
    return effect(ctx)


@chain.step
async def join(left: str, right: str, ctx: Context) -> list[str]:
    effect(ctx)
    return [left, right]


@patient.step(retry=Retry(attempts=3, first_delay="30s", longest_delay="30s"))
async def insist(event: Event[Any], ctx: Context) -> str:
    if ctx.attempt == 1:
        raise ConnectionError("the first attempt fails")
    return effect(ctx)


@single.step
async def serve(event: Event[Any], ctx: Context) -> str:
    await hold("single")
    return effect(ctx)


@keyed.step
async def visit(event: Event[Any], ctx: Context) -> str:
    await hold(f"keyed {event.data['who']}")
    return effect(ctx)


@bulk.step
async def load(events: list[Event[Any]], ctx: Context) -> int:
    await hold("bulk")
    effect(ctx)
    return len(events)


@failing.step
async def refuse(event: Event[Any]) -> None:
    raise Reject("no attempt can help")


@failing.step
async def never(refuse: None) -> None:
    """Skipped, because the step before it fails."""


@fatal.step
async def die(event: Event[Any], ctx: Context) -> str:
    if IS_HELD:
        os.kill(os.getpid(), signal.SIGKILL)
    return effect(ctx)


@arrival.step
def read(event: Event[FileArrived], ctx: Context) -> str:
    return effect(ctx)


@beat.step
async def tick(event: Event[Any]) -> None:
    tell("beat")
