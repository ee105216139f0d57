"""Rounds of the long run in which the disk is what fails: G2, G7, G8, G9. Each is judged at once."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Literal

from tests.torture.ailing_daemon import fail_daemon
from tests.torture.cuts import Cuts, record
from tests.torture.failures import calls_of_a_run, fail
from tests.torture.flood import Flood
from tests.torture.full_disk import CannotMount, fill_layered, fill_mounted
from tests.torture.round import Report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.torture.cuts import Loss

# cut: G2, so many power cuts of one recorded run. fail: G7, so many times every call to the disk of a store.
# ail: G7, the same of a daemon. fill: G8, so many daemons on a full disk. flood: G9, so many minutes.
DiskKind = Literal["cut", "fail", "ail", "fill", "flood"]

DELIVERIES = 8


def play(
    folder: Path, kind: DiskKind, seed: int, count: int, advance: Callable[[], object]
) -> Report:
    """Play one round in `folder`, which must not exist; `advance` is called `count` times."""
    folder.mkdir(parents=True)
    if kind == "cut":
        return asyncio.run(_cut(folder, seed, count, advance))
    if kind == "fail":
        return asyncio.run(_fail(folder, seed, count, advance))
    if kind == "ail":
        return _ail(folder, count, advance)
    if kind == "fill":
        return _fill(folder, count, advance)
    return asyncio.run(_flood(folder, count, advance))


async def _cut(folder: Path, seed: int, count: int, advance: Callable[[], object]) -> Report:
    recorded = await record(folder / "recorded", str(seed))
    scratch = folder / "cut"
    scratch.mkdir()
    cuts = Cuts(recorded, scratch)
    contents = await cuts.prepare()
    luck = random.Random(seed)
    positions = [luck.randint(0, len(recorded.entries)) for _ in range(count)]
    losses = await cuts.losses(positions, luck, progress=advance)
    for number, loss in enumerate(losses):
        _keep(folder / f"loss{number}", loss)
    return Report(
        findings=[str(loss) for loss in losses],
        figures={"cuts": count, "contents": contents, "writes": len(recorded.entries)},
    )


def _keep(folder: Path, loss: Loss) -> None:
    """Keep the disk that a cut left, for a person to open."""
    folder.mkdir()
    for name, content in loss.image.items():
        (folder / name).write_bytes(content)


async def _fail(folder: Path, seed: int, count: int, advance: Callable[[], object]) -> Report:
    findings, failures = [], 0
    for turn in range(count):
        name = f"{seed} {turn}"
        calls = await calls_of_a_run(folder / f"sound{turn}", name)
        for number in range(1, calls + 1):
            for lasts in (False, True):
                failed = await fail(folder / "failing", name, number, lasts=lasts)
                failures += failed.call is not None
                findings += [f"{finding} (call {number}, {lasts=})" for finding in failed.findings]
        advance()
    return Report(findings=findings, figures={"failures": failures})


def _ail(folder: Path, count: int, advance: Callable[[], object]) -> Report:
    findings, failures = [], 0
    for turn in range(count):
        number, has_failed = 0, True
        while has_failed:
            number += 1
            has_failed, found = fail_daemon(
                folder / f"{turn}-{number}", number, deliveries=DELIVERIES
            )
            failures += has_failed
            findings += [f"{finding} (call {number})" for finding in found]
        advance()
    return Report(findings=findings, figures={"daemons whose disk failed": failures})


def _fill(folder: Path, count: int, advance: Callable[[], object]) -> Report:
    """Fill real file systems where that is possible, and a layer besides; say how many of each."""
    findings: list[str] = []
    figures = {"full file systems": 0, "full layers": 0, "resumed within milliseconds": 0}
    for number in range(count):
        try:
            filled = fill_mounted(folder / f"mounted{number}")
            figures["full file systems"] += 1
        except CannotMount:
            filled = fill_layered(folder / f"layered{number}")
            figures["full layers"] += 1
        findings += filled.findings
        resumed = round(filled.resumed_after_seconds * 1000)
        figures["resumed within milliseconds"] = max(
            figures["resumed within milliseconds"], resumed
        )
        advance()
    return Report(findings=findings, figures=figures)


async def _flood(folder: Path, minutes: int, advance: Callable[[], object]) -> Report:
    flood = Flood(folder / "state", 60.0 * minutes)
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(_each_minute(minutes, advance), name="progress")
        await flood.run()
        watch.cancel()
    figures = {
        "events": flood.events,
        "reads": flood.reads,
        "largest journal in kB": flood.largest_journal_bytes // 1000,
        "longest answer in milliseconds": round(flood.longest_answer_seconds * 1000),
    }
    return Report(findings=flood.findings, figures=figures)


async def _each_minute(minutes: int, advance: Callable[[], object]) -> None:
    for _ in range(minutes):
        await asyncio.sleep(60)
        advance()
