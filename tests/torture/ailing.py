"""The project of a daemon whose disk fails or fills up: one webhook, one workflow of two steps.

`reactor run` loads it before it opens the store, and so it can put a layer under it. $TORTURE_DISK says which:
`fail N` lets the N-th call fail, and all later ones; `room N` has no more room than N bytes until there is a file
$TORTURE_NOTES/more. What the disk did is noted in $TORTURE_NOTES.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from reactor import Event, Workflow
from reactor_sensors import Webhook
from tests.torture.disks import FailingDisk, IdleDisk, SmallDisk
from tests.torture.vfs import install

NOTES = Path(os.environ["TORTURE_NOTES"])


def note_failure(call: str, name: str) -> None:
    """Tell when the disk failed, on the clock that all processes share."""
    draft = NOTES / "failed.new"
    draft.write_text(f"{time.monotonic_ns()} {call} {name}")
    draft.replace(NOTES / "failed")


kind, _, number = os.environ.get("TORTURE_DISK", "").partition(" ")
if kind == "fail":
    failing = FailingDisk(IdleDisk(), int(number), lasts=True, tell=note_failure)
    install(Path(os.environ["TORTURE_STATE"]), failing)
elif kind == "room":
    small = SmallDisk(IdleDisk(), int(number), has_more=(NOTES / "more").exists)
    install(Path(os.environ["TORTURE_STATE"]), small)

orders = Webhook("/orders", auth=None, name="orders")
order = Workflow("order", on=orders)


@order.step
async def read(event: Event[Any]) -> int:
    return len(event.data["text"])


@order.step
async def keep(read: int, event: Event[Any]) -> str:
    return str(event.data["text"])
