"""The project that is loaded beyond what it can do. Copied into a scenario's folder and run by `reactor run`."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Every, Webhook

CALM = Webhook("/quiet", auth=None, name="quiet")
FLOOD = Webhook("/noisy", auth=None, name="noisy")

# What a flood may consist of: steps that wait, and steps that block a thread.
quiet = Workflow("quiet", on=CALM)
threaded = Workflow("threaded", on=CALM)
waits = Workflow(
    "waits", on=FLOOD.where(lambda event: event.data["kind"] == "waits"), concurrency=64
)
blocks = Workflow("blocks", on=FLOOD.where(lambda event: event.data["kind"] == "blocks"))
beat = Workflow("beat", on=Every("100ms", name="beat"))

WORK_SECONDS = 0.2
# So many of its runs end in a second: 30 / 0.2.
limited = Workflow(
    "limited", on=Webhook("/limited", auth=None, name="limited"), concurrency=30, pending=75
)


@quiet.step
async def note(event: Event[Any]) -> None:
    """Do nothing: how long it takes until that is done is what is looked at."""


@threaded.step
def note_in_thread(event: Event[Any]) -> None:
    """Do nothing, in a thread."""


@waits.step
async def wait(event: Event[Any]) -> None:
    await asyncio.sleep(event.data["seconds"])


@blocks.step
def block(event: Event[Any]) -> None:
    time.sleep(event.data["seconds"])


@limited.step
async def work(event: Event[Any]) -> None:
    await asyncio.sleep(WORK_SECONDS)


@beat.step
async def tick(event: Event[Any]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"TOLD=beat", "\0" + os.environ["REACTOR_TEST_TELL"])
