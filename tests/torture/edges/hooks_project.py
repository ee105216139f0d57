"""The project that hostile HTTP clients are let loose on. Copied into a scenario's folder and run by `reactor run`."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Every, Webhook

EFFECTS = os.open(os.environ["EDGE_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
SCHEMES = ("standard", "github", "stripe", "slack", "shopify")

anyone = Webhook("/open", auth=None, name="open", deadline="5s")
signed = [
    Webhook(f"/{scheme}", scheme=scheme, secret=f"env:EDGE_{scheme.upper()}", name=scheme)
    for scheme in SCHEMES
]
plain = Webhook("/hmac", scheme="hmac", secret="env:EDGE_HMAC", name="hmac", prefix="sha256=")

deliveries = Workflow("deliveries", on=[anyone, *signed, plain])
# Raises for everything that has no `n`: such an event is a dead letter of this workflow alone.
picky = Workflow("picky", on=anyone.where(lambda event: event.data["n"] >= 0))
beat = Workflow("beat", on=Every("100ms", name="beat"))


@deliveries.step
async def note(event: Event[Any]) -> None:
    os.write(EFFECTS, json.dumps({"event": event.id, "sensor": event.source}).encode() + b"\n")


@picky.step
async def pick(event: Event[Any]) -> None:
    """Do nothing: that it is called at all is what is looked at."""


@beat.step
async def tick(event: Event[Any]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"TOLD=beat", "\0" + os.environ["REACTOR_TEST_TELL"])
