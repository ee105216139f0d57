"""The least that durable runs could cost: one loop, one SQLite file, one group commit, nothing else.

No decisions, no limits, no metrics, no retries, no recovery: a bound for the engine, not an alternative to it.
It writes what the engine's promise needs at least: the event and the run, then each step, each durable before
the next begins.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.figures import MeasurementError
from benchmarks.group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

STEPS = 3
STEP_TIMEOUT_SECONDS = 30.0
# 200 bytes of JSON.
PAYLOAD = {"k": "v" * 192}

_SCHEMA = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, source TEXT, id TEXT, type TEXT, data BLOB, at REAL, UNIQUE (source, id)
);
CREATE TABLE run (
    id INTEGER PRIMARY KEY, workflow TEXT, event INTEGER, state TEXT, created REAL, finished REAL
);
CREATE INDEX pending ON run (workflow, id) WHERE state = 'pending';
CREATE TABLE step (
    run INTEGER, name TEXT, result BLOB, started REAL, finished REAL, PRIMARY KEY (run, name)
) WITHOUT ROWID;
"""
_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)"
_RUN = "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?)"
_STEP = "INSERT INTO step VALUES (?, ?, ?, ?, ?)"
_END = "UPDATE run SET state = 'done', finished = ? WHERE id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How long it took: all of it, each run, the processor in all threads, and in that of the loop."""

    seconds: float
    latencies_ms: Sequence[float]
    cpu_seconds: float
    loop_cpu_seconds: float

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.seconds


async def drive(directory: Path, *, runs: int, in_flight: int) -> Load:
    """See `runs` runs of three steps through, `in_flight` of them at any time."""
    path = directory / "bare.db"
    writer = GroupCommit(path, _SCHEMA)
    data = json.dumps(PAYLOAD).encode()
    numbers = iter(range(runs))
    latencies: list[float] = []

    async def work() -> None:
        for number in numbers:
            began = time.perf_counter()
            await _one(writer, number, data)
            latencies.append((time.perf_counter() - began) * 1e3)

    async with asyncio.TaskGroup() as group:
        committing = group.create_task(writer.run(), name="group commit")
        began, cpu, loop_cpu = time.perf_counter(), time.process_time(), time.thread_time()
        async with asyncio.TaskGroup() as workers:
            for number in range(in_flight):
                workers.create_task(work(), name=f"runs {number}")
        load = Load(
            seconds=time.perf_counter() - began,
            latencies_ms=latencies,
            cpu_seconds=time.process_time() - cpu,
            loop_cpu_seconds=time.thread_time() - loop_cpu,
        )
        committing.cancel()
    _check(path, runs)
    return load


async def _one(writer: GroupCommit, number: int, data: bytes) -> None:
    now = time.time()
    writer.put(_EVENT, (number, "bench", str(number), "test", data, now))
    writer.put(_RUN, (number, "bare", number, "pending", now, None))
    await writer.durable()
    value: Any = PAYLOAD
    for index, (name, step) in enumerate(_STEPS):
        started = time.time()
        async with asyncio.timeout(STEP_TIMEOUT_SECONDS):
            value = await step(value)
        finished = time.time()
        writer.put(_STEP, (number, name, json.dumps(value), started, finished))
        if index == STEPS - 1:
            writer.put(_END, (finished, number))
        await writer.durable()


async def _first(_event: Any) -> int:
    return 1


async def _next(value: int) -> int:
    return value + 1


_STEPS: tuple[tuple[str, Callable[[Any], Awaitable[int]]], ...] = (
    ("first", _first),
    ("second", _next),
    ("third", _next),
)


def _check(path: Path, runs: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        done = connection.execute("SELECT count(*) FROM run WHERE state = 'done'").fetchone()[0]
        steps = connection.execute("SELECT count(*) FROM step").fetchone()[0]
    if (done, steps) != (runs, STEPS * runs):
        raise MeasurementError(
            f"the bare loop left {done} runs and {steps} steps; expected {runs} and {STEPS * runs}"
        )
