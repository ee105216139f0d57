"""G22: a daemon whose clock steps by up to a day, ended and started again around the instants of its timers."""

from __future__ import annotations

import mmap
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.torture.edges.layer import built_layer
from tests.torture.edges.stage import Stage
from tests.torture.evidence import micros_of

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.torture.edges.catalogue import Outcome

TIMERS = ("all", "last", "skip", "cron")
SECOND = 1_000_000
PERIOD = 300 * SECOND
DAY = 86_400 * SECOND
STEPS = (SECOND, 60 * SECOND, PERIOD, 3_600 * SECOND, DAY)
# The clock never shows a time further than this from the real one: what is older than the retention is removed.
FURTHEST = 2 * DAY
# A start lasts about as long as this, so that instants come before it is ready, then, and after.
MOST_AHEAD = 2 * SECOND
MOST_LIFE_SECONDS = 0.6
FRESH_SHARE = 0.7
# What was decided before the clock was set back may be accepted so long after it.
IN_HAND = SECOND


@dataclass(slots=True)
class SteppedClock:
    """What the daemon takes for the wall clock. Instants and steps are microseconds."""

    environment: dict[str, str]
    _page: mmap.mmap
    offset: int = 0
    latest: int = 0
    # Steps back while the daemon ran: what the clock showed before, and after.
    steps_back: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def in_folder(cls, folder: Path) -> SteppedClock:
        path = folder / "clock"
        path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            page = mmap.mmap(file.fileno(), 8)
        environment = {**built_layer("clock", folder), "EDGE_CLOCK": str(path)}
        return cls(environment=environment, _page=page)

    def now(self) -> int:
        return time.time_ns() // 1000 + self.offset

    def step(self, micros: int, *, in_life: bool = False) -> None:
        """Step the clock, for a daemon that runs or for the next one."""
        before = self.now()
        self.latest = max(self.latest, before)
        self.offset += micros
        self._page[:8] = struct.pack("=q", 1000 * self.offset)
        if in_life and micros < 0:
            self.steps_back.append((before, before + micros))

    def step_at_random(self, luck: Random, *, in_life: bool = False) -> None:
        """Step the clock either way, but never too far from the real one."""
        micros = luck.choice(STEPS) * luck.choice((-1, 1))
        too_far = abs(self.offset + micros) > FURTHEST
        self.step(-micros if too_far else micros, in_life=in_life)


def clocks(folder: Path, size: int, luck: Random) -> Outcome:
    """`size` lives of a daemon with four timers; its clock steps before each life, and within some."""
    clock = SteppedClock.in_folder(folder)
    place = folder / "stage"
    with Stage(place, "clocks_project.py", environment=clock.environment, begin=False) as stage:
        for _ in range(size):
            clock.step_at_random(luck)
            _go_near_an_instant(clock, luck)
            stage.daemon.start()
            threading.Event().wait(luck.uniform(0, MOST_LIFE_SECONDS))
            if luck.random() < 0.5:
                clock.step_at_random(luck, in_life=True)
                threading.Event().wait(luck.uniform(0, MOST_LIFE_SECONDS))
            if luck.random() < 0.5:
                stage.daemon.kill()
            else:
                stage.stop()
        last = _finish(stage, clock)
        figures = _judge(stage, clock, last)
    return stage.findings, {"restarts": size, **figures}


def _go_near_an_instant(clock: SteppedClock, luck: Random) -> None:
    """Mostly the first that the clock never showed: a timer that has seen it later waits until it is there again."""
    if luck.random() < FRESH_SHARE:
        clock.step(max(clock.latest - clock.now(), 0))
    clock.step(-clock.now() % PERIOD - luck.randrange(MOST_AHEAD))


def _finish(stage: Stage, clock: SteppedClock) -> int:
    """Live on until every timer is past all that it ever saw; return the instant that all must have reached."""
    clock.step(max(clock.latest - clock.now(), 0) + PERIOD)
    clock.step(-clock.now() % PERIOD - SECOND)
    last = clock.now() // PERIOD * PERIOD
    stage.daemon.start()
    stage.until(
        lambda: all(max(_settled(stage, timer), default=0) > last for timer in TIMERS),
        "every timer went on after the last restart",
    )
    return last


def _settled(stage: Stage, timer: str) -> list[int]:
    """Return the occurrences of a timer that fired or have a row that says why not, in order."""
    if not (stage.state / "reactor.db").exists():
        return []
    fired = [time for (time,) in stage.select("SELECT time FROM event WHERE sensor = ?", timer)]
    passed = stage.select("SELECT occurrence FROM skipped WHERE sensor = ?", timer)
    return sorted([*fired, *(micros_of(name.rpartition("@")[2]) for (name,) in passed)])


def _judge(stage: Stage, clock: SteppedClock, last: int) -> dict[str, int]:
    """Each occurrence from the first to the last is there once, and none fired before the clock had shown it."""
    count = 0
    for timer in TIMERS:
        settled = _settled(stage, timer) or [last]
        count += len(settled)
        expected = [*range(settled[0], max(settled[-1], last) + 1, PERIOD)]
        known = set(settled)
        stage.expect_none([at for at in expected if at not in known], f"of {timer} lost")
        stage.expect_none([*known.difference(expected)], f"of {timer} out of turn")
        stage.expect(len(settled) == len(known), f"{len(settled) - len(known)} of {timer} twice")
    rows = stage.select("SELECT id, time, accepted_at FROM event")
    stage.expect_none(
        [name for name, at, accepted_at in rows if _is_early(at, accepted_at, clock)], "fired early"
    )
    return {"occurrences": count, "fired": len(rows), "steps back": len(clock.steps_back)}


def _is_early(at: int, accepted_at: int, clock: SteppedClock) -> bool:
    """Return whether an occurrence was accepted before its time, as the clock showed it when that was decided."""
    return accepted_at < at and not any(
        at <= before and after <= accepted_at <= after + IN_HAND
        for before, after in clock.steps_back
    )
