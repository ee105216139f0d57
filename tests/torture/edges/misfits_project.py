"""The project whose triggers fail for some events. Copied into a scenario's folder and run by `reactor run`."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Every, FileArrived, Files

EFFECTS = os.open(os.environ["EDGE_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

arrived = Files("tree/**/*", name="tree", rescan="500ms")
every = Every("100ms", name="beat")


def suits(event: Event[FileArrived]) -> bool:
    if os.path.basename(event.data.path).startswith("misfit"):
        raise ValueError("this file is a misfit")
    return True


def is_between_seconds(event: Event[Any]) -> bool:
    if not event.time.microsecond:
        raise ValueError("this instant is a misfit")
    return True


# The first takes every file, whatever the second makes of it.
arrivals = Workflow("arrivals", on=arrived)
picky = Workflow("picky", on=arrived.where(suits))
fussy = Workflow("fussy", on=every.where(is_between_seconds))
beat = Workflow("beat", on=every)


@arrivals.step
def read(event: Event[FileArrived]) -> None:
    with event.data.open() as file:
        content = file.read().decode("latin-1")
    os.write(EFFECTS, json.dumps({"event": event.id, "content": content}).encode() + b"\n")


@picky.step
async def pick(event: Event[FileArrived]) -> None:
    """Do nothing: that it is called at all is what is looked at."""


@fussy.step
async def fuss(event: Event[Any]) -> None:
    """Do nothing."""


@beat.step
async def tick(event: Event[Any]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"TOLD=beat", "\0" + os.environ["REACTOR_TEST_TELL"])
