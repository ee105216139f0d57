"""The outbox: what steps emitted, relayed to outlets until it is acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import orjson

from reactor.engine.outbox_lane import OutboxLane
from reactor.errors import DefinitionError
from reactor.store.outgoing import row_of
from reactor.telemetry.facts import OutboxEmitted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reactor.engine.tools import Tools
    from reactor.model.outlet import OpenOutlet, Outlet
    from reactor.store.contract import DeadLetterRow, OutgoingRow

GROUP = "reactor.outlets"
# Lanes that deliver at once; each has a window of rows in memory. A lane that waits to try again takes no place.
MOST_LANES_AT_ONCE = 64
MOST_TROUBLES_TOLD = 20


def installed_outlet(name: str, options: Mapping[str, Any]) -> Outlet:
    """Return the outlet that a plug-in has registered under `name`. Imports it: not for the loop.

    Raises DefinitionError where there is none, and whatever the plug-in does.
    """
    for point in entry_points(group=GROUP, name=name):
        outlet: Outlet = point.load()(options)
        return outlet
    raise DefinitionError(
        f"no plug-in provides {name!r} in the group {GROUP!r}; install the package that the record was made with"
    )


class Outbox:
    """Delivers what is in the store's outbox, each target in a lane of its own. `recover` first, `stop` at the end."""

    def __init__(self, tools: Tools, open_outlet: OpenOutlet) -> None:
        self._tools = tools
        self._open_outlet = open_outlet
        self._places = asyncio.Semaphore(MOST_LANES_AT_ONCE)
        self._opening = asyncio.Lock()
        self._outlets: dict[tuple[str, str], Outlet] = {}
        self._lanes: dict[str, OutboxLane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._is_stopped = False

    async def recover(self) -> None:
        """Take over what an earlier process left, and begin to deliver it."""
        for left in await self._tools.store.outbox_backlogs():
            lane = self._lane(left.lane, left.outlet, left.options, left.target)
            lane.waiting[left.workflow] += left.count
            self._run(left.lane)

    def emitted(self, rows: Sequence[OutgoingRow]) -> None:
        """Deliver rows that are durable; all are of one step."""
        self._tools.telemetry.emit(
            OutboxEmitted(workflow=rows[0].workflow, step=rows[0].step, records=len(rows))
        )
        self._line_up(rows)

    async def redrive(self, letter: DeadLetterRow) -> str | None:
        """Put a dead letter back into the outbox; return None, or why that is not possible."""
        now = self._tools.clock.now_micros()
        if not await self._tools.store.redrive(letter, None, now):
            return "it was redriven before"
        self._line_up([row_of(letter, now)])
        return None

    def waiting(self) -> dict[str, int]:
        """Return how much is not yet acknowledged, by workflow."""
        total: Counter[str] = Counter()
        for lane in self._lanes.values():
            total.update(lane.waiting)
        # Of what is delivered before its step has heard of the commit, a lane counts less than nothing for a moment.
        return {workflow: max(count, 0) for workflow, count in total.items()}

    def troubles(self) -> list[str]:
        """Return why nothing moves in each lane where that is so."""
        found = [
            f"outbox to {lane.outlet} {lane.target!r}: {lane.trouble}; {lane.waiting.total():,} wait"
            for lane in self._lanes.values()
            if lane.trouble is not None
        ]
        more = len(found) - MOST_TROUBLES_TOLD
        return [*found[:MOST_TROUBLES_TOLD], f"{more:,} more"] if more > 0 else found

    async def settled(self) -> None:
        """Return when nothing is left but what has already failed and waits to be tried again."""
        while any(self._lanes[name].trouble is None for name in self._tasks):
            self._changed.clear()
            await self._changed.wait()

    async def stop(self) -> None:
        """Deliver nothing more. What is left is in the store, for the next start."""
        self._is_stopped = True
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for outlet in self._outlets.values():
            await outlet.close()
        self._outlets.clear()

    def _line_up(self, rows: Sequence[OutgoingRow]) -> None:
        for row in rows:
            lane = self._lane(row.lane, row.outlet, row.options, row.target)
            lane.waiting[row.workflow] += 1
        for name in {row.lane for row in rows}:
            self._run(name)

    def _lane(self, name: str, outlet: str, options: str, target: str) -> OutboxLane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = OutboxLane(
                name,
                outlet,
                target,
                tools=self._tools,
                outlet_for=partial(self._outlet, outlet, options),
                places=self._places,
                changed=self._changed.set,
            )
        return lane

    def _run(self, name: str) -> None:
        if self._is_stopped or name in self._tasks:
            return
        lane = self._lanes[name]
        task = asyncio.get_running_loop().create_task(
            lane.run(), name=f"outbox to {lane.outlet} {lane.target}"
        )
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._ended(name))

    def _ended(self, name: str) -> None:
        del self._tasks[name]
        self._changed.set()
        # Between its last look and now more may have come.
        lane = self._lanes[name]
        if lane.waiting.total() > 0 and not lane.is_over:
            self._run(name)
        elif not any(lane.waiting.values()):
            del self._lanes[name]

    async def _outlet(self, name: str, options: str) -> Outlet:
        async with self._opening:
            if (name, options) not in self._outlets:
                self._outlets[name, options] = await asyncio.to_thread(
                    self._open_outlet, name, orjson.loads(options)
                )
            return self._outlets[name, options]
