"""G26: a workflow that floods, beside one that is quiet. The quiet one must hardly notice."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.torture.edges.load import Load, percentile
from tests.torture.edges.overload import TRIES
from tests.torture.edges.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.torture.edges.catalogue import Outcome

# G26. Below the 50 ms in which a webhook is promised its answer, nothing is called starved.
PROMISED_TIMES = 2.0
PROMPT_SECONDS = 0.05
RATE = 60.0
SLICE_SECONDS = 2.0
SLICES = 2
LEAD_SECONDS = 1.0
# By kind: how long a run of the flood takes, and how many are asked for in a second: about twice of what can be done
# by 64 places, or 64 threads. It is the places that are looked at and not the processor, of which no test has enough.
FLOODS = {"waits": (0.25, 400.0), "blocks": (0.25, 400.0)}
TOOK = """
SELECT (run.finished_at - run.created_at) / 1e6 FROM run JOIN event ON seq = event
WHERE workflow IN ('quiet', 'threaded') AND event.id LIKE ? AND run.finished_at IS NOT NULL
"""
PENDING = "SELECT count(*) FROM run WHERE state = 'pending'"


def noisy(folder: Path, size: int, luck: Random) -> Outcome:
    """The quiet workflow alone and in a flood by turns, `size` times for each kind of flood."""
    figures: dict[str, int] = {}
    with Stage(folder, "load_project.py") as stage:
        for number in range(size):
            for kind in FLOODS:
                tries = (_try(stage, kind, f"{kind}-{number}-{n}", figures) for n in range(TRIES))
                seen = []
                for alone, flooded in tries:
                    if flooded <= max(PROMISED_TIMES * alone, PROMPT_SECONDS):
                        break
                    seen.append(f"{1000 * flooded:.0f} ms, {1000 * alone:.0f} ms alone")
                else:
                    stage.findings.append(
                        f"G26: p99 of a quiet workflow where another {kind} in a flood: {'; '.join(seen)}"
                    )
    return stage.findings, figures


def _try(stage: Stage, kind: str, name: str, figures: dict[str, int]) -> tuple[float, float]:
    """Return the p99 in seconds of the quiet workflow's runs: alone, and in a flood."""
    took: dict[str, list[float]] = {"alone": [], "flooded": []}
    for part in range(SLICES):
        for state, found in took.items():
            label = f"{state}-{name}-{part}"
            waiting = asyncio.run(_slice(stage, label, kind if state == "flooded" else None))
            stage.settle()
            found += [row[0] for row in stage.select(TOOK, f"{label}-%")]
            key = f"longest line of {kind}"
            figures[key] = max(figures.get(key, 0), waiting)
    alone, flooded = (percentile(found, 0.99) for found in took.values())
    for state, p99 in (("alone", alone), (kind, flooded)):
        figures[f"p99 ms {state}"] = round(1000 * p99)
    return alone, flooded


async def _slice(stage: Stage, name: str, kind: str | None) -> int:
    """Fire the quiet workflow for a while. Return how many runs waited at the end."""
    port = urlsplit(stage.daemon.hooks).port or 0
    quiet = Load(port=port, path="/quiet", rate=RATE, body=_number, name=name, connections=4)
    if kind is None:
        await quiet.run(SLICE_SECONDS)
        return 0
    seconds, rate = FLOODS[kind]
    body = {"kind": kind, "seconds": seconds}
    flood = Load(port=port, path="/noisy", rate=rate, body=lambda _: body, name=f"flood-{name}")
    async with asyncio.TaskGroup() as group:
        group.create_task(flood.run(LEAD_SECONDS + SLICE_SECONDS), name="flood")
        await asyncio.sleep(LEAD_SECONDS)
        began = time.monotonic()
        await quiet.run(SLICE_SECONDS)
        waiting = stage.count(PENDING)
        stage.expect(time.monotonic() - began < 10 * SLICE_SECONDS, "the quiet one came to a stop")
        flood.is_over.set()
    return waiting


def _number(number: int) -> dict[str, object]:
    return {"n": number}
