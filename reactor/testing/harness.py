"""An engine without a daemon: real store, real scheduler, no sensors and no sockets. For tests of workflows."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from reactor.clock import SystemClock
from reactor.engine.engine import Engine
from reactor.engine.executors import Executors
from reactor.errors import DefinitionError
from reactor.model.event import Event
from reactor.model.graph import compile_workflow
from reactor.model.ids import parse_id
from reactor.store.sqlite import SqliteStore
from reactor.telemetry import Metrics, Telemetry
from reactor.telemetry.facts import RunFinished
from reactor.testing.time import LoopClock, VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from reactor.clock import Clock
    from reactor.model.outlet import OpenOutlet, Outgoing
    from reactor.model.sensor import Accepted
    from reactor.model.workflow import Workflow
    from reactor.store.contract import StoredRun
    from reactor.telemetry.fact import Fact


class Harness:
    """Fires events at workflows and waits for what comes of it. Made by `harness`."""

    def __init__(
        self,
        engine: Engine,
        facts: list[Fact],
        changed: asyncio.Condition,
        outlet: RecordingOutlet,
    ) -> None:
        self.engine = engine
        self.facts = facts
        self._changed = changed
        self._outlet = outlet
        self._number = 0

    @property
    def delivered(self) -> list[Outgoing]:
        """Return what steps emitted and was delivered, in order; compare it with what makes it.

        `await h.wait_for_delivered(1)`, then `assert h.delivered == [cluster.record("orders", {"id": 7})]`.
        """
        return [outgoing for outgoing, _ in self._outlet.delivered]

    @property
    def delivered_keys(self) -> list[str]:
        """Return the idempotency key of each in `delivered`."""
        return [key for _, key in self._outlet.delivered]

    async def wait_for_delivered(self, count: int) -> list[Outgoing]:
        """Return what was delivered once there are `count`."""
        await self.wait_until(lambda: len(self._outlet.delivered) >= count)
        return self.delivered

    async def fire(
        self,
        sensor: str,
        data: Any = None,
        *,
        id: str | None = None,  # noqa: A002  # the attribute's name
        wait: bool = True,
    ) -> Accepted:
        """Accept an event as if `sensor` had seen it."""
        self._number += 1
        event = Event(
            id=id or f"event-{self._number}",
            source=sensor,
            type="test",
            time=self.engine.clock.now(),
            data=data,
        )
        return (await self.engine.accept(sensor, (event,), {}, wait=wait))[0]

    def ended(self, workflow: str | None = None) -> list[RunFinished]:
        """Return the ends of runs so far, in order."""
        ends = [fact for fact in self.facts if isinstance(fact, RunFinished)]
        return [end for end in ends if workflow is None or end.workflow == workflow]

    async def wait_for_ends(self, count: int, workflow: str | None = None) -> list[RunFinished]:
        """Return the ends of runs once there are `count`."""
        await self.wait_until(lambda: len(self.ended(workflow)) >= count)
        return self.ended(workflow)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds; it is looked at after every fact."""
        async with self._changed:
            await self._changed.wait_for(condition)

    async def stored(self, run_id: str) -> StoredRun:
        """Return a run as it is in the store."""
        return (await self.engine.store.load_runs([parse_id(run_id)]))[0]


class RecordingOutlet:
    """Takes all that it is given. `delivered` holds each with its idempotency key."""

    def __init__(self, changed: asyncio.Condition) -> None:
        self.delivered: list[tuple[Outgoing, str]] = []
        self._changed = changed

    async def deliver(self, outgoing: Outgoing, *, idempotency_key: str) -> None:
        """See `reactor.api.Outlet`."""
        self.delivered.append((outgoing, idempotency_key))
        async with self._changed:
            self._changed.notify_all()

    async def close(self) -> None:
        """See `reactor.api.Outlet`."""


class _Recorder:
    def __init__(self, facts: list[Fact], changed: asyncio.Condition) -> None:
        self._facts = facts
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, fact: Fact) -> None:
        self._facts.append(fact)
        task = asyncio.get_running_loop().create_task(self._notify(), name="fact recorded")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def harness(
    *workflows: Workflow,
    state: Path,
    clock: Clock | None = None,
    most_running: int = 1024,
    most_bytes: int = 256 * 1024 * 1024,
    drain_seconds: float = 5.0,
    open_outlet: OpenOutlet | None = None,
) -> AsyncIterator[Harness]:
    """Run an engine over the state directory for a block; a second one over the same directory resumes it.

    What steps emit is delivered to nobody and can be looked at as `delivered`; `open_outlet` puts other outlets in
    that place.
    """
    loop = asyncio.get_running_loop()
    facts: list[Fact] = []
    changed = asyncio.Condition()
    store = await SqliteStore.open(state)
    executors = Executors()
    if isinstance(loop, VirtualTimeLoop):
        loop.busy_while(lambda: store.statistics().waiting > 0 or executors.under_way > 0)
        clock = clock or LoopClock()
    outlet = RecordingOutlet(changed)
    graphs = []
    for workflow in workflows:
        graph, faults = compile_workflow(workflow)
        if graph is None:
            raise DefinitionError("\n".join(map(str, faults)))
        graphs.append(graph)
    engine = Engine(
        store,
        clock=clock or SystemClock(),
        telemetry=Telemetry(Metrics(release="test"), (_Recorder(facts, changed),)),
        executors=executors,
        most_running=most_running,
        most_bytes=most_bytes,
        open_outlet=open_outlet or (lambda name, options: outlet),
    )
    sensors = {t.sensor.sensor_name: t.sensor for graph in graphs for t in graph.triggers}
    engine.define(graphs, sensors)
    await engine.recover()
    try:
        yield Harness(engine, facts, changed, outlet)
    finally:
        await engine.drain(drain_seconds)
        await store.close()
