"""The project whose clock steps. Copied into a scenario's folder and run by `reactor run`."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Cron, Every

EFFECTS = os.open(os.environ["EDGE_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
BEAT_SECONDS = 0.1

ticks = Workflow(
    "ticks",
    on=[
        Every("5m", name="all", missed="all"),
        Every("5m", name="last", missed="last"),
        Every("5m", name="skip", missed="skip"),
        Cron("*/5 * * * *", name="cron", missed="all"),
    ],
)


@ticks.step
async def note(event: Event[Any]) -> None:
    os.write(EFFECTS, json.dumps({"event": event.id}).encode() + b"\n")
    tell("fired")


def tell(text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"TOLD={text}".encode(), "\0" + os.environ["REACTOR_TEST_TELL"])


def beat() -> None:
    """Tell the time that passes, whatever the clock shows."""
    while True:
        tell("beat")
        threading.Event().wait(BEAT_SECONDS)


threading.Thread(target=beat, daemon=True).start()
