"""From a file's rename to the first line of a step, in a real daemon; beside it inotify alone and watchfiles. Linux.

All sides read CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.apart import beside, listening, needs_linux, scratch
from benchmarks.figures import Figure, MeasurementError, Result, quantile
from benchmarks.peer import or_missing, peer_beside
from benchmarks.raw_inotify import tell_arrivals, tell_kept_arrivals
from reactor.testing.process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from socket import socket

    from benchmarks.figures import Scale

# Between two files: the run of the one before is over and its last commit done.
PAUSE_SECONDS = 0.02
# So short that the processor still has in its caches what the file before needed.
SHORT_PAUSE_SECONDS = 0.002
_SOCKET = "BENCH_SOCKET"
_PROJECT = f"""\
import os, socket, time

from reactor import Event, Workflow
from reactor_sensors import FileArrived, Files

sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.connect(os.environ["{_SOCKET}"])
arrivals = Workflow("arrivals", on=Files("inbox/*.dat"))

@arrivals.step
async def arrived(event: Event[FileArrived]) -> None:
    now = time.monotonic_ns()
    sender.send(f"{{event.data.name}} {{now}}".encode())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many files, one after the other."""

    files: int


SIZES: Mapping[Scale, Size] = {
    "tiny": Size(files=3),
    "quick": Size(files=100),
    "full": Size(files=500),
}

RAW = Figure(name="inotify alone, median", unit="ms")
KEPT = Figure(name="inotify, then 28 KB durable, median", unit="ms")
P50 = Figure(name="Reactor, first line of the step, median", unit="ms", at_most=1.5)
TO_KEPT = Figure(name="Reactor to inotify and 28 KB durable, time", unit="×")
P99 = Figure(name="Reactor, first line of the step, p99", unit="ms", at_most=10)
BUSY = Figure(name="the same with a file every 2 ms, median", unit="ms")
# By its step in milliseconds: as it comes, and as quick as it goes.
WATCHFILES = {
    50: Figure(name="watchfiles loop, median", unit="ms"),
    1: Figure(name="watchfiles loop with a step of 1 ms, median", unit="ms"),
}


def measure(size: Size, *, peers: bool) -> Result:
    """Measure all sides over `size.files` renames each. Raises MeasurementError where there is no inotify."""
    needs_linux("the latency of files")
    with scratch() as directory:
        raw = _inotify(directory, size, tell_arrivals, 0)
    with scratch() as directory:
        journal = str(directory / "journal")
        kept = statistics.median(_inotify(directory, size, tell_kept_arrivals, journal))
    with scratch() as directory:
        reactor = _reactor(directory, size)
    with scratch() as directory:
        busy = _reactor(directory, size, pause_seconds=SHORT_PAUSE_SECONDS)
    result = Result(
        values={
            RAW: statistics.median(raw),
            KEPT: kept,
            P50: statistics.median(reactor),
            TO_KEPT: statistics.median(reactor) / kept,
            P99: quantile(reactor, 0.99),
            BUSY: statistics.median(busy),
        }
    )
    for step, figure in WATCHFILES.items() if peers else ():
        result |= or_missing(figure, partial(_watchfiles, size, step))
    return result


def _watchfiles(size: Size, step: int) -> float:
    with scratch() as directory:
        inbox, place = make_inbox(directory), directory / "told"
        loop = peer_beside(
            *("watchfiles", "watchfiles_loop.py", str(inbox), str(place), str(step), "0")
        )
        with listening(place) as told, loop:
            return statistics.median(_rename_all(directory, told, size))


def _inotify(
    directory: Path, size: Size, tell: Callable[..., None], argument: object
) -> list[float]:
    inbox, place = make_inbox(directory), directory / "told"
    with listening(place) as told, beside(tell, str(inbox), str(place), argument):
        return _rename_all(directory, told, size)


def _reactor(directory: Path, size: Size, *, pause_seconds: float = PAUSE_SECONDS) -> list[float]:
    project = directory / "arrivals.py"
    project.write_text(_PROJECT, encoding="utf-8")
    make_inbox(directory)
    place = directory / "told"
    daemon = DaemonProcess(
        project,
        state=directory / "state",
        environment={_SOCKET: str(place)},
        directory=directory,
    )
    with listening(place) as told, daemon:
        return _rename_all(directory, told, size, pause_seconds=pause_seconds)


def make_inbox(directory: Path) -> Path:
    """Make the folder that is watched."""
    inbox = directory / "inbox"
    inbox.mkdir()
    return inbox


def _rename_all(
    directory: Path, told: socket, size: Size, *, pause_seconds: float = PAUSE_SECONDS
) -> list[float]:
    """Return from each rename to its being told, in milliseconds."""
    written = directory / "being-written"
    latencies = []
    for number in range(size.files):
        written.write_bytes(b"x" * 200)
        time.sleep(pause_seconds)
        name = f"{number}.dat"
        began = time.monotonic_ns()
        written.rename(directory / "inbox" / name)
        latencies.append((_told_at(told, name) - began) / 1e6)
    return latencies


def _told_at(told: socket, name: str) -> int:
    try:
        heard, _, instant = told.recv(4096).decode().rpartition(" ")
    except TimeoutError:
        raise MeasurementError(f"nobody told of {name}; expected it within 10 s") from None
    if heard != name:
        raise MeasurementError(f"told of {heard!r}; expected {name!r}")
    return int(instant)
