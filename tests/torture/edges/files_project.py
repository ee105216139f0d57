"""The project that hostile folders are thrown at. Copied into a scenario's folder and run by `reactor run`."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Every, FileArrived, Files

EFFECTS = os.open(os.environ["EDGE_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
MOST_BYTES = 1024 * 1024

# Scans all the time: most of what a race can hit is a scan.
tree = Files("tree/**/*", name="tree", rescan="50ms")
closed = Files("closed/*.dat", name="closed", settle="100ms", rescan="50ms")
renamed = Files("renamed/*.dat", name="renamed", ready="renamed", settle="100ms", rescan="50ms")
marked = Files("marked/*.dat", name="marked", ready="marker:.done", settle="100ms", rescan="50ms")

arrivals = Workflow("arrivals", on=[tree, closed, renamed, marked])
beat = Workflow("beat", on=Every("100ms", name="beat"))


@arrivals.step
def read(event: Event[FileArrived]) -> None:
    try:
        with event.data.open() as file:
            content = file.read(MOST_BYTES).decode("latin-1")
    except OSError as error:
        content = f"{type(error).__name__}: gone or swapped"
    os.write(EFFECTS, json.dumps({"event": event.id, "content": content}).encode() + b"\n")


@beat.step
async def tick(event: Event[Any]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"TOLD=beat", "\0" + os.environ["REACTOR_TEST_TELL"])
