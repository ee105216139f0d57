"""A backlog: what a million waiting runs cost in memory, and how fast they drain. Linux.

The backlog is made by the engine itself, with the limit on pending runs lifted; then a real daemon starts over it.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvloop

from benchmarks.apart import apart, needs_linux, scratch
from benchmarks.bare_loop import PAYLOAD
from benchmarks.engine_load import engine_over
from benchmarks.figures import Figure, MeasurementError, Result
from benchmarks.process_figures import resident_mb
from reactor import Event
from reactor.daemon.project import load_project
from reactor.testing.process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.figures import Scale
    from reactor.engine.engine import Engine

BATCH = 500
LOOK_SECONDS = 0.2
_PROJECT = """\
from reactor import Event, Workflow
from reactor_sensors import Webhook

backlog = Workflow(
    "backlog", on=Webhook("/hook", auth=None), concurrency=256, pending=100_000_000
)

@backlog.step
async def first(event: Event) -> int:
    return 1

@backlog.step
async def second(first: int) -> int:
    return first + 1

@backlog.step
async def third(second: int) -> int:
    return second + 1
"""
_DONE = re.compile(r'^reactor_runs_total\{[^}]*outcome="succeeded"[^}]*\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many runs wait, and how many of them are watched while they drain."""

    pending: int
    drained: int


SIZES: Mapping[Scale, Size] = {
    "tiny": Size(pending=600, drained=300),
    "quick": Size(pending=50_000, drained=10_000),
    "full": Size(pending=1_000_000, drained=100_000),
}

PENDING = Figure(name="runs that wait", unit="runs")
ACCEPT_RATE = Figure(name="accepted into the backlog, 500 at a time", unit="events/s")
MEMORY = Figure(name="memory (RSS) of the engine with the backlog", unit="MB", at_most=300)
READY = Figure(name="daemon over the backlog, start to ready", unit="ms")
PEAK = Figure(name="memory (peak RSS) of the daemon while it drains", unit="MB", at_most=300)
DRAIN_RATE = Figure(name="runs of 3 steps while it drains", unit="runs/s")


def measure(size: Size) -> Result:
    """Make a backlog of `size.pending` runs and drain `size.drained` of them."""
    needs_linux("the backlog")
    with scratch() as directory:
        project = directory / "backlog.py"
        project.write_text(_PROJECT, encoding="utf-8")
        state = directory / "state"
        accepted_per_second, memory = apart(fill, project, state, size.pending)
        daemon = DaemonProcess(project, state=state)
        began = time.perf_counter()
        with daemon:
            ready = time.perf_counter() - began
            drained_per_second = _drain(daemon, size)
            peak = resident_mb(daemon.pid, peak=True)
    return Result(
        values={
            PENDING: size.pending,
            ACCEPT_RATE: accepted_per_second,
            MEMORY: memory,
            READY: ready * 1e3,
            PEAK: peak,
            DRAIN_RATE: drained_per_second,
        }
    )


def fill(project: Path, state: Path, count: int) -> tuple[float, float]:
    """Accept `count` events whose runs all wait; return events per second and the memory (MB) at the end."""
    return uvloop.run(_fill(project, state, count))


async def _fill(project: Path, state: Path, count: int) -> tuple[float, float]:
    loaded = load_project([project])
    if loaded.faults:
        raise MeasurementError(f"the benchmark's own project is wrong: {loaded.faults}")
    sensors = [*loaded.sensors.values()]
    # No place at all: whatever is accepted waits.
    async with engine_over(state, [*loaded.graphs.values()], sensors, most_running=0) as engine:
        began = time.perf_counter()
        for first in range(0, count, BATCH):
            await _accept(engine, sensors[0].sensor_name, first, min(BATCH, count - first))
        seconds = time.perf_counter() - began
        waiting = sum((await engine.store.pending_counts()).values())
        if waiting != count:
            raise MeasurementError(f"{waiting} runs wait; expected {count}")
        return count / seconds, resident_mb()


async def _accept(engine: Engine, sensor: str, first: int, count: int) -> None:
    now = engine.clock.now()
    events = [
        Event(id=str(number), source=sensor, type="test", time=now, data=PAYLOAD)
        for number in range(first, first + count)
    ]
    await engine.accept(sensor, events, {}, wait=True)
    await asyncio.sleep(0)


def _drain(daemon: DaemonProcess, size: Size) -> float:
    """Return runs per second, from the first look to the one that finds enough of them done."""
    began, before = time.perf_counter(), _done(daemon)
    while True:
        time.sleep(LOOK_SECONDS)
        now, done = time.perf_counter(), _done(daemon)
        if done >= min(before + size.drained, size.pending):
            return (done - before) / (now - began)


def _done(daemon: DaemonProcess) -> float:
    found = _DONE.search(daemon.get("/metrics").text)
    return float(found[1]) if found else 0.0
