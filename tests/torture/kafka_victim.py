"""The project of a member of the group: it journals every record, and rings a bell for each batch of them.

It is copied into a round's folder and run by `reactor run`, in several processes with a store each.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Kafka

SERVERS = os.environ["TORTURE_SERVERS"]
TOPIC = os.environ["TORTURE_TOPIC"]
BELL = os.environ["TORTURE_BELL"]

records = Kafka(TOPIC, bootstrap_servers=SERVERS, group=TOPIC, session_timeout="3s", name="records")
gather = Workflow("gather", on=records.batch(500, within="100ms"))


@gather.step
async def ring(events: list[Event[Any]]) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):
        # A driver that has not come to listen yet is awake already.
        sender.sendto(b"1", socket.MSG_DONTWAIT, "\0" + BELL)
    return len(events)
