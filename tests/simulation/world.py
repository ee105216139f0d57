"""What lies outside the simulated process: time, the disk, the sources, and a log of all that was seen to happen.

Nothing in the engine reads any of it. Everything the checker knows comes from here and from the database's rows.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.simulation.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reactor.engine.engine import Engine
    from tests.simulation.loop import SimulationLoop
    from tests.simulation.plan import Plan, SourcePlan, WorkflowPlan

FIRST_PAUSE_SECONDS = 0.05
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Effect:
    """One call of a step. `ended` says how the call ended, None where it was cut off; `life` counts from 0."""

    life: int
    run: str
    workflow: str
    step: str
    attempt: int
    key: str
    events: tuple[str, ...]
    got: dict[str, Any]
    token: str
    ended: str | None = None


@dataclass(slots=True)
class Source:
    """A source and what it knows: which messages were acknowledged, and during which reloads each was offered."""

    plan: SourcePlan
    began_at: float
    acknowledged: set[int] = field(default_factory=set)
    # In a row, since the last message that was taken.
    refusals: int = 0
    # The definitions in force, by number, from the start of each delivery to its end; None for one that was cut off.
    offered: defaultdict[int, list[tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def id_of(self, number: int) -> str:
        return f"{self.plan.name}-{number}"

    def is_garbage(self, number: int) -> bool:
        return self.plan.garbage > 0 and number % self.plan.garbage == 3

    def is_skipped(self, number: int) -> bool:
        return self.plan.skips > 0 and number % self.plan.skips == 2

    def due_at(self, number: int) -> float:
        """Return when a message comes into being, on the loop's clock."""
        return self.began_at + number * self.plan.gap_ms / 1000

    def refused(self) -> float:
        """Return the seconds that a sender waits after a refusal, longer after each."""
        self.refusals += 1
        return FIRST_PAUSE_SECONDS * float(1.3 ** min(self.refusals, 25))

    @property
    def is_done(self) -> bool:
        return len(self.acknowledged) == self.plan.count


