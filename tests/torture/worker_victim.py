"""The project whose steps run in worker processes, which log what they do themselves and may outlive their daemon.

It is copied into a round's folder and run by `reactor run`; each worker process imports it, too.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from typing import Any

from reactor import Context, Event, Retry, Workflow
from reactor_sensors import Every, Webhook

EFFECTS = os.open(os.environ["TORTURE_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
# The daemon is the first to import this; its workers inherit what it says here.
DAEMON = os.environ.setdefault("TORTURE_DAEMON", str(os.getpid()))
MOST_STEP_SECONDS = 0.1
SPREAD = 7


def effect(ctx: Context, event: Event[Any], **got: str) -> str:
    """Leave a line outside. Return a token that no other execution returns."""
    token = secrets.token_hex(8)
    log(
        run=ctx.run_id,
        workflow=ctx.workflow,
        step=ctx.step,
        attempt=ctx.attempt,
        key=ctx.idempotency_key,
        events=[event.id],
        got=got,
        token=token,
    )
    return token


def log(**line: Any) -> None:
    more = {"daemon": DAEMON, "worker": os.getpid(), "at": time.monotonic()}
    os.write(EFFECTS, json.dumps({**line, **more}).encode() + b"\n")


def work(event: Event[Any], token: str) -> str:
    """Take some time, which differs from event to event; tell and log that it began and that it ended."""
    tell(f"at {os.getpid()}")
    tell("began")
    time.sleep(MOST_STEP_SECONDS * (sum(event.id.encode()) % SPREAD) / SPREAD)
    log(ended=token)
    tell("ended")
    return token


def tell(text: str) -> None:
    """Send the driver a line, so that it need not look again and again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"TOLD={text}".encode(), "\0" + os.environ["REACTOR_TEST_TELL"])


# So few at once that few runs see three deaths in a row.
job = Workflow("job", on=Webhook("/orders", auth=None, name="orders"), concurrency=6)
beat = Workflow("beat", on=Every("100ms", name="beat"))
patient = Retry(attempts=6, first_delay="20ms", longest_delay="50ms")


@job.step(executor="process", retry=patient)
def crunch(event: Event[Any], ctx: Context) -> str:
    return work(event, effect(ctx, event))


@job.step(executor="process", retry=patient)
def polish(crunch: str, event: Event[Any], ctx: Context) -> str:
    return work(event, effect(ctx, event, crunch=crunch))


@job.step
async def close(polish: str, event: Event[Any], ctx: Context) -> str:
    return effect(ctx, event, polish=polish)


@beat.step
async def tick(event: Event[Any], ctx: Context) -> str:
    token = effect(ctx, event)
    tell("beat")
    return token
