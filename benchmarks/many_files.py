"""Thousands of files at once: from the first rename until all are durable and handled, in a real daemon. Linux."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.apart import beside, listening, needs_linux, scratch
from benchmarks.figures import Figure, MeasurementError, Result
from benchmarks.files import make_inbox
from benchmarks.peer import or_missing, peer_beside
from benchmarks.raw_inotify import tell_arrivals
from reactor.store.sqlite.connection import DATABASE
from reactor.testing.process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.figures import Scale

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.005
_PROJECT = """\
from reactor import Event, Workflow
from reactor_sensors import FileArrived, Files

arrivals = Workflow("arrivals", on=Files("inbox/*.dat"), concurrency=256)

@arrivals.step
async def arrived(event: Event[FileArrived]) -> str:
    return event.data.name
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many files, all at once."""

    files: int


SIZES: Mapping[Scale, Size] = {
    "tiny": Size(files=20),
    "quick": Size(files=2_000),
    "full": Size(files=2_000),
}

RENAMED = Figure(name="the renames alone", unit="ms")
RAW = Figure(name="inotify alone, all heard of", unit="ms")
WATCHFILES = Figure(name="watchfiles loop, all heard of", unit="ms")
REACTOR = Figure(name="Reactor, all durable and handled once", unit="ms", at_most=400)


def measure(size: Size, *, peers: bool) -> Result:
    """Measure all sides over `size.files` files. Raises MeasurementError where there is no inotify."""
    needs_linux("the burst of files")
    with scratch() as directory:
        renamed, raw = _raw(directory, size)
    with scratch() as directory:
        reactor = _reactor(directory, size)
    result = Result(values={RENAMED: renamed, RAW: raw, REACTOR: reactor})
    return result | or_missing(WATCHFILES, lambda: _watchfiles(size)) if peers else result


def _raw(directory: Path, size: Size) -> tuple[float, float]:
    """Return how long the renames took, and how long it took until inotify told of the last, in milliseconds."""
    inbox, place = make_inbox(directory), directory / "told"
    _write(directory, size)
    with listening(place) as told, beside(tell_arrivals, str(inbox), str(place), size.files):
        began = time.monotonic_ns()
        _rename(directory, size)
        renamed = time.monotonic_ns()
        last = int(told.recv(4096).split()[1])
    return (renamed - began) / 1e6, (last - began) / 1e6


def _watchfiles(size: Size) -> float:
    with scratch() as directory:
        inbox, place = make_inbox(directory), directory / "told"
        _write(directory, size)
        loop = peer_beside(
            *("watchfiles", "watchfiles_loop.py", str(inbox), str(place), "50", str(size.files))
        )
        with listening(place) as told, loop:
            began = time.monotonic_ns()
            _rename(directory, size)
            return (int(told.recv(4096).split()[1]) - began) / 1e6


def _reactor(directory: Path, size: Size) -> float:
    project = directory / "arrivals.py"
    project.write_text(_PROJECT, encoding="utf-8")
    make_inbox(directory)
    _write(directory, size)
    state = directory / "state"
    with DaemonProcess(project, state=state, directory=directory) as daemon:
        database = f"file:{state / DATABASE}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            began = time.perf_counter()
            _rename(directory, size)
            _await_runs(daemon, connection, size)
            seconds = time.perf_counter() - began
            _check(connection, size)
    return seconds * 1e3


def _write(directory: Path, size: Size) -> None:
    (directory / "written").mkdir()
    for number in range(size.files):
        (directory / "written" / f"{number}.dat").write_bytes(b"x" * 200)


def _rename(directory: Path, size: Size) -> None:
    for number in range(size.files):
        (directory / "written" / f"{number}.dat").rename(directory / "inbox" / f"{number}.dat")


def _await_runs(daemon: DaemonProcess, connection: sqlite3.Connection, size: Size) -> None:
    """Return once a reader of the database sees every run finished: at most LOOK_SECONDS too late."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        done = connection.execute("SELECT count(*) FROM run WHERE state = 'finished'").fetchone()[0]
        if done >= size.files:
            return
        if time.monotonic() > until or not daemon.is_running:
            raise MeasurementError(
                f"the daemon handled {done} of {size.files} files in {PATIENCE_SECONDS:.0f} s:\n"
                f"{daemon.log[-2000:]}"
            )
        time.sleep(LOOK_SECONDS)


def _check(connection: sqlite3.Connection, size: Size) -> None:
    events, runs = (
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("event", "run")
    )
    names = connection.execute("SELECT count(DISTINCT result) FROM step").fetchone()[0]
    if not events == runs == names == size.files:
        raise MeasurementError(
            f"the daemon stored {events} events and {runs} runs of {names} files; "
            f"expected {size.files} of each"
        )
