"""A daemon that has nothing to do: how soon it is ready, what it holds, what it burns. Linux."""

from __future__ import annotations

import compileall
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from benchmarks.apart import needs_linux, scratch
from benchmarks.figures import Figure, Result
from benchmarks.process_figures import cpu_seconds, resident_mb
from reactor.testing.process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.figures import Scale

# All three kinds of sensors, none of which has anything to tell meanwhile.
_PROJECT = """\
from reactor import Event, Workflow
from reactor_sensors import Every, Files, Webhook

arrivals = Workflow("arrivals", on=Files("inbox/*.csv"))
hooks = Workflow("hooks", on=Webhook("/hook", scheme="github", secret="env:BENCH_SECRET"))
hourly = Workflow("hourly", on=Every("1h"))

@arrivals.step
async def load(event: Event) -> None: ...

@hooks.step
async def take(event: Event) -> None: ...

@hourly.step
async def look(event: Event) -> None: ...
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many starts, and for how long the last daemon is watched; `settle_seconds` before that."""

    starts: int
    settle_seconds: float
    watch_seconds: float


SIZES: Mapping[Scale, Size] = {
    "tiny": Size(starts=1, settle_seconds=0.0, watch_seconds=0.2),
    "quick": Size(starts=3, settle_seconds=1.0, watch_seconds=5.0),
    "full": Size(starts=5, settle_seconds=5.0, watch_seconds=20.0),
}

PYTHON = Figure(name="Python alone, start to end", unit="ms")
START = Figure(name="Reactor, start to ready", unit="ms", at_most=500)
START_AGAIN = Figure(name="Reactor, start to ready with its state", unit="ms")
MEMORY = Figure(name="idle memory (RSS)", unit="MB", at_most=75)
CPU = Figure(name="idle processor, share of a core", unit="%", at_most=0.3)


def measure(size: Size) -> Result:
    """Start daemons, then watch the last one idle. Raises MeasurementError where there is no /proc."""
    needs_linux("the idle daemon")
    _compile()
    python = [_python_ms() for _ in range(size.starts)]
    first = [_one_start() for _ in range(size.starts)]
    with scratch() as directory:
        daemon = _daemon(directory)
        # A context that began with a start; the one that is measured finds its state.
        with daemon:
            daemon.stop()
            again = _start_ms(daemon)
            memory, cpu = _idle(daemon.pid, size)
    return Result(
        values={
            PYTHON: statistics.median(python),
            START: statistics.median(first),
            START_AGAIN: again,
            MEMORY: memory,
            CPU: cpu,
        }
    )


def _compile() -> None:
    """Write the bytecode, as an installation does: PYTHONDONTWRITEBYTECODE makes each start compile a checkout anew."""
    for package in ("reactor", "reactor_sensors", "reactor_handlers"):
        spec = find_spec(package)
        for place in spec.submodule_search_locations or () if spec is not None else ():
            compileall.compile_dir(place, quiet=2)


def _daemon(directory: Path) -> DaemonProcess:
    project = directory / "idle.py"
    project.write_text(_PROJECT, encoding="utf-8")
    (directory / "inbox").mkdir()
    return DaemonProcess(
        project,
        state=directory / "state",
        environment={"BENCH_SECRET": "only-for-the-benchmark"},
        directory=directory,
    )


def _one_start() -> float:
    with scratch() as directory:
        daemon = _daemon(directory)
        began = time.perf_counter()
        with daemon:
            return (time.perf_counter() - began) * 1e3


def _start_ms(daemon: DaemonProcess) -> float:
    began = time.perf_counter()
    daemon.start()
    return (time.perf_counter() - began) * 1e3


def _python_ms() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1e3


def _idle(pid: int, size: Size) -> tuple[float, float]:
    """Return memory in MB and processor time in percent of the time that passed."""
    time.sleep(size.settle_seconds)
    began, used = time.monotonic(), cpu_seconds(pid)
    time.sleep(size.watch_seconds)
    share = (cpu_seconds(pid) - used) / (time.monotonic() - began)
    return resident_mb(pid), share * 100
