"""G32: however many names there are, the page of metrics stays small and quick."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from reactor.telemetry import Metrics

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.torture.edges.catalogue import Outcome

MOST_SERIES = 2_000
MOST_SCRAPE_SECONDS = 0.05
# The quickest counts, in time of the processor: what else runs on the machine is not the daemon's cost.
SCRAPES = 10


def series(folder: Path, size: int, luck: Random) -> Outcome:
    """`size` names of sensors, workflows, steps, reasons and outcomes, none of them twice."""
    metrics = Metrics(release="0")
    for number in range(size):
        name = f"{luck.randrange(10**9)}/{number}"
        metrics.events_accepted.add((name,))
        metrics.requests_shed.add((name,))
        metrics.dead_letters.add((name, name))
        metrics.runs.add((name, name))
        metrics.steps.add((name, name, name))
        metrics.step_duration.observe((name, name), 0.2)
        metrics.event_latency.observe((name,), 0.2)
    took: list[float] = []
    page = b""
    for _ in range(SCRAPES):
        began = time.thread_time()
        page, _ = metrics.render()
        took.append(time.thread_time() - began)
    lines = [line for line in page.decode().splitlines() if not line.startswith("#")]
    counted = sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("reactor_events_accepted_total{")
    )
    findings = []
    if len(lines) > MOST_SERIES:
        findings.append(f"{len(lines)} series, more than {MOST_SERIES}")
    if min(took) > MOST_SCRAPE_SECONDS:
        findings.append(f"a scrape took {min(took):.3f} s, more than {MOST_SCRAPE_SECONDS} s")
    if counted != size:
        findings.append(f"{counted:.0f} of {size} were counted")
    return findings, {
        "names": size,
        "longest page": len(lines),
        "longest scrape ms": round(1000 * min(took)),
    }