class World:
    """One simulation's outside."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.luck = random.Random(f"world {plan.seed}")
        self.disk = Disk(self.luck)
        self.wall_offset = timedelta(0)
        self.sources = {source.name: Source(source, 0.0) for source in plan.sources}
        self.effects: list[Effect] = []
        self.findings: list[str] = []
        self.figures: Counter[str] = Counter()
        self.life = -1
        self.loop: SimulationLoop | None = None
        # The definitions: each reload makes a new number; by number, the workflows that are loaded.
        self.loaded: list[frozenset[str]] = []
        self.in_flight_at_end: list[set[int]] = []
        self.parked: list[list[int]] = []
        self.active: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._trace = hashlib.sha256()
        self._limits = {workflow.name: workflow.concurrency for workflow in plan.workflows}
        self.disk.committed = self._committed
        self.disk.is_full = self._is_full
        self.lines: list[str] | None = None
        # While a dead process is taken apart, nothing that its remains do is seen.
        self.is_down = False
        self.full_until = 0.0
        self._releasing: set[int] = set()
        # Requests of senders that are under way, in the order in which they were made.
        self.requests: list[asyncio.Task[None]] = []

    @property
    def trace(self) -> str:
        """A digest of all that happened, in order."""
        return self._trace.hexdigest()

    def now(self) -> datetime:
        """Return what a clock on the wall says."""
        elapsed = 0.0 if self.loop is None else self.loop.time()
        return NEW_YEAR + self.wall_offset + timedelta(seconds=elapsed)

    def note(self, *words: object) -> None:
        """Add a line to the trace."""
        if self.is_down:
            return
        elapsed = 0.0 if self.loop is None else self.loop.time()
        line = f"{elapsed:.6f} {' '.join(map(str, words))}"
        self._trace.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    def find(self, finding: str) -> None:
        """Note that a promise was broken."""
        if self.is_down:
            return
        self.note("finding", finding)
        self.findings.append(finding)

    def step_clock(self, milliseconds: int) -> None:
        """Step the wall clock, as an operator or NTP would."""
        self.wall_offset += timedelta(milliseconds=milliseconds)

    def describe(self) -> str:
        """Return in one line what is not at its end."""
        runs = self.disk.rows("SELECT workflow, state, count(*) FROM run GROUP BY workflow, state")
        left = {
            name: source.plan.count - len(source.acknowledged)
            for name, source in self.sources.items()
        }
        return f"runs {runs}; not acknowledged {left}"

    def end_of_engine(self, engine: Engine) -> None:
        """G6, G33: after an orderly end of all work nothing is taken, counted or waiting any more."""
        for name, budget in (*engine.credits.items(), ("bytes", engine.bytes)):
            if budget.used or budget.waiting:
                self.find(f"credit: {budget.used} of {name} are still taken, {budget.waiting} wait")
        if engine.running or engine.scheduler.running:
            self.find(
                f"places: {engine.running} runs and {engine.scheduler.running} places at the end"
            )
        for name, lane in engine.scheduler.lanes.items():
            left = (
                lane.running,
                lane.pending,
                len(lane.arriving),
                len(lane.starting),
                len(lane.busy_keys),
            )
            if any(left):
                self.find(
                    f"places: {name} ends with (running, pending, arriving, starting, keys) {left}"
                )
        me = asyncio.current_task()
        tasks = sorted(
            task.get_name() for task in asyncio.all_tasks() if task is not me and not task.done()
        )
        if tasks != ["life"]:
            self.find(f"G6: tasks are left: {tasks}")

    def loads(self, names: Sequence[str]) -> None:
        """Note which workflows are loaded from now on."""
        self.loaded.append(frozenset(names))
        self.note("loads", *names)

    def acknowledge(self, source: Source, number: int, since: int, *, duplicate: bool) -> None:
        """Note that the process took responsibility for a message."""
        source.offered[number].append((since, len(self.loaded) - 1))
        self.note("acknowledged", source.id_of(number), duplicate)
        if number in source.acknowledged and not duplicate:
            self.find(f"G3: {source.id_of(number)} was acknowledged before, and is new again")
        source.acknowledged.add(number)
        source.refusals = 0

    def begin(self, effect: Effect) -> None:
        """Note the call of a step, and look whether it may be called now."""
        self.effects.append(effect)
        self.figures["calls"] += 1
        self.note("calls", effect.run, effect.step, effect.attempt, *effect.events)
        run = number_of(effect.run)
        state = self.disk.rows("SELECT state FROM run WHERE id = ?", run)
        if state != [("running",)]:
            self.find(f"G5: step {effect.step} of run {run} is called while its row says {state}")
        ends = dict(self.disk.rows("SELECT name, outcome FROM step WHERE run = ?", run))
        if effect.step in ends:
            self.find(f"G4: step {effect.step} of run {run} is called, its end is durable")
        results = dict(self.disk.rows("SELECT name, result FROM step WHERE run = ?", run))
        for name, value in effect.got.items():
            wanted = f'"{value}"'.encode()
            if results.get(name) != wanted:
                self.find(
                    f"G4: step {effect.step} of run {run} got {value} of {name}; durable is {results.get(name)!r}"
                )

    def enter(self, workflow: str, run: str) -> None:
        """Count a run that executes something, and look whether there are too many."""
        active = self.active[workflow]
        active[run] += 1
        if len(active) > self._limits[workflow]:
            self.find(f"concurrency: {len(active)} runs of {workflow} at once")
        if sum(map(len, self.active.values())) > self.plan.most_running:
            self.find(f"concurrency: more than {self.plan.most_running} runs at once")

    def leave(self, workflow: str, run: str) -> None:
        """Count it no more."""
        active = self.active[workflow]
        active[run] -= 1
        if not active[run]:
            del active[run]

    def _is_full(self) -> bool:
        return self.loop is not None and self.loop.time() < self.full_until

    def _committed(self, operations: Sequence[Any]) -> None:
        self.figures["commits"] += 1
        self.note("commits", *(type(operation).__name__ for operation in operations))
        rows = self.disk.rows(
            "SELECT workflow, count(*) FROM run WHERE state IN ('running', 'waiting') GROUP BY workflow"
        )
        for workflow, count in rows:
            if count > self._limits[workflow]:
                self.find(f"concurrency: {count} durable runs of {workflow} in flight")

    def releases(self) -> None:
        """Note what an orderly end puts back."""
        self._releasing = self._in_flight()

    def _in_flight(self) -> set[int]:
        rows = self.disk.rows("SELECT id FROM run WHERE state IN ('running', 'waiting')")
        return {run for (run,) in rows}

    def ends_life(self, how: str) -> None:
        """Note the end of a process, and what was in flight then."""
        self.in_flight_at_end.append(self._in_flight() | self._releasing)
        self._releasing = set()
        self.active.clear()
        self.requests.clear()
        self.figures[how] += 1
        self.note("ends", how, *sorted(self.in_flight_at_end[-1]))


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def number_of(spelled: str) -> int:
    """Return the integer of an id as people see it: 13 digits of Crockford's base 32."""
    number = 0
    for character in spelled:
        number = number * 32 + _ALPHABET.index(character)
    return number


def is_settled(world: World) -> bool:
    """Return whether all sources are acknowledged and all that came of them has its end."""
    if not all(source.is_done for source in world.sources.values()):
        return False
    if world.disk.rows("SELECT 1 FROM run WHERE state <> 'finished' OR outcome = 'dead' LIMIT 1"):
        return False
    for workflow in world.plan.workflows:
        if workflow.batch_size is not None:
            rows = world.disk.rows(
                "SELECT decisions FROM event WHERE NOT EXISTS (SELECT 1 FROM run WHERE workflow = ?"
                " AND event.seq BETWEEN run.event AND run.last_event)",
                workflow.name,
            )
            if any(
                [workflow.name, "gathered"] == row[:2]
                for (text,) in rows
                for row in json.loads(text)
            ):
                return False
    return True


def matches(plan: WorkflowPlan, number: int) -> str:
    """Return what a workflow makes of a message: "fires", "refuses" or "chokes"."""
    if plan.chokes_on is not None and number % plan.chokes_on == 0:
        return "chokes"
    return "fires" if number % plan.modulus < plan.below else "refuses"
