"""Batches on their way: events that wait, durably, for a run that takes them together.

An event is gathered in the commit that accepts it: its decision says so. Here is only how many there are since the last
batch and when they must go; all of that is read from the store again after a restart. The events themselves are kept at
hand as far as there is room, so that they need not be read again for a batch that begins soon.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from reactor.errors import StoreStoppedError
from reactor.store.contract import BatchRow

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from reactor.clock import Clock
    from reactor.engine.arrivals import Arrived
    from reactor.engine.scheduler import Lane
    from reactor.engine.tools import Tools
    from reactor.model.graph import Graph
    from reactor.model.trigger import Batch
    from reactor.store.contract import OpenBatch

MICROSECOND = timedelta(microseconds=1)


# Events kept at hand for batches that have not begun: about 40 MB at most.
MOST_KEPT = 16_384
MOST_KEPT_BYTES = 16 * 1024 * 1024


# Told apart by identity: each is asked for anew.
@dataclass(frozen=True, slots=True, eq=False)
class Unread:
    """What was gathered is to be read; of a workflow that never gathered, what has a larger number than `since`."""

    since: int


@dataclass(slots=True)
class Gathered:
    """The events of one workflow since its last batch; `events` are at hand, or None where some are not."""

    count: int
    first: int
    last: int
    timer: asyncio.TimerHandle
    events: list[Arrived] | None
    # What the data of those at hand take.
    size_bytes: int = 0


class BatchStarter(Protocol):
    """Where runs of batches get their places."""

    def claim(self, workflow: str) -> Lane | None:
        """Take a place for one that starts with its row, which must follow; None where it waits as a row."""
        ...

    def begin_batch(self, lane: Lane, row: BatchRow, batch: Sequence[Arrived] | None) -> None:
        """Begin one that has its place and is durable; its events are read where they are not at hand any more."""
        ...

    def line_up(self, workflow: str) -> None:
        """Take note of one that is durable and waits."""
        ...


class Gathering:
    """Counts gathered events and turns them into runs, with their places at `starter`."""

    def __init__(
        self,
        tools: Tools,
        clock: Clock,
        spawn: Callable[[Coroutine[object, object, None]], asyncio.Task[object]],
        starter: BatchStarter,
    ) -> None:
        self._tools = tools
        self._clock = clock
        self._spawn = spawn
        self._starter = starter
        self._batches: dict[str, Batch] = {}
        self._sensors: dict[str, tuple[str, ...]] = {}
        self._open: dict[str, Gathered] = {}
        # Workflows whose earlier events have not been read yet.
        self._unread: dict[str, Unread] = {}
        # One reader at a time: two would make two batches of the same events.
        self._reading = asyncio.Lock()
        self._early: dict[str, list[Arrived]] = {}
        # The last event that was read or counted: the store may have shown one before its commit was told of here.
        self._last: dict[str, int] = {}
        # Full batches that are not in the store yet, and the one task of each workflow that writes them.
        self._lines: dict[str, deque[BatchRow]] = {}
        self._writing: dict[str, asyncio.Task[object]] = {}
        # Batches whose events are all at hand, by the run's id.
        self._whole: dict[int, tuple[BatchRow, Gathered]] = {}
        self._kept = 0
        self._kept_bytes = 0

    def define(self, graphs: Sequence[Graph]) -> None:
        """Set which workflows gather. What was gathered for one that is gone waits until it is back."""
        # Their data may be read by other types now.
        for run in [*self._whole]:
            self.take(run)
        for gathered in self._open.values():
            self._let_go(gathered)
        batches = {graph.name: graph for graph in graphs if graph.batch is not None}
        for name in self._batches.keys() - batches.keys():
            self._forget(name)
        for name, graph in batches.items():
            if name not in self._batches:
                self._sensors[name] = tuple(each.sensor.sensor_name for each in graph.triggers)
                # Taken now: every event accepted from here on has a larger number.
                self._unread[name] = Unread(self._clock.next_id())
        self._batches = {name: graph.batch for name, graph in batches.items() if graph.batch}

    async def recover(self) -> None:
        """Read what was gathered before. Call it after every `define`. Raises StoreError."""
        async with self._reading:
            for name in [*self._unread]:
                await self._recover(name)

    async def _recover(self, name: str) -> None:
        known = 0
        while (asked := self._unread.get(name)) is not None:
            found = await self._left(name, asked.since)
            if self._unread.get(name) is not asked:
                # It is gone, or something came that this look may not have seen.
                continue
            known = known if found is None else found.last
            if found is None or found.count < self._batches[name].size:
                self._open_again(name, found, known)
            else:
                # As many as a batch may hold, and perhaps more behind them, which the next look finds.
                await self._write([self._row(name, found.first, found.last)])

    def read_again(self, workflow: str) -> None:
        """Count anew, from the store: an event was gathered in a commit that nobody tells of here."""
        if workflow in self._batches:
            asked = self._unread.get(workflow) or Unread(self._clock.next_id())
            self._forget(workflow)
            self._unread[workflow] = Unread(asked.since)
            self._spawn(self._recover_in_time())

    async def _recover_in_time(self) -> None:
        """Recover; read again until that succeeds."""
        with suppress(StoreStoppedError):
            await self._tools.patiently(self.recover)

    async def _left(self, name: str, since: int) -> OpenBatch | None:
        """Return what is gathered behind the last batch, none of which is still on its way into the store."""
        sensors, size = self._sensors[name], self._batches[name].size
        while writing := self._writing.get(name):
            await asyncio.wait((writing,))
        return await self._tools.store.open_batch(name, sensors, since, size)

    def _open_again(self, name: str, found: OpenBatch | None, known: int) -> None:
        self._unread.pop(name)
        if found is not None:
            age = (self._clock.now_micros() - found.oldest_at) * MICROSECOND
            timer = self._timer(name, age)
            self._open[name] = Gathered(found.count, found.first, found.last, timer, None)
        self._last[name] = max(known, self._last.get(name, 0))
        self.add(name, self._early.pop(name, ()))

    def add(self, workflow: str, arrived: Sequence[Arrived]) -> None:
        """Count events that are durable; those of one workflow come in the order of their numbers."""
        if workflow in self._unread:
            self._early.setdefault(workflow, []).extend(arrived)
            return
        known = self._last.get(workflow, 0)
        if arrived and arrived[0].seq <= known:
            arrived = [one for one in arrived if one.seq > known]
        if not arrived:
            return
        self._last[workflow] = arrived[-1].seq
        begin = 0
        while begin < len(arrived) and workflow in self._batches:
            gathered = self._open.get(workflow)
            if gathered is None:
                seq = arrived[begin].seq
                timer = self._timer(workflow, timedelta(0))
                gathered = self._open[workflow] = Gathered(0, seq, seq, timer, [])
            room = max(self._batches[workflow].size - gathered.count, 1)
            part = arrived[begin : begin + room]
            begin += len(part)
            gathered.count += len(part)
            gathered.last = part[-1].seq
            self._keep(gathered, part)
            self._close_if_full(workflow)

    def _keep(self, gathered: Gathered, part: Sequence[Arrived]) -> None:
        """Keep events at hand, or none of their batch where there is no room for all."""
        if gathered.events is None:
            return
        size_bytes = sum([len(one.raw) for one in part])
        if self._kept + len(part) > MOST_KEPT or self._kept_bytes + size_bytes > MOST_KEPT_BYTES:
            self._let_go(gathered)
            return
        self._kept += len(part)
        self._kept_bytes += size_bytes
        gathered.events += part
        gathered.size_bytes += size_bytes

    def _let_go(self, gathered: Gathered) -> list[Arrived] | None:
        """Keep the events of a batch at hand no longer; return them."""
        events, gathered.events = gathered.events, None
        if events is not None:
            self._kept -= len(events)
            self._kept_bytes -= gathered.size_bytes
        return events

    def take(self, run: int) -> tuple[BatchRow, Sequence[Arrived]] | None:
        """Return a batch with its events, once; None where they are not at hand."""
        whole = self._whole.pop(run, None)
        if whole is None:
            return None
        row, gathered = whole
        return row, self._let_go(gathered) or ()

    def stop(self) -> None:
        """Begin no more batches; what is gathered waits for the next start."""
        for name in [*self._open]:
            self._forget(name)
        self._unread.clear()
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
            line = self._lines.setdefault(workflow, deque())
            row = self._row(workflow, gathered.first, gathered.last)
            if gathered.events is not None:
                self._whole[row.id] = (row, gathered)
            line.append(row)
            if workflow not in self._writing:
                self._writing[workflow] = self._spawn(self._line_up(workflow, line))

    def _row(self, workflow: str, first: int, last: int) -> BatchRow:
        return BatchRow(self._clock.next_id(), workflow, first, last, self._clock.now_micros())

    async def _line_up(self, workflow: str, line: deque[BatchRow]) -> None:
        """Write all that are there, then those that came meanwhile: they move the place at which the next begins."""
        try:
            while line:
                rows = [*line]
                await self._write(rows)
                for _ in rows:
                    line.popleft()
        except StoreStoppedError:
            return
        finally:
            del self._writing[workflow]

    async def _write(self, rows: Sequence[BatchRow]) -> None:
        claimed = {}
        for row in rows:
            # One whose events must be read has time to wait for its turn.
            lane = self._starter.claim(row.workflow) if row.id in self._whole else None
            if lane is not None:
                claimed[row.id] = lane
                row.started_at = self._clock.now_micros()
        await self._tools.durably(lambda: self._tools.store.add_batches(rows))
        for row in rows:
            if row.id in claimed:
                _, events = self.take(row.id) or (row, None)
                self._starter.begin_batch(claimed[row.id], row, events)
            else:
                self._starter.line_up(row.workflow)

    def _forget(self, workflow: str) -> None:
        gathered = self._open.pop(workflow, None)
        if gathered is not None:
            gathered.timer.cancel()
            self._let_go(gathered)
        self._unread.pop(workflow, None)
        self._early.pop(workflow, None)
