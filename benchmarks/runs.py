"""Durable runs of three steps: how many per second with many in flight, and how long one alone takes."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvloop

from benchmarks import bare_loop, engine_load
from benchmarks.apart import apart, scratch
from benchmarks.figures import Figure, Result, quantile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.bare_loop import Load
    from benchmarks.figures import Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many runs, and how many of them at any time."""

    runs: int
    in_flight: int


MANY: Mapping[Scale, Size] = {
    "tiny": Size(runs=40, in_flight=8),
    "quick": Size(runs=6_000, in_flight=256),
    "full": Size(runs=30_000, in_flight=256),
}
ALONE: Mapping[Scale, Size] = {
    "tiny": Size(runs=5, in_flight=1),
    "quick": Size(runs=300, in_flight=1),
    "full": Size(runs=1_000, in_flight=1),
}

BARE_RATE = Figure(name="bare loop", unit="runs/s")
RATE = Figure(name="Reactor", unit="runs/s", at_least=6_000)
RATIO = Figure(name="Reactor to the bare loop", unit="×")
P50 = Figure(name="Reactor, accept to last step durable, p50", unit="ms")
P99 = Figure(name="Reactor, accept to last step durable, p99", unit="ms")
CPU = Figure(name="Reactor, processor per run", unit="µs")
LOOP_CPU = Figure(name="Reactor, of that in the loop's thread", unit="µs")
BARE_ALONE = Figure(name="bare loop, median", unit="ms")
ALONE_RATIO = Figure(name="Reactor to the bare loop, time", unit="×")
ALONE_P50 = Figure(name="Reactor, median", unit="ms", at_most=2.0)
ALONE_P99 = Figure(name="Reactor, p99", unit="ms")


def measure_many(size: Size) -> Result:
    """Measure throughput with `size.in_flight` runs at any time: the bare loop, then Reactor."""
    bare, reactor = _both(size)
    return Result(
        values={
            BARE_RATE: bare.per_second,
            RATE: reactor.per_second,
            RATIO: reactor.per_second / bare.per_second,
            P50: quantile(reactor.latencies_ms, 0.5),
            P99: quantile(reactor.latencies_ms, 0.99),
            CPU: reactor.cpu_seconds / size.runs * 1e6,
            LOOP_CPU: reactor.loop_cpu_seconds / size.runs * 1e6,
        }
    )


def measure_alone(size: Size) -> Result:
    """Measure how long a run takes when there is no other: the bare loop, then Reactor."""
    bare, reactor = _both(size)
    alone = statistics.median(reactor.latencies_ms)
    return Result(
        values={
            BARE_ALONE: statistics.median(bare.latencies_ms),
            ALONE_P50: alone,
            ALONE_RATIO: alone / statistics.median(bare.latencies_ms),
            ALONE_P99: quantile(reactor.latencies_ms, 0.99),
        }
    )


def _both(size: Size) -> tuple[Load, Load]:
    with scratch() as bare, scratch() as reactor:
        return apart(drive_bare_loop, bare, size), apart(drive_reactor, reactor, size)


def drive_bare_loop(directory: Path, size: Size) -> Load:
    """Measure the bare loop in this process."""
    return uvloop.run(bare_loop.drive(directory, runs=size.runs, in_flight=size.in_flight))


def drive_reactor(directory: Path, size: Size) -> Load:
    """Measure the engine in this process."""
    return uvloop.run(engine_load.drive(directory, runs=size.runs, in_flight=size.in_flight))
