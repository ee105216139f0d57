"""Which run starts next. Pending runs are rows; here is a bounded window on them, and who is running.

Synchronous and without I/O: the engine calls it, and does the loading and starting that it asks for.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reactor.store.contract import PendingRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reactor.model.graph import Graph

WINDOW = 256


@dataclass(slots=True)
class Lane:
    """One workflow in the scheduler.

    `pending` counts durable pending runs, in the window or not; `arriving` are those that will be, once durable.
    `is_behind` tells that there are pending rows which the window does not hold.
    """

    graph: Graph
    running: int = 0
    pending: int = 0
    busy_keys: set[str] = field(default_factory=set)
    window: deque[PendingRun] = field(default_factory=deque)
    arriving: set[int] = field(default_factory=set)
    starting: set[int] = field(default_factory=set)
    is_behind: bool = False
    # All pending rows were looked at and every key is busy: nothing to look for until a run leaves or arrives.
    is_stuck: bool = False
    is_refilling: bool = False
    after_key: str = ""
    # What happened while a refill's rows were read, which they cannot show: a run was lined up, runs were started.
    has_news: bool = False
    begun: set[int] = field(default_factory=set)
    # Whether `pending` holds the rows of earlier processes too; until then nothing may overtake them.
    is_counted: bool = False
    # Its place in the order of turns.
    turn: int = 0

    @property
    def has_room(self) -> bool:
        return self.running < self.graph.concurrency


@dataclass(frozen=True, slots=True)
class Start:
    """A pending run that has its place and can be loaded and started."""

    lane: Lane
    run: PendingRun


class Scheduler:
    """Hands out `limit` places to the lanes in turn, those of a higher priority first."""

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self.running = 0
        self.is_draining = False
        self.lanes: dict[str, Lane] = {}
        # Where something may wait: of a thousand workflows, those few that a turn has to look at.
        self._waiting: dict[str, Lane] = {}
        # The turn of the lane that was served last, by priority.
        self._served: dict[int, int] = {}
        # Of workflows that are gone: their runs in flight still hold places and keys, their rows still wait.
        self._retired: dict[str, Lane] = {}

    def define(self, graphs: Iterable[Graph]) -> None:
        """Set the workflows; those known before keep their runs."""
        names = set()
        for graph in graphs:
            names.add(graph.name)
            lane = self.find(graph.name) or Lane(graph)
            lane.graph = graph
            self.lanes[graph.name] = lane
            self._retired.pop(graph.name, None)
        for name in self.lanes.keys() - names:
            self._retired[name] = self.lanes.pop(name)
        for turn, lane in enumerate(self.lanes.values()):
            lane.turn = turn
        self._served.clear()
        self._waiting = dict(self.lanes)

    def find(self, workflow: str) -> Lane | None:
        """Return the lane of a workflow that is, or was, defined."""
        return self.lanes.get(workflow) or self._retired.get(workflow)

    def count(self, lane: Lane, pending: int) -> None:
        """Tell how many rows waited when the lane was made."""
        lane.is_counted = True
        lane.pending += pending
        if pending:
            # The window holds younger runs, which must not overtake them; it is read anew, in order.
            lane.window.clear()
            lane.is_behind = True
            self._note(lane)

    def place(self, lane: Lane, run: PendingRun) -> bool:
        """Decide for a new run whether it starts at once (True) or waits as a row.

        `placed` must follow, but for one that starts and has become durable.
        """
        starts = self._is_next(lane) and self._may_start(lane, run)
        if starts:
            self._occupy(lane, run.key)
        else:
            lane.arriving.add(run.id)
        return starts

    def claim(self, lane: Lane) -> bool:
        """Take a place for a new run without a key if it may start at once; if not, `line_up` must follow."""
        if self._is_next(lane):
            self._occupy(lane, None)
            return True
        return False

    def _is_next(self, lane: Lane) -> bool:
        """Return whether a new run has nobody to wait for but for one of its key."""
        return (
            not self.is_draining
            and lane.is_counted
            and self.running < self.limit
            and lane.has_room
            and not lane.pending
            and not lane.arriving
        )

    def has_places(self, lanes: Iterable[Lane], count: int) -> bool:
        """Return whether so many new runs of each lane could start at once, as far as that can be had at all."""
        return all(
            not lane.pending
            and not lane.arriving
            and (
                lane.running + count <= lane.graph.concurrency or 2 * count > lane.graph.concurrency
            )
            for lane in lanes
        )

    def placed(self, lane: Lane, run: PendingRun, *, starts: bool, is_durable: bool) -> None:
        """Tell what became of a placed run: it is durable, or it was known before or refused and is no more."""
        if starts:
            if not is_durable:
                self.leave(lane, run.key)
            return
        lane.arriving.discard(run.id)
        if is_durable:
            self._add_pending(lane, run)

    def leave(self, lane: Lane, key: str | None) -> None:
        """A run has left its place."""
        self.running -= 1
        lane.running -= 1
        lane.is_stuck = False
        if key is not None:
            lane.busy_keys.discard(key)

    def next_starts(self) -> list[Start]:
        """Return the runs that start now, each with its place taken; lanes take turns within one priority."""
        starts: list[Start] = []
        if self.is_draining:
            return starts
        lanes = self._lanes_in_turn()
        progress = True
        while progress and self.running < self.limit:
            progress = False
            for lane in lanes:
                if self.running >= self.limit:
                    break
                run = self._next_of(lane)
                if run is not None:
                    starts.append(Start(lane, run))
                    progress = True
        if starts:
            last = starts[-1].lane
            self._served[last.graph.priority] = last.turn
        return starts

    def _lanes_in_turn(self) -> list[Lane]:
        """Return where something may wait; of one priority first the lanes after the one that was served last."""
        for name in [
            name for name, lane in self._waiting.items() if not (lane.window or lane.is_behind)
        ]:
            del self._waiting[name]

        def turn_of(lane: Lane) -> tuple[int, bool, int]:
            priority = lane.graph.priority
            return -priority, lane.turn <= self._served.get(priority, -1), lane.turn

        return sorted(self._waiting.values(), key=turn_of)

    def _note(self, lane: Lane) -> None:
        """Look at a lane again: its window has runs, or there are rows behind it."""
        if self.lanes.get(lane.graph.name) is lane:
            self._waiting[lane.graph.name] = lane

    def started(self, start: Start) -> None:
        """The run is durably running: it is no longer a pending row."""
        lane = start.lane
        lane.starting.discard(start.run.id)
        if lane.is_refilling:
            lane.begun.add(start.run.id)

    def line_up(self, lane: Lane) -> None:
        """One more row waits, and nothing is known of it but that."""
        lane.pending += 1
        lane.is_behind = True
        lane.is_stuck = False
        lane.has_news = lane.is_refilling
        self._note(lane)

    def lanes_to_refill(self) -> list[Lane]:
        """Return lanes whose window holds nothing that could start while rows wait behind it."""
        if self.is_draining:
            return []
        return [
            lane
            for lane in self._waiting.values()
            if lane.is_behind
            and lane.is_counted
            and not lane.is_refilling
            and not lane.is_stuck
            and lane.has_room
            and not any(self._may_start(lane, run) for run in lane.window)
        ]

    def refill(self, lane: Lane, oldest: Sequence[PendingRun], heads: Sequence[PendingRun]) -> None:
        """Give a lane a new window: its oldest pending rows and, where keys go in turn, the oldest of each key."""
        lane.is_refilling = False
        # A row may be read before its `placed` has told of it, and after its start was asked for.
        gone = lane.starting | lane.begun | lane.arriving
        by_id = {run.id: run for run in (*oldest, *heads) if run.id not in gone}
        lane.window = deque(by_id[run] for run in sorted(by_id))
        lane.is_behind = len(lane.window) < lane.pending
        lane.after_key = heads[-1].key or "" if len(heads) >= WINDOW else ""
        lane.is_stuck = not (lane.after_key or lane.has_news) and not any(
            self._may_start(lane, run) for run in lane.window
        )
        lane.has_news = False
        lane.begun.clear()
        self._note(lane)

    def refill_failed(self, lane: Lane) -> None:
        """The rows could not be read; the lane shows what it showed before."""
        lane.is_refilling = False
        lane.has_news = False
        lane.begun.clear()

    def _occupy(self, lane: Lane, key: str | None) -> None:
        self.running += 1
        lane.running += 1
        if key is not None:
            lane.busy_keys.add(key)

    def _add_pending(self, lane: Lane, run: PendingRun) -> None:
        lane.pending += 1
        if self._may_start(lane, run):
            lane.is_stuck = False
        if lane.is_behind or lane.is_refilling or len(lane.window) >= WINDOW:
            lane.is_behind = True
            lane.has_news = lane.is_refilling
        else:
            lane.window.append(run)
        self._note(lane)

    def _may_start(self, lane: Lane, run: PendingRun) -> bool:
        return run.key is None or run.key not in lane.busy_keys

    def _next_of(self, lane: Lane) -> PendingRun | None:
        if not lane.has_room or not lane.is_counted:
            return None
        for index, run in enumerate(lane.window):
            if self._may_start(lane, run):
                del lane.window[index]
                lane.pending -= 1
                lane.starting.add(run.id)
                self._occupy(lane, run.key)
                return run
        return None
