"""Webhooks accepted durably per second, by a real daemon over real sockets; beside it raw ASGI and Starlette."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.apart import apart, beside, scratch
from benchmarks.bare_asgi import serve
from benchmarks.figures import Figure, MeasurementError, Result, quantile
from benchmarks.peer import or_missing, peer_beside
from benchmarks.webhook_client import Answers, deliver
from reactor.store.sqlite.connection import DATABASE
from reactor.testing.process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.figures import Scale

PATH = "/hook"
SECRET = "only-for-the-benchmark"
SECRET_VARIABLE = "BENCH_SECRET"
_HEAD = f"""\
import asyncio

from reactor import Event, Workflow
from reactor_sensors import Webhook

hook = Webhook("{PATH}", scheme="github", secret="env:{SECRET_VARIABLE}")
"""
# Its only place is taken by the first delivery, for ever: each later one is stored with a run that waits.
WAITING = (
    _HEAD
    + """
bench = Workflow("bench", on=hook, concurrency=1, pending=100_000_000)

@bench.step
async def hold(event: Event) -> None:
    await asyncio.Event().wait()
"""
)
RUNNING = (
    _HEAD
    + """
bench = Workflow("bench", on=hook, concurrency=256, pending=100_000_000)

@bench.step
async def take(event: Event) -> int:
    return 1
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many deliveries, over how many connections."""

    requests: int
    connections: int


SIZES: Mapping[Scale, Size] = {
    "tiny": Size(requests=40, connections=4),
    "quick": Size(requests=10_000, connections=32),
    "full": Size(requests=30_000, connections=32),
}

BARE_RATE = Figure(name="raw ASGI, one row each", unit="requests/s")
STARLETTE = Figure(name="Starlette, one row each", unit="requests/s")
RATE = Figure(name="Reactor, with a run stored each", unit="requests/s", at_least=12_000)
RATIO = Figure(name="Reactor to raw ASGI", unit="×")
P50 = Figure(name="Reactor, request to 202, p50", unit="ms")
P99 = Figure(name="Reactor, request to 202, p99", unit="ms", at_most=5)
BUSY = Figure(name="client, share of a core", unit="%")
RUN_RATE = Figure(name="Reactor, with a run of one step each", unit="requests/s")


def measure(size: Size, *, peers: bool) -> Result:
    """Measure raw ASGI, then Reactor storing a run with each delivery, Reactor also running it, then Starlette."""
    bare = _bare(size)
    waiting = _reactor(WAITING, size)
    running = _reactor(RUNNING, size)
    result = Result(
        values={
            BARE_RATE: bare.per_second,
            RATE: waiting.per_second,
            RATIO: waiting.per_second / bare.per_second,
            P50: quantile(waiting.latencies_ms, 0.5),
            P99: quantile(waiting.latencies_ms, 0.99),
            BUSY: waiting.busy * 100,
            RUN_RATE: running.per_second,
        }
    )
    return result | or_missing(STARLETTE, partial(_starlette, size)) if peers else result


def _starlette(size: Size) -> float:
    with (
        scratch() as directory,
        peer_beside("starlette", "starlette_insert.py", str(directory)) as address,
    ):
        host, port = address.split()
        return _deliver((host, int(port)), size).per_second


def _bare(size: Size) -> Answers:
    with scratch() as directory, beside(serve, str(directory)) as address:
        return _deliver(address, size)


def _reactor(project: str, size: Size) -> Answers:
    with scratch() as directory:
        with webhook_daemon(directory, project) as daemon:
            answers = _deliver(address_of(daemon), size)
        # Killed, not drained: what was answered is on disk.
        _check(directory / "state" / DATABASE, size)
    return answers


def webhook_daemon(directory: Path, project: str) -> DaemonProcess:
    """Return a daemon that has not started, for one of the projects above."""
    file = directory / "hooks.py"
    file.write_text(project, encoding="utf-8")
    environment = {SECRET_VARIABLE: SECRET}
    return DaemonProcess(
        file,
        state=directory / "state",
        # Only a profile ends it with a signal, and the run that waits for ever is not to be waited for.
        arguments=("--drain", "1s"),
        environment=environment,
    )


def address_of(daemon: DaemonProcess) -> tuple[str, int]:
    """Return host and port of its hooks listener."""
    parts = urlsplit(daemon.hooks)
    return parts.hostname or "127.0.0.1", parts.port or 80


def _deliver(address: tuple[str, int], size: Size) -> Answers:
    return apart(
        deliver, address, PATH, SECRET, requests=size.requests, connections=size.connections
    )


def _check(path: Path, size: Size) -> None:
    with closing(sqlite3.connect(path)) as connection:
        events = connection.execute("SELECT count(*) FROM event").fetchone()[0]
        runs = connection.execute("SELECT count(*) FROM run").fetchone()[0]
    if (events, runs) != (size.requests, size.requests):
        raise MeasurementError(
            f"the daemon stored {events} events and {runs} runs; expected {size.requests} of each"
        )
