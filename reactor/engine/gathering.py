"""Batches on their way: events that wait, durably, for a run that takes them together.

An event is gathered in the commit that accepts it: its decision says so. Here is only how many there are since the last
batch and when they must go; all of that is read from the store again after a restart.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from reactor.errors import StoreStoppedError
from reactor.store.contract import BatchRow

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from reactor.clock import Clock
    from reactor.engine.tools import Tools
    from reactor.model.graph import Graph
    from reactor.model.trigger import Batch

MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class Gathered:
    """The events of one workflow since its last batch."""

    count: int
    first: int
    last: int
    timer: asyncio.TimerHandle


class Gathering:
    """Counts gathered events and turns them into runs. `lined_up` hears of each run that now waits."""

    def __init__(
        self,
        tools: Tools,
        clock: Clock,
        spawn: Callable[[Coroutine[object, object, None]], object],
        lined_up: Callable[[str], None],
    ) -> None:
        self._tools = tools
        self._clock = clock
        self._spawn = spawn
        self._lined_up = lined_up
        self._batches: dict[str, Batch] = {}
        self._open: dict[str, Gathered] = {}
        # Workflows whose earlier events have not been read yet, and from where their batches count.
        self._unread: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._early: dict[str, list[int]] = {}

    def define(self, graphs: Sequence[Graph]) -> None:
        """Set which workflows gather. What was gathered for one that is gone waits until it is back."""
        batches = {graph.name: graph for graph in graphs if graph.batch is not None}
        for name in self._batches.keys() - batches.keys():
            self._forget(name)
        for name, graph in batches.items():
            if name not in self._batches:
                sensors = tuple(trigger.sensor.sensor_name for trigger in graph.triggers)
                # Taken now: every event accepted from here on has a larger number.
                self._unread[name] = (self._clock.next_id(), sensors)
        self._batches = {name: graph.batch for name, graph in batches.items() if graph.batch}

    async def recover(self) -> None:
        """Read what was gathered before. Call it after every `define`. Raises StoreError."""
        for name, (since, sensors) in [*self._unread.items()]:
            size = self._batches[name].size
            found = await self._tools.store.open_batches(name, sensors, size=size, since=since)
            if name not in self._batches:
                continue
            self._unread.pop(name, None)
            early = self._early.pop(name, [])
            # More than one where the process died before the batch that was full had become a run.
            for batch in found:
                age = (self._clock.now_micros() - batch.oldest_at) * MICROSECOND
                self._open[name] = Gathered(
                    batch.count, batch.first, batch.last, self._timer(name, age)
                )
                self._close_if_full(name)
            known = found[-1].last if found else 0
            for seq in early:
                # Those committed before the store was read are among what it found.
                if seq > known:
                    self.add(name, seq)

    def add(self, workflow: str, seq: int) -> None:
        """Count an event that is durable; those of one workflow come in the order of their numbers."""
        if workflow in self._unread:
            self._early.setdefault(workflow, []).append(seq)
            return
        gathered = self._open.get(workflow)
        if gathered is None:
            if workflow not in self._batches:
                return
            timer = self._timer(workflow, timedelta(0))
            gathered = self._open[workflow] = Gathered(0, seq, seq, timer)
        gathered.count += 1
        gathered.last = seq
        self._close_if_full(workflow)

    def stop(self) -> None:
        """Begin no more batches; what is gathered waits for the next start."""
        for name in [*self._open]:
            self._forget(name)
        self._batches.clear()

    def _timer(self, workflow: str, age: timedelta) -> asyncio.TimerHandle:
        left = (self._batches[workflow].within - age).total_seconds()
        return asyncio.get_running_loop().call_later(max(left, 0.0), self._close, workflow)

    def _close_if_full(self, workflow: str) -> None:
        gathered = self._open.get(workflow)
        if gathered is not None and gathered.count >= self._batches[workflow].size:
            self._close(workflow)

    def _close(self, workflow: str) -> None:
        gathered = self._open.pop(workflow, None)
        if gathered is not None:
            gathered.timer.cancel()
            row = BatchRow(
                self._clock.next_id(),
                workflow,
                gathered.first,
                gathered.last,
                self._clock.now_micros(),
            )
            self._spawn(self._line_up(row))

    async def _line_up(self, row: BatchRow) -> None:
        try:
            await self._tools.durably(lambda: self._tools.store.add_batch(row))
        except StoreStoppedError:
            return
        self._lined_up(row.workflow)

    def _forget(self, workflow: str) -> None:
        gathered = self._open.pop(workflow, None)
        if gathered is not None:
            gathered.timer.cancel()
        self._unread.pop(workflow, None)
        self._early.pop(workflow, None)
