"""The project whose steps hold the loop. Copied into a scenario's folder and run by `reactor run`."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Every, Webhook

EFFECTS = os.open(os.environ["EDGE_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
LOG = Path(os.environ["EDGE_LOG"])

blocker = Workflow("blocker", on=Webhook("/block", auth=None, name="block"))
deliveries = Workflow("deliveries", on=Webhook("/open", auth=None, name="open"))
beat = Workflow("beat", on=Every("100ms", name="beat"))


@blocker.step
async def hold(event: Event[Any]) -> None:
    tell("held")
    began_at = time.time()
    keep_loop(event.data["how"], event.data["seconds"])
    # Read before the loop is let go: what is there now was said while it was held.
    note(event, began_at=began_at, log_bytes=LOG.stat().st_size)


def keep_loop(how: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    if how == "sleep":
        time.sleep(seconds)  # sleeps here
    while time.monotonic() < until:
        pass  # computes here


@deliveries.step
async def take(event: Event[Any]) -> None:
    note(event)


@beat.step
async def tick(event: Event[Any]) -> None:
    tell("beat")


def note(event: Event[Any], **more: float) -> None:
    os.write(EFFECTS, json.dumps({"event": event.id, **more}).encode() + b"\n")


def tell(text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"TOLD={text}".encode(), "\0" + os.environ["REACTOR_TEST_TELL"])
