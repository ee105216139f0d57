"""Heartbeat: once a second, how much is free on the disk that the daemon works on."""

from __future__ import annotations

import shutil
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Every

heartbeat = Workflow(
    "heartbeat",
    on=Every("1s"),
    owner="platform@example.com",
    description="Note once a second how much space is free.",
)


@heartbeat.step
def measure() -> int:
    return shutil.disk_usage(".").free


@heartbeat.step
async def beat(measure: int, event: Event[Any]) -> str:
    return f"{event.time:%H:%M:%S}: {measure / 2**30:.1f} GiB free"
