"""Durable runs of three steps: how many per second with many in flight, and how long one alone takes."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import uvloop

from benchmarks import bare_loop, engine_load
from benchmarks.apart import apart, free_port, scratch
from benchmarks.figures import Figure, Result, quantile
from benchmarks.peer import or_missing, run_peer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.bare_loop import Load
    from benchmarks.figures import Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many runs, and how many of them at any time; fewer for peers, which would take hours for as many."""

    runs: int
    in_flight: int
    dbos_runs: int
    prefect_runs: int
    prefect_in_flight: int


def _size(
    runs: int, in_flight: int, dbos_runs: int, prefect_runs: int, prefect_in_flight: int
) -> Size:
    return Size(
        runs=runs,
        in_flight=in_flight,
        dbos_runs=dbos_runs,
        prefect_runs=prefect_runs,
        prefect_in_flight=prefect_in_flight,
    )


MANY: Mapping[Scale, Size] = {
    "tiny": _size(40, 8, 16, 2, 2),
    "quick": _size(6_000, 256, 300, 10, 8),
    "full": _size(30_000, 256, 600, 30, 8),
}
ALONE: Mapping[Scale, Size] = {
    "tiny": _size(5, 1, 3, 2, 1),
    "quick": _size(300, 1, 50, 5, 1),
    "full": _size(1_000, 1, 100, 10, 1),
}

BARE_RATE = Figure(name="bare loop", unit="runs/s")
RATE = Figure(name="Reactor", unit="runs/s", at_least=15_000)
RATIO = Figure(name="Reactor to the bare loop", unit="×", at_least=0.4)
P50 = Figure(name="Reactor, accept to last step durable, p50", unit="ms")
P99 = Figure(name="Reactor, accept to last step durable, p99", unit="ms")
CPU = Figure(name="Reactor, processor per run", unit="µs")
LOOP_CPU = Figure(name="Reactor, of that in the loop's thread", unit="µs")
BARE_ALONE = Figure(name="bare loop, median", unit="ms")
ALONE_RATIO = Figure(name="Reactor to the bare loop, time", unit="×")
ALONE_P50 = Figure(name="Reactor, median", unit="ms", at_most=1.5)
ALONE_P99 = Figure(name="Reactor, p99", unit="ms")
# As the documentation sets it up; and with the one change that a file of SQLite takes by itself.
DBOS_MODES = {"delete": "DBOS on SQLite", "wal": "DBOS on SQLite in WAL mode"}
DBOS_RATES = {mode: Figure(name=name, unit="runs/s") for mode, name in DBOS_MODES.items()}
DBOS_ALONE = {mode: Figure(name=f"{name}, median", unit="ms") for mode, name in DBOS_MODES.items()}
PREFECT_RATE = Figure(name="Prefect and its server, 8 in flight", unit="runs/s")
PREFECT_ALONE = Figure(name="Prefect and its server, median", unit="ms")
PEER_SECONDS = 300.0


def measure_many(size: Size, *, peers: bool) -> Result:
    """Measure throughput with `size.in_flight` runs at any time: the bare loop, Reactor, then peers."""
    bare, reactor = _both(size)
    result = Result(
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
    return result | _peers(size, DBOS_RATES, PREFECT_RATE) if peers else result


def measure_alone(size: Size, *, peers: bool) -> Result:
    """Measure how long a run takes when there is no other: the bare loop, Reactor, then peers."""
    bare, reactor = _both(size)
    alone = statistics.median(reactor.latencies_ms)
    result = Result(
        values={
            BARE_ALONE: statistics.median(bare.latencies_ms),
            ALONE_P50: alone,
            ALONE_RATIO: alone / statistics.median(bare.latencies_ms),
            ALONE_P99: quantile(reactor.latencies_ms, 0.99),
        }
    )
    return result | _peers(size, DBOS_ALONE, PREFECT_ALONE) if peers else result


def _peers(size: Size, dbos: Mapping[str, Figure], prefect: Figure) -> Result:
    """Return what each peer prints: runs per second, or the median of one run alone."""
    result = Result(values={})
    for mode, figure in dbos.items():
        result |= or_missing(figure, partial(_dbos, size, mode))
    return result | or_missing(prefect, partial(_prefect, size))


def _dbos(size: Size, mode: str) -> float:
    with scratch() as directory:
        return run_peer(
            *("dbos", "dbos_runs.py", str(directory), mode),
            *(str(size.dbos_runs), str(size.in_flight)),
            seconds=PEER_SECONDS,
        )


def _prefect(size: Size) -> float:
    with scratch() as directory:
        return run_peer(
            *("prefect", "prefect_flows.py", str(directory), str(free_port())),
            *(str(size.prefect_runs), str(size.prefect_in_flight)),
            seconds=PEER_SECONDS,
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
