"""G24: a daemon at steady load for long. Nothing that it holds may grow but the database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.torture.edges.load import Load
from tests.torture.edges.stage import EFFECTS, Stage
from tests.torture.journal import read_lines
from tests.torture.slopes import SECONDS_PER_HOUR, slope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from tests.torture.edges.catalogue import Outcome
    from tests.torture.slopes import Look

LEAKS_VARIABLE = "SOAK_LEAKS"
MEGABYTE = 1e6
# The load: deliveries and files a second.
DELIVERIES = 40.0
FILES = 10.0
FILES_KEPT = 50
LOOK_SECONDS = 0.5
# So many deliveries of this size fill what is meant to fill, such as SQLite's cache, before anything is measured.
FIRST_DELIVERIES = 400
FIRST_BYTES = 60_000
# What of the time goes by before anything is measured, and at least this.
WARM_SHARE = 0.15
WARM_SECONDS = 8.0
# G24 and G9, in bytes.
MOST_RESIDENT = 300e6
MOST_JOURNAL = 64e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How fast something may grow. `once` is what may come only once, however long is measured: caches, arenas."""

    name: str
    per_hour: float
    once: float

    def most_per_hour(self, seconds: float) -> float:
        return self.per_hour + self.once * SECONDS_PER_HOUR / seconds


BOUNDS = (
    # Statements that SQLite keeps prepared, one for each number of rows that a batch ever had, take 12.4 MB when all
    # are there; strings that pydantic keeps take 1.4 MB. At this load they fill over hours.
    Bound(name="resident bytes", per_hour=1e6, once=14e6),
    Bound(name="objects", per_hour=500, once=2_000),
    Bound(name="tasks", per_hour=0.5, once=20),
    Bound(name="descriptors", per_hour=0.5, once=5),
    Bound(name="threads", per_hour=0.5, once=5),
)


@dataclass(slots=True)
class Watch:
    """Looks at a process from outside: `looks` holds pairs of seconds and value by name."""

    pid: int
    journal: Path
    looks: dict[str, list[Look]] = field(default_factory=dict)
    began_at: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Note what the kernel says now (proc_pid_statm(5), proc_pid_status(5))."""
        proc = Path("/proc") / str(self.pid)
        pages = int((proc / "statm").read_text(encoding="ascii").split()[1])
        self._note("resident bytes", pages * os.sysconf("SC_PAGE_SIZE"))
        self._note("descriptors", len([*(proc / "fd").iterdir()]))
        self._note("threads", len([*(proc / "task").iterdir()]))
        with contextlib.suppress(FileNotFoundError):
            self._note("journal bytes", self.journal.stat().st_size)

    def add(self, gauges: list[dict[str, float]], seconds: float) -> None:
        """Add what the daemon told of itself, evenly over the time."""
        for number, line in enumerate(gauges):
            for name, value in line.items():
                at = seconds * number / len(gauges)
                self.looks.setdefault(name, []).append((at, value))

    def _note(self, name: str, value: float) -> None:
        self.looks.setdefault(name, []).append((time.monotonic() - self.began_at, value))


def soak(folder: Path, size: int, luck: Random, *, leaks: bool = False) -> Outcome:
    """`size` seconds of steady load from webhooks, files and timers; `leaks` proves that growth is found."""
    _install_outlet(folder / "stage")
    (folder / "stage" / "inbox").mkdir()
    environment = {LEAKS_VARIABLE: "1"} if leaks else {}
    with Stage(folder / "stage", "soak_project.py", environment=environment) as stage:
        asyncio.run(_warm(stage))
        watch = Watch(pid=stage.daemon.pid, journal=stage.state / "reactor.db-wal")
        told = len(stage.effects())
        sent, refused = asyncio.run(_load(stage, watch, size, luck))
        watch.add(read_lines(stage.folder / EFFECTS)[told:], size)
        figures = _judge(stage, watch, size)
        stage.expect(refused == 0, f"{refused} of {sent} deliveries were refused at a steady load")
    return stage.findings, {"deliveries": sent, **figures}


def _judge(stage: Stage, watch: Watch, seconds: float) -> dict[str, int]:
    figures: dict[str, int] = {}
    warm = max(WARM_SECONDS, WARM_SHARE * seconds)
    for bound in BOUNDS:
        looks = [look for look in watch.looks[bound.name] if look[0] >= warm]
        found, most = slope(looks), bound.most_per_hour(seconds - warm)
        stage.expect(
            found.at_least <= most,
            f"{bound.name} grew by {found} in {seconds - warm:.0f} s; expected {most:.3g}/h at most",
        )
        figures[f"longest slope of {bound.name} an hour"] = round(found.per_hour)
    for name, most in (("resident bytes", MOST_RESIDENT), ("journal bytes", MOST_JOURNAL)):
        largest = max((value for _, value in watch.looks.get(name, [])), default=0.0)
        stage.expect(largest <= most, f"{name}: {largest:.3g}, expected {most:.3g} at most")
        figures[f"longest {name}"] = round(largest)
    return figures


async def _warm(stage: Stage) -> None:
    padding = "x" * FIRST_BYTES
    load = _orders(stage, "warm", rate=100.0, more={"padding": padding})
    await load.run(FIRST_DELIVERIES / load.rate)


async def _load(stage: Stage, watch: Watch, seconds: float, luck: Random) -> tuple[int, int]:
    """Send all of it, and look at the daemon meanwhile. Return how many were sent, and how many refused."""
    load = _orders(stage, "order", rate=DELIVERIES)
    async with asyncio.TaskGroup() as group:
        others = [
            group.create_task(_watch(watch), name="watch"),
            group.create_task(_write_files(stage.folder, luck), name="files"),
        ]
        await load.run(seconds)
        for task in others:
            task.cancel()
    return len(load.shots), sum(shot.status != 202 for shot in load.shots)


def _orders(
    stage: Stage, name: str, *, rate: float, more: Mapping[str, object] | None = None
) -> Load:
    return Load(
        port=urlsplit(stage.daemon.hooks).port or 0,
        path="/orders",
        rate=rate,
        body=lambda number: {"n": number, "who": f"customer {number % 20}", **(more or {})},
        name=name,
    )


async def _watch(watch: Watch) -> None:
    while True:
        watch.look()
        await asyncio.sleep(LOOK_SECONDS)


async def _write_files(folder: Path, luck: Random) -> None:
    """Let files arrive whole, and take the oldest away: a folder that grows is no steady load."""
    number = 0
    while True:
        draft = folder / "draft"
        draft.write_bytes(luck.randbytes(luck.randrange(1, 2_000)))
        draft.rename(folder / "inbox" / f"{number}.dat")
        with contextlib.suppress(FileNotFoundError):
            (folder / "inbox" / f"{number - FILES_KEPT}.dat").unlink()
        number += 1
        await asyncio.sleep(1 / FILES)


def _install_outlet(folder: Path) -> None:
    """Put a plug-in where the daemon's Python finds it: an outlet that takes everything."""
    metadata = folder / "soak_outlet-0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: soak-outlet\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text("[reactor.outlets]\nsoak = soak_outlet:Nothing\n")
    (folder / "soak_outlet.py").write_text(
        "class Nothing:\n"
        "    def __init__(self, options): pass\n"
        "    async def deliver(self, outgoing, *, idempotency_key): pass\n"
        "    async def close(self): pass\n"
    )
