"""The engine with all its guarantees, in this process: no sensor and no socket, so that only it is measured.

Store, commit mode, stored decisions, credits, metrics and log level are those of the daemon.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
import time
from collections import deque
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from benchmarks.bare_loop import PAYLOAD, STEPS, Load
from benchmarks.figures import MeasurementError
from reactor import Event, Workflow
from reactor.api import Sensor
from reactor.clock import SystemClock
from reactor.daemon.process import settle_collector
from reactor.engine.engine import Engine
from reactor.engine.executors import Executors
from reactor.model.graph import compile_workflow
from reactor.store.sqlite import SqliteStore
from reactor.store.sqlite.connection import DATABASE
from reactor.telemetry import Metrics, Telemetry
from reactor.telemetry.facts import BatchCommitted, RunFinished
from reactor.telemetry.telemetry import LOGGER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from reactor.model.graph import Graph
    from reactor.model.trigger import Trigger
    from reactor.telemetry.fact import Fact

SENSOR = "bench"


class Probe(Sensor):
    """A sensor that never sees anything by itself."""

    kind = "bench"


class _Ends:
    """Hears of the end of each run, gives its place in flight to the next, and keeps how long it took."""

    def __init__(self, *, runs: int, in_flight: int) -> None:
        self.latencies_ms: list[float] = []
        self.all_done = asyncio.Event()
        self._runs = runs
        # Not a semaphore, which looks at all that it woke before whenever one more is to be woken.
        self._free = in_flight
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def place(self) -> None:
        """Return when one fewer than `in_flight` runs are in flight."""
        if self._free:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        await place

    def give_back(self) -> None:
        """Let the next one have a place."""
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._free += 1

    def take(self, fact: Fact) -> None:
        if type(fact) is not RunFinished:
            return
        if fact.outcome == "succeeded" and fact.age_seconds is not None:
            self.latencies_ms.append(fact.age_seconds * 1e3)
        self._runs -= 1
        self.give_back()
        if not self._runs:
            self.all_done.set()


async def first(event: Event[Any]) -> int:
    """Return a first result."""
    return 1


async def second(first: int) -> int:
    """Return a second result."""
    return first + 1


async def third(second: int) -> int:
    """Return a third result."""
    return second + 1


def three_steps(on: Sensor | Trigger, *, concurrency: int, name: str = "bench") -> Graph:
    """Return the workflow that is measured: each step needs the one before."""
    workflow = Workflow(name, on=on, concurrency=concurrency)
    for step in (first, second, third):
        workflow.step(step)
    graph, faults = compile_workflow(workflow)
    if graph is None:
        raise MeasurementError(f"the benchmark's own workflow is wrong: {faults}")
    return graph


@asynccontextmanager
async def engine_over(
    directory: Path,
    graphs: Sequence[Graph],
    sensors: Sequence[Sensor],
    *,
    most_running: int = 1024,
) -> AsyncIterator[Engine]:
    """Run an engine over the state directory for a block, wired as the daemon wires it."""
    # The daemon's default level: facts below it are counted and not spelled.
    logging.getLogger(LOGGER).setLevel(logging.INFO)
    telemetry = Telemetry(Metrics(release="bench"))

    def observe(seconds: float, size: int) -> None:
        telemetry.emit(BatchCommitted(duration_seconds=seconds, size=size))

    store = await SqliteStore.open(directory, observe=observe)
    engine = Engine(
        store,
        clock=SystemClock(),
        telemetry=telemetry,
        executors=Executors(),
        most_running=most_running,
    )
    engine.define(graphs, {sensor.sensor_name: sensor for sensor in sensors})
    await engine.recover()
    # As the daemon does before its sensors start.
    settle_collector(is_first=True)
    try:
        yield engine
    finally:
        await engine.drain(0)
        await store.close()


class Source:
    """Events for an engine, one after the other as places in flight come free, and the ends of what they start."""

    def __init__(self, engine: Engine, *, id_of: Callable[[int], str] = str) -> None:
        self._engine = engine
        self._numbers = itertools.count()
        self._id_of = id_of

    async def see_through(self, *, runs: int, in_flight: int) -> Load:
        """See `runs` more runs through, `in_flight` of them at any time.

        A run's latency is from its observation (the call of `accept`) to the end of the commit that holds its
        last step and its outcome.
        """
        ends = _Ends(runs=runs, in_flight=in_flight)
        self._engine.telemetry.attach(ends)
        began, cpu, loop_cpu = time.perf_counter(), time.process_time(), time.thread_time()
        await self._feed(ends, runs=runs, in_flight=in_flight)
        await ends.all_done.wait()
        load = Load(
            seconds=time.perf_counter() - began,
            latencies_ms=ends.latencies_ms,
            cpu_seconds=time.process_time() - cpu,
            loop_cpu_seconds=time.thread_time() - loop_cpu,
        )
        self._engine.telemetry.detach(ends)
        return load

    async def _feed(self, ends: _Ends, *, runs: int, in_flight: int) -> None:
        numbers = itertools.islice(self._numbers, runs)

        async def work() -> None:
            # Only whoever has a place takes a number: none is taken in vain at the end.
            while True:
                await ends.place()
                number = next(numbers, None)
                if number is None:
                    ends.give_back()
                    return
                await self._engine.accept(SENSOR, (self._event(number),), {}, wait=True)

        async with asyncio.TaskGroup() as group:
            for number in range(in_flight):
                group.create_task(work(), name=f"source {number}")

    def _event(self, number: int) -> Event[Any]:
        return Event(
            id=self._id_of(number),
            source=SENSOR,
            type="test",
            time=self._engine.clock.now(),
            data=PAYLOAD,
        )


async def drive(directory: Path, *, runs: int, in_flight: int) -> Load:
    """See `runs` runs of three steps through, `in_flight` of them at any time."""
    sensor = Probe(name=SENSOR)
    # Twice as many, so that the source alone decides how many are in flight.
    graph = three_steps(sensor, concurrency=2 * in_flight)
    async with engine_over(directory, [graph], [sensor]) as engine:
        load = await Source(engine).see_through(runs=runs, in_flight=in_flight)
    _check(directory / DATABASE, runs)
    return load


def _check(path: Path, runs: int) -> None:
    """Raise MeasurementError unless all that is promised is in the database."""
    with closing(sqlite3.connect(path)) as connection:
        done = connection.execute("SELECT count(*) FROM run WHERE outcome = 'succeeded'").fetchone()
        steps = connection.execute("SELECT count(*) FROM step").fetchone()
        decided = connection.execute(
            "SELECT count(*) FROM event WHERE json_array_length(decisions) = 1"
        ).fetchone()
    found = (done[0], steps[0], decided[0])
    if found != (runs, STEPS * runs, runs):
        raise MeasurementError(
            f"the engine left {found[0]} runs, {found[1]} steps and {found[2]} decisions; "
            f"expected {runs}, {STEPS * runs} and {runs}"
        )
