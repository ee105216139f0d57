"""Plays a plan: one life after the other over the same disk, then the checker."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import patch

from reactor.engine import arrivals
from reactor.store.sqlite import filters, identities, ranges
from tests.simulation.checker import check
from tests.simulation.definitions import graph_of
from tests.simulation.loop import Livelock, ProcessDied, SimulationLoop
from tests.simulation.process import Process, reporter, sensors_of
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.plan import Plan

DOWN_SECONDS = 0.02
# A daemon that cannot start is started again as systemd does it.
REFUSED_SECONDS = 1.0
MOST_LIVES = 60
SMALLEST_BLOCK = 2
SEGMENT_EVENTS = 4
SMALLEST_RANGE = 2
PLACE_BITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a simulation; `trace` is a digest of all that happened, equal for equal plans."""

    findings: list[str]
    trace: str
    figures: Counter[str]
    lines: list[str]


def simulate(plan: Plan, *, keeps_lines: bool = False) -> Outcome:
    """Return what came of a plan. Nothing of it depends on anything but the plan."""
    world = World(plan)
    if keeps_lines:
        world.lines = []
    try:
        # Plans have few messages; blocks, and segments and ranges of identities, are for many.
        with (
            patch.object(arrivals, "SMALLEST_BLOCK", SMALLEST_BLOCK),
            patch.multiple(identities, SEGMENT_EVENTS=SEGMENT_EVENTS, FEWEST_ROWS=2, PART_ROWS=2),
            patch.object(ranges, "SMALLEST_RANGE", SMALLEST_RANGE),
            patch.object(filters, "PLACE_BITS", PLACE_BITS),
        ):
            _live_on(world)
        findings = [*world.findings, *check(world)]
        ((world.figures["blocks"],),) = world.disk.rows("SELECT count(*) FROM event_block")
        ((world.figures["segments"],),) = world.disk.rows("SELECT count(*) FROM identity_segment")
        ((world.figures["ranges"],),) = world.disk.rows("SELECT count(*) FROM identity_range")
    finally:
        world.disk.close()
    return Outcome(
        findings=findings, trace=world.trace, figures=world.figures, lines=world.lines or []
    )


def _live_on(world: World) -> None:
    sensors = sensors_of(world)
    graphs = {plan.name: graph_of(plan, sensors, world) for plan in world.plan.workflows}
    happenings = [*world.plan.happenings]
    elapsed = 0.0
    for life in range(MOST_LIVES):
        world.life = life
        loop = SimulationLoop(random.Random(f"loop {world.plan.seed} {life}"), elapsed=elapsed)
        how = _live(world, loop, lambda: Process(world, graphs, sensors, happenings))
        down = REFUSED_SECONDS if how == "refused" else world.luck.random() * DOWN_SECONDS
        elapsed = loop.time() + down
        if how == "end":
            return
    world.find(f"stuck: it did not come to an end in {MOST_LIVES} lives")


def _live(world: World, loop: SimulationLoop, process: Callable[[], Process]) -> str:
    world.loop = loop
    loop.set_exception_handler(reporter(world))

    async def live() -> str:
        return await process().run()

    try:
        how = loop.run_until_complete(loop.create_task(live(), name="life"))
    except ProcessDied:
        how = "die"
    except Livelock as error:
        world.find(f"stuck: {error}: {world.describe()}")
        how = "end"
    world.ends_life(how)
    world.figures["turns"] += loop.turns
    world.is_down = True
    loop.bury()
    world.is_down = False
    return how
