"""G16 for files and timers, which have nothing to parse: what a trigger cannot judge is parked, and blocks nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.torture.edges.hooks_cases import COMPARABLE, POISON_SHARE, PROMISED_SHARE
from tests.torture.edges.tree import FileStage

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.torture.edges.catalogue import Outcome

IN_PORTION = 1_000
PARKED = """
SELECT event.id FROM dead_letter JOIN event ON event.seq = dead_letter.event
WHERE dead_letter.workflow = ? AND reason = 'trigger_failed' AND event.seq <= ?
"""
RAN = """
SELECT event.id FROM run JOIN event ON event.seq = event
WHERE workflow = ? AND outcome = 'succeeded' AND event.seq <= ?
"""
# One in ten, by the period of the timer.
WHOLE_SECONDS = "SELECT id FROM event WHERE sensor = 'beat' AND time % 1000000 = 0 AND seq <= ?"
OTHERS = "SELECT id FROM event WHERE sensor = 'beat' AND time % 1000000 <> 0 AND seq <= ?"
NEWEST = "SELECT max(seq) FROM event"


def misfits(folder: Path, size: int, luck: Random) -> Outcome:
    """`size` files that suit, and as many of which one in a hundred makes a trigger fail, as do some instants."""
    seconds = {"clean": 0.0, "poisoned": 0.0}
    with FileStage(folder, "misfits_project.py") as stage:
        for first in range(0, size, IN_PORTION):
            for kind in seconds:
                seconds[kind] += _timed(stage, kind, first, min(IN_PORTION, size - first), luck)
        stage.until(
            lambda: bool(stage.select(WHOLE_SECONDS, stage.count(NEWEST))), "a whole second"
        )
        newest = stage.count(NEWEST)
        stage.settle()
        stage.judge()
        tree = str(folder / "tree")
        files = {row.id: row.data["path"].removeprefix(tree) for row in stage.rows("tree")}
        bad = {name for name, path in files.items() if "/misfit" in path}
        _judge(stage, "picky", newest, bad=bad, good=files.keys() - bad)
        whole, others = (
            {name for (name,) in stage.select(query, newest)} for query in (WHOLE_SECONDS, OTHERS)
        )
        _judge(stage, "fussy", newest, bad=whole, good=others)
    share = round(100 * seconds["clean"] / seconds["poisoned"])
    if size >= COMPARABLE:
        stage.expect(share >= PROMISED_SHARE, f"G16: only {share} % of the clean throughput")
    figures = {"files": len(files), "misfits": len(bad), "instants": len(whole) + len(others)}
    return stage.findings, {**figures, "misfit instants": len(whole), "lowest % of clean": share}


def _timed(stage: FileStage, kind: str, first: int, size: int, luck: Random) -> float:
    """Publish files and wait until all have arrived; return how long that took."""
    place = stage.folder / "tree" / f"{kind}{first}"
    place.mkdir()
    misfits = {number for number in range(size) if luck.random() < POISON_SHARE} or {0}
    began = time.monotonic()
    versions = []
    for number in range(size):
        is_bad = kind == "poisoned" and number in misfits
        name = f"misfit{number}" if is_bad else f"f{number}"
        versions.append(stage.publish(place / name, b"%d" % number))
    stage.until(lambda: stage.all_arrived(versions), "files, misfits among them")
    return time.monotonic() - began


def _judge(stage: FileStage, workflow: str, newest: int, *, bad: set[str], good: set[str]) -> None:
    """Up to an event: each that makes the trigger fail is parked once, each other one has run once."""
    for what, query, expected in (("parked", PARKED, bad), ("run", RAN, good)):
        found = [name for (name,) in stage.select(query, workflow, newest)]
        stage.expect_none([*expected.difference(found)], f"of {workflow} not {what}")
        stage.expect_none([*set(found) - expected], f"of {workflow} {what} and should not")
        stage.expect(len(found) == len(set(found)), f"of {workflow} some are {what} twice")
    stage.expect(bool(bad and good), f"{len(bad)} bad and {len(good)} good of {workflow}: no test")
