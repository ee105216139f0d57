"""G25: five times of what can be done is asked for; what can be done still is, and soon all is well again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.torture.edges.load import Load, percentile
from tests.torture.edges.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from random import Random

    from tests.torture.edges.catalogue import Outcome
    from tests.torture.edges.load import Shot

# Noise makes a try worse, hardly ever better: one good try of three is enough, a real loss shows in all.
TRIES = 3
# The project's `limited`: 30 runs at once of 0.2 s each. Its steps wait, so that a slow machine has the same capacity.
CAPACITY = 150.0
# Of the capacity.
CALM, PEAK, OVERLOAD = 0.5, 1.2, 5.0
PHASE_SECONDS = 4.0
# The first part of a phase is what the one before it left.
LEAD_SECONDS = 1.0
# G25.
PROMISED_GOODPUT = 0.9
PROMISED_NORMAL_SECONDS = 10.0
# What a run may take when all is well again, as a multiple of what it took before.
NORMAL_TIMES = 1.5
# A refusal must not be waited out in vain, and it must not send anybody away for long.
MOST_RETRY_SECONDS = 10

ENDED = """
SELECT count(*) FROM run WHERE workflow = 'limited' AND outcome = 'succeeded' AND finished_at BETWEEN ? AND ?
"""
TOOK = """
SELECT event.id, (run.finished_at - run.created_at) / 1e6 FROM run JOIN event ON seq = event
WHERE workflow = 'limited' AND event.id LIKE ? AND run.finished_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A time of one rate. Instants are microseconds since 1970; the lead is left out."""

    name: str
    begun_at: int
    ended_at: int
    shots: Sequence[Shot]

    def goodput(self, stage: Stage) -> float:
        """Return how many runs ended well in a second."""
        ended = stage.count(ENDED, self.begun_at, self.ended_at)
        return ended * 1e6 / (self.ended_at - self.begun_at)


def overload(folder: Path, size: int, luck: Random) -> Outcome:
    """Webhooks at five times the capacity of their workflow, `size` times."""
    figures = {"requests": 0, "refused": 0, "lowest % of peak": 100, "longest until normal ms": 0}
    with Stage(folder, "load_project.py") as stage:
        for number in range(size):
            findings: list[str] = []
            for attempt in range(TRIES):
                findings = _try(stage, f"{number}-{attempt}", figures)
                if not findings:
                    break
            stage.findings += findings
    return stage.findings, figures


def _try(stage: Stage, name: str, figures: dict[str, int]) -> list[str]:
    """Play calm, peak, overload, calm. Return what was not as promised."""
    before = _phase(stage, f"before-{name}", CALM)
    peak = _phase(stage, f"peak-{name}", PEAK)
    over = _phase(stage, f"over-{name}", OVERLOAD)
    after = _phase(stage, f"after-{name}", CALM, seconds=PROMISED_NORMAL_SECONDS + LEAD_SECONDS)
    stage.settle()
    refused = [shot for shot in over.shots if shot.status != 202]
    share = over.goodput(stage) / peak.goodput(stage)
    normal = _normal_after(stage, before, after)
    figures["requests"] += len(over.shots)
    figures["refused"] += len(refused)
    figures["lowest % of peak"] = round(100 * share)
    figures["longest until normal ms"] = round(1000 * normal)
    findings = [*_dishonest(over, refused)]
    if share < PROMISED_GOODPUT:
        findings.append(
            f"G25: {over.goodput(stage):.0f} runs a second in an overload, {peak.goodput(stage):.0f} at the peak"
        )
    if normal > PROMISED_NORMAL_SECONDS:
        findings.append(f"G25: not normal within {PROMISED_NORMAL_SECONDS:.0f} s of an overload")
    return findings


def _phase(stage: Stage, name: str, load: float, *, seconds: float = PHASE_SECONDS) -> Phase:
    begun_at = time.time_ns() // 1000
    shots = asyncio.run(
        Load(
            port=urlsplit(stage.daemon.hooks).port or 0,
            path="/limited",
            rate=CAPACITY * load,
            body=lambda number: {"n": number},
            name=name,
        ).run(seconds)
    )
    lead = round(LEAD_SECONDS * 1e6)
    return Phase(name=name, begun_at=begun_at + lead, ended_at=time.time_ns() // 1000, shots=shots)


def _dishonest(over: Phase, refused: Sequence[Shot]) -> list[str]:
    """Return what is wrong with the refusals: whoever waits as told must find that others were taken meanwhile."""
    if not refused:
        return [f"nobody was refused in {over.name}: it was no overload"]
    findings = []
    strange = {shot.status for shot in over.shots} - {202, 503}
    if strange:
        findings.append(f"G25: answers {sorted(strange)} in an overload")
    taken = sorted(shot.read_at for shot in over.shots if shot.status == 202)
    gap = max((later - at for at, later in pairwise(taken)), default=60.0)
    for shot in refused:
        told = shot.retry_after or ""
        if not told.isdecimal() or not max(1.0, gap - 1.0) <= int(told) <= MOST_RETRY_SECONDS:
            findings.append(
                f"G25: {shot.status} with Retry-After {told!r}; there was room every {gap:.2f} s"
            )
            break
    return findings


def _normal_after(stage: Stage, before: Phase, after: Phase) -> float:
    """Return the seconds after which every delivery was taken and its run took no longer than before the overload."""
    usual = percentile([took for _, took in stage.select(TOOK, f"{before.name}-%")], 0.9)
    took = dict(stage.select(TOOK, f"{after.name}-%"))
    first = min(shot.due_at for shot in after.shots)
    late = [
        shot.due_at - first
        for shot in after.shots
        if shot.status != 202 or took[shot.delivery] > NORMAL_TIMES * usual
    ]
    # A single run may be late on a busy machine; the last but a few counts.
    late.sort()
    spare = len(after.shots) // 50
    return late[-1 - spare] if len(late) > spare else 0.0
