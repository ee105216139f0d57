"""One life of the simulated daemon: the real engine and supervisor, put together as the daemon does it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from reactor.clock import ManualClock, to_micros
from reactor.engine.engine import Engine
from reactor.engine.executors import Executors
from reactor.engine.supervisor import Supervisor
from reactor.errors import StoreError, StoreFullError
from reactor.telemetry import Metrics, Telemetry
from tests.simulation.disk import SimulatedStore
from tests.simulation.sensors import sensor_of
from tests.simulation.world import is_settled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from reactor.engine.intake import Routes
    from reactor.errors import StoreStoppedError
    from reactor.model.graph import Graph, Step
    from reactor.model.sensor import Sensor
    from reactor.telemetry.fact import Fact
    from tests.simulation.plan import Happening
    from tests.simulation.world import World

# Longer than all steps of the clock together: a retry waits for an instant on the wall.
LONGEST_SECONDS = 43_200.0
LAST_DRAIN_SECONDS = 60.0
# In how many further pieces of virtual time a death comes at the latest, where nothing goes on that it could interrupt.
IDLE_SECONDS = 0.01
ID_COUNTER_BITS = 20


class SimulatedClock(ManualClock):
    """The world's wall clock, which happenings step, with ids made as the system's clock makes them."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def now(self) -> datetime:
        return self._world.now()

    def luck(self) -> float:
        return self._world.luck.random()

    def next_id(self) -> int:
        self._last = max(self._last + 1, to_micros(self.now()) // 1000 << ID_COUNTER_BITS)
        return self._last


class SimulatedExecutors(Executors):
    """Calls steps on the loop, and tells the world which runs execute something.

    What belongs in a thread begins at once, and its answer comes a while later; cancelled, it is left alone.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def call(self, graph: Graph, step: Step, arguments: Mapping[str, Any]) -> Any:
        run = arguments["ctx"].run_id
        life = self._world.life
        self._world.enter(graph.name, run)
        try:
            if step.executor == "loop":
                return await step.function(**arguments)
            try:
                value = step.function(**arguments)
            except asyncio.CancelledError:
                # A function in a thread has no task to cancel; what it raises is just an error.
                raise RuntimeError("cancelled itself in a thread") from None
            await asyncio.sleep(self._world.disk.latency())
            return value
        finally:
            if life == self._world.life and not self._world.is_down:
                self._world.leave(graph.name, run)


class TracedTelemetry(Telemetry):
    """Adds facts to the trace, and neither counts nor logs them."""

    def __init__(self, world: World) -> None:
        super().__init__(_metrics())
        self._world = world

    def emit(self, fact: Fact) -> None:
        words = (
            getattr(fact, name, None)
            for name in ("workflow", "run_id", "event_id", "step", "outcome", "kind")
        )
        self._world.note(type(fact).__name__, *(word for word in words if word is not None))


@cache
def _metrics() -> Metrics:
    # Making one takes longer than a whole simulation.
    return Metrics(release="simulation")


class Process:
    """One life. `run` returns how it ended, unless it dies."""

    def __init__(
        self,
        world: World,
        graphs: Mapping[str, Graph],
        sensors: Mapping[str, Sensor],
        happenings: list[Happening],
    ) -> None:
        self._world = world
        self._graphs = graphs
        self._sensors = sensors
        self._happenings = happenings
        self._ended = asyncio.Event()
        self._how = ""
        self._store = SimulatedStore(world.disk, stopped=self._stopped, releasing=world.releases)
        self.engine = Engine(
            self._store,
            clock=SimulatedClock(world),
            telemetry=TracedTelemetry(world),
            executors=SimulatedExecutors(world),
            most_running=world.plan.most_running,
            most_bytes=world.plan.most_bytes,
        )
        self._supervisor = Supervisor(self.engine, cast("Routes", None), Path())

    async def run(self) -> str:
        try:
            await self._use([*self._graphs], is_first=True)
        except StoreError as error:
            self._world.note("does not start", error)
            return "refused"
        driver = asyncio.get_running_loop().create_task(self._drive(), name="driver")
        # Whatever the driver ends with: nobody shall wait for it for ever.
        driver.add_done_callback(lambda task: self._end("driver ended"))
        await self._ended.wait()
        if self._how == "break":
            driver.cancel()
            await self._supervisor.stop()
            return self._how
        # Read again what the driver may have raised.
        await driver
        return self._how

    def _stopped(self, error: StoreStoppedError) -> None:
        self._end("break")

    def _end(self, how: str) -> None:
        if not self._ended.is_set():
            self._how = how
            self._ended.set()

    async def _use(self, names: Sequence[str], *, is_first: bool) -> None:
        graphs = [self._graphs[name] for name in names]
        away = self._listened([*self._graphs]) - self._listened(names)
        sensors = {name: sensor for name, sensor in self._sensors.items() if name not in away}
        self.engine.define(graphs, sensors)
        self._world.loads(names)
        if is_first:
            await self.engine.recover()
        else:
            await self.engine.take_over_pending()
        await self._supervisor.run_only(sensors)

    def _listened(self, names: Sequence[str]) -> set[str]:
        triggers = [trigger for name in names for trigger in self._graphs[name].triggers]
        return {trigger.sensor.sensor_name for trigger in triggers}

    async def _drive(self) -> None:
        loop = asyncio.get_running_loop()
        while self._happenings:
            happening = self._happenings.pop(0)
            await asyncio.sleep(max(happening.at_ms / 1000 - loop.time(), 0.0))
            self._world.note("happens", happening.kind, happening.number, *happening.names)
            self._world.figures[happening.kind] += 1
            try:
                if await self._happen(happening):
                    return
            except StoreError as error:
                # A reload that cannot read or write the database ends the daemon.
                self._world.note("cannot go on", error)
                self._end("break")
                return
        await self._settle()

    async def _happen(self, happening: Happening) -> bool:
        """Let something happen; return whether this life is over with it."""
        world = self._world
        loop = world.loop
        if loop is None:
            return True
        match happening.kind:
            case "die":
                loop.die_after(happening.number)
                await asyncio.sleep(IDLE_SECONDS)
                loop.die_after(0)
                await asyncio.sleep(LONGEST_SECONDS)
            case "stop":
                await self._stop(happening.number / 1000)
                self._end("stop")
                return True
            case "break":
                world.disk.breaks = bool(happening.number)
            case "full":
                world.full_until = loop.time() + happening.number / 1000
            case "clock":
                world.step_clock(happening.number)
            case "storm":
                await self._storm(happening.number)
            case "reload":
                names = [name for name in self._graphs if name not in happening.names]
                await self._use(names, is_first=False)
        return False

    async def _storm(self, count: int) -> None:
        for _ in range(count):
            requests = self._world.requests
            if not requests:
                return
            requests[self._world.luck.randrange(len(requests))].cancel()
            self._world.figures["cancels"] += 1
            if self._world.luck.random() < 0.5:
                await asyncio.sleep(0)

    async def _stop(self, grace_seconds: float) -> int:
        await self._supervisor.stop()
        left = await self.engine.drain(grace_seconds)
        self._world.figures["cut runs"] += left
        await self._store.close()
        return left

    async def _settle(self) -> None:
        """Nothing goes wrong any more: all that was accepted comes to its end, and then the process does."""
        world = self._world
        world.disk.breaks = None
        if world.loaded[-1] != frozenset(self._graphs):
            await self._use([*self._graphs], is_first=False)
        loop = asyncio.get_running_loop()
        until = loop.time() + LONGEST_SECONDS
        pause = 0.05
        while not is_settled(world):
            if loop.time() > until:
                world.find(f"stuck: {world.describe()}")
                break
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 30.0)
            with suppress(StoreFullError):
                await self._redrive_parked()
        left = await self._stop(LAST_DRAIN_SECONDS)
        if left:
            world.find(f"G6: {left} runs were in flight when all had come to their end")
        world.end_of_engine(self.engine)
        self._end("end")

    async def _redrive_parked(self) -> None:
        letters = await self._store.dead_letters(ids=None, reason="process_died")
        for letter in letters:
            self._world.figures["redriven"] += 1
            refusal = await self.engine.redrive(letter, None)
            if refusal is not None:
                self._world.find(f"redrive of run {letter.run} was refused: {refusal}")


def sensors_of(world: World) -> dict[str, Sensor]:
    """Return the sensors of a plan, by name."""
    return {name: sensor_of(world, source) for name, source in world.sources.items()}


def reporter(world: World) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return what makes an error that nobody caught a finding."""

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        world.find(f"nobody caught: {context.get('message')}: {error!r}")

    return report
