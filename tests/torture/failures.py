"""G7: the n-th call to the disk fails while a store starts, migrates, works, empties its journal, removes and closes.

From the first error that the store hears of nothing more is acknowledged, it says so once, and the next start finds
everything that was acknowledged, even if the system drops whatever was not synced, as it may after a failed sync.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reactor.errors import ReactorError, StoreStoppedError
from reactor.store.sqlite import SqliteStore
from tests.torture.cuts import inspect, small_journal
from tests.torture.disks import FailingDisk, IdleDisk
from tests.torture.images import Platter
from tests.torture.recording import Recording
from tests.torture.vfs import layered
from tests.torture.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.torture.disks import Call
    from tests.torture.workload import Fact

ROUNDS = 2
LIVES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Which call failed, None where there were fewer calls; what the store said of it, and did wrong."""

    call: Call | None
    said: str
    findings: list[str]


@dataclass(slots=True)
class _Seen:
    """A witness of one store whose disk fails."""

    facts: set[int] = field(default_factory=set)
    stopped: list[str] = field(default_factory=list)
    refusals: list[ReactorError] = field(default_factory=list)
    late: int = 0
    is_kept_quiet: bool = False

    def asked(self) -> bool:
        """Return whether this is asked after somebody was refused, or the owner told."""
        return bool(self.refusals or self.stopped)

    def told(self, asked: object, fact: int) -> None:
        self.late += bool(asked)
        self.facts.add(fact)

    def refused(self, asked: object, error: ReactorError) -> None:
        self.refusals.append(error)

    def withdraw(self, fact: int) -> None:
        self.facts.discard(fact)


async def calls_of_a_run(folder: Path, seed: str) -> int:
    """Return how many calls a run makes on a sound disk: as many failures there are to try."""
    disk = FailingDisk(IdleDisk(), 0, lasts=False)
    seen = _Seen()
    await _work(folder, disk, Workload(seed, seen, rounds=ROUNDS), seen)
    return disk.calls


async def fail(folder: Path, seed: str, number: int, *, lasts: bool) -> Failure:
    """Run on a disk whose `number`-th call fails; look at what the store did, and at what the next one finds."""
    recording, seen = Recording(), _Seen()
    disk = FailingDisk(recording, number, lasts=lasts)
    workload = Workload(seed, seen, rounds=ROUNDS)
    said = await _work(folder, disk, workload, seen)
    findings = _findings(seen, disk)
    if disk.failed is None:
        shutil.rmtree(folder)
    else:
        luck = random.Random(f"{seed} {number} {lasts}")
        facts = [workload.facts[fact] for fact in sorted(seen.facts)]
        platter = Platter()
        for entry in recording.entries:
            platter.follow(entry)
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        for name, content in platter.image(luck).items():
            (folder / name).write_bytes(content)
        findings += await _restart(folder, facts)
        shutil.rmtree(folder)
    return Failure(call=disk.failed, said=said, findings=findings)


async def _work(folder: Path, disk: FailingDisk, workload: Workload, seen: _Seen) -> str:
    """Live until the end or the first failure; return what the store said, "" for nothing."""
    folder.mkdir(mode=0o700, exist_ok=True)
    with layered(folder, disk), small_journal(beside_bytes=2**40):
        for _ in range(LIVES):
            is_sound = disk.failed is None
            try:
                store = await SqliteStore.open(
                    folder, stopped=lambda error: seen.stopped.append(str(error))
                )
            except ReactorError as error:
                return str(error)
            try:
                await workload.live(store)
            finally:
                # Nobody needs to hear of a failed delete, or of one while closing: what counts is durable already. Nor
                # that the journal stays longer than its limit, which SQLite passes over: what is cut off is not in use.
                must_hear = is_sound and disk.failed not in (None, "delete") and not _is_limit(disk)
                await store.close()
            if seen.stopped:
                return seen.stopped[0]
            seen.is_kept_quiet |= must_hear
    return ""


def _is_limit(disk: FailingDisk) -> bool:
    """Return whether the call that failed was to cut the journal to its limit."""
    return disk.failed == "truncate" and disk.failed_name.endswith("-wal")


def _findings(seen: _Seen, disk: FailingDisk) -> list[str]:
    where = f"after the failed {disk.failed} of {disk.failed_name}"
    findings = []
    if seen.late:
        findings.append(f"G7: {seen.late} acknowledgements {where}")
    if seen.is_kept_quiet:
        findings.append(f"G7: nobody was told {where}")
    if len(seen.stopped) > 1 or (seen.refusals and not seen.stopped):
        findings.append(f"G7: the owner was told {len(seen.stopped)} times {where}")
    findings += [
        f"G7: refused with {error!r} {where}"
        for error in seen.refusals
        if not isinstance(error, StoreStoppedError)
    ]
    return findings


async def _restart(folder: Path, facts: Sequence[Fact]) -> list[str]:
    with layered(folder, IdleDisk()):
        try:
            store = await SqliteStore.open(folder)
        except ReactorError as error:
            return [f"G7: the next start is refused: {error}"]
        with closing(sqlite3.connect(folder / "reactor.db", isolation_level=None)) as database:
            _, why = inspect(database, facts)
        await store.close()
    return [f"G7: at the next start {why}"] if why else []
