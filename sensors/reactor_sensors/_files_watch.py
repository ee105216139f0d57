"""The loop of the files sensor: hints and scans in, accepted events and ledger rows out."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, Unpack

from reactor.api import StoreFullError, monotonic
from reactor_sensors._files_event import arrival, printable
from reactor_sensors._files_glob import outermost
from reactor_sensors._files_hints import Hint, HintKind, HintSource, NoHints
from reactor_sensors._files_ledger import Ledger, Observation, Version, key_of, path_of, row_of
from reactor_sensors._files_ready import AT_ONCE, Evidence, Readiness, time_to_wait
from reactor_sensors._files_tree import Folder, RootLostError, Slice, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reactor.api import Event, Intake
    from reactor_sensors._files_event import FileArrived

    SourceFactory = Callable[
        [asyncio.AbstractEventLoop, Callable[[Sequence[Hint]], None]], HintSource
    ]

Ts = TypeVarTuple("Ts")
R = TypeVar("R")

EVENTS_PER_COMMIT = 256
PATHS_PER_LOOK = 256
KEYS_PER_LOOK = 1024
# So few are looked at on the loop itself; one that took so long sends all to the thread for a while.
PATHS_AT_HAND = 4
SLOW_LOOK_SECONDS = 0.01
SLOW_LOOK_PAUSE_SECONDS = 60.0
MOST_HINTS = 100_000
MOST_NOTED = 1000
ROOT_RETRY_SECONDS = 0.5
ROOT_CHECK_SECONDS = 1.0
FIRST_REFUSAL_WAIT_SECONDS = 0.1
LONGEST_REFUSAL_WAIT_SECONDS = 30.0
_EVIDENCE = {
    HintKind.TOUCHED: Evidence.TOUCHED,
    HintKind.SEEN: Evidence.SEEN,
    HintKind.CLOSED: Evidence.CLOSED,
    HintKind.MOVED: Evidence.MOVED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often to look. `rescan` is between full scans; `poll` the same where no hints come."""

    settle: timedelta
    rescan: timedelta
    poll: timedelta


@dataclass(frozen=True, slots=True)
class Pending:
    """A file that is not ready: the version last seen, since when, and when to look again (loop
    time).
    """

    version: Version
    since: float
    due: float


class FilesWatch:
    """Watches one tree for one sensor until cancelled. One task; what may wait for the disk is done
    in its one thread.
    """

    def __init__(
        self,
        tree: Tree,
        ledger: Ledger,
        intake: Intake,
        *,
        readiness: Readiness,
        pace: Pace,
        new_source: SourceFactory,
    ) -> None:
        self._tree, self._ledger, self._intake = tree, ledger, intake
        self._readiness, self._pace, self._new_source = readiness, pace, new_source
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"files {intake.sensor[:40]}")
        self._source: HintSource = NoHints()
        self._hints: dict[str, Evidence] = {}
        self._folders: dict[str, None] = {}
        self._pending: dict[str, Pending] = {}
        self._look_due = float("inf")
        self._scan_due = 0.0
        self._no_scan_before = 0.0
        self._no_look_before = 0.0
        self._is_deaf = False
        # What the task waits for while it has nothing to do, and whether it was told meanwhile that it has.
        self._sleep: asyncio.Future[None] | None = None
        self._is_woken = False
        self._noted: set[tuple[str, str]] = set()
        self._why_down = ""

    async def run(self) -> None:
        """Watch. A missing root is waited for; every other error passes to the caller."""
        try:
            while True:
                try:
                    await self._thread(self._tree.find_root)
                    await self._watch_root()
                except RootLostError as error:
                    self._say_down(str(error))
                    await asyncio.sleep(ROOT_RETRY_SECONDS)
        finally:
            self._executor.shutdown(wait=False, cancel_futures=True)

    def note(self, hints: Sequence[Hint]) -> None:
        """Take hints. Called on the loop; never waits. Hints for one path become one."""
        for kind, path, why in hints:
            evidence = _EVIDENCE.get(kind)
            if evidence is not None:
                suffix = self._readiness.suffix
                if suffix and path.endswith(suffix):
                    path, evidence = path.removesuffix(suffix), Evidence.SEEN
                known = self._hints.get(path)
                if known is None or known < evidence:
                    self._hints[path] = evidence
            elif kind is HintKind.FOLDER:
                self._folders[path] = None
            elif kind is HintKind.LOST:
                self._intake.log.info("hints were lost, scanning", extra={"why": why})
                self._scan_due = min(self._scan_due, self._no_scan_before)
            else:
                self._warn_once("folder cannot be watched, it is scanned instead", path, why)
                self._be_deaf()
        if len(self._hints) + len(self._folders) > MOST_HINTS:
            # A scan finds the same without the memory.
            self._hints.clear()
            self._folders.clear()
            self._scan_due = min(self._scan_due, self._no_scan_before)
        self._is_woken = True
        if self._sleep is not None:
            _settle(self._sleep)

    async def _watch_root(self) -> None:
        self._hints.clear()
        self._folders.clear()
        self._scan_due = self._no_scan_before = self._loop.time()
        await self._start_source()
        try:
            await self._thread(self._tree.check_root, self._source.watch)
            self._why_down = ""
            self._intake.up()
            while True:
                await self._turn()
                await self._wait()
        finally:
            self._source.close()

    async def _start_source(self) -> None:
        source = await self._thread(self._new_source, self._loop, self.note)
        try:
            source.start()
        except OSError as error:
            self._warn_once("watcher cannot start, the folder is scanned instead", "", str(error))
            source.close()
            source = NoHints()
        self._source = source

    async def _turn(self) -> None:
        self._is_woken = False
        if self._loop.time() >= self._scan_due:
            await self._scan_all()
        elif self._folders:
            starts, self._folders = outermost(self._folders), {}
            await self._scan(starts, None)
        await self._take_hints()
        if self._loop.time() >= self._look_due:
            await self._look_again()
        if self._folders:
            # Found meanwhile, by a look at what a hint took for a file.
            self._is_woken = True

    async def _wait(self) -> None:
        check_due = self._loop.time() + ROOT_CHECK_SECONDS
        due = min(self._scan_due, self._look_due)
        while not self._is_woken and (now := self._loop.time()) < due:
            if now < check_due:
                await self._sleep_until(min(due, check_due))
            else:
                await self._thread(self._tree.check_root)
                check_due = self._loop.time() + ROOT_CHECK_SECONDS

    async def _sleep_until(self, due: float) -> None:
        """Return when `note` was called, or at this time of the loop: an Event and a timeout around it take longer."""
        self._sleep = self._loop.create_future()
        alarm = self._loop.call_at(due, _settle, self._sleep)
        try:
            await self._sleep
        finally:
            alarm.cancel()

    async def _scan_all(self) -> None:
        began_at = self._loop.time()
        self._scan_due = float("inf")
        self._is_deaf = self._source.is_deaf
        known, seen = self._ledger.keys(), set[str]()
        await self._scan([""], seen)
        await self._drop_deleted(known, seen)
        ended_at = self._loop.time()
        # At most half of the time for scans after losses, a tenth for polling, however large the
        # tree.
        self._no_scan_before = ended_at + (ended_at - began_at)
        usual = self._pace.poll if self._is_deaf else self._pace.rescan
        next_at = ended_at + max(usual.total_seconds(), 10 * (ended_at - began_at))
        # A loss during the scan has brought it forward already.
        self._scan_due = min(next_at, max(self._scan_due, self._no_scan_before))

    def _be_deaf(self) -> None:
        self._is_deaf = True
        self._scan_due = min(self._scan_due, self._loop.time() + self._pace.poll.total_seconds())

    async def _scan(self, starts: Sequence[str], seen: set[str] | None) -> None:
        scan = self._tree.scan(starts, self._source.watch, seen)
        while True:
            part = await self._thread(scan.next_slice)
            self._say_unread(part)
            ready = [found for found in part.found if self._is_ready(found, Evidence.SEEN)]
            await self._admit(ready)
            if part.restamped:
                await self._commit([], part.restamped)
                self._ledger.remember(part.restamped)
            if part.is_last:
                return
            # A long scan must not make a new file wait.
            await self._take_hints()

    async def _take_hints(self) -> None:
        while self._hints:
            if len(self._hints) <= PATHS_PER_LOOK:
                evidence, self._hints = self._hints, {}
            else:
                paths = [*self._hints][:PATHS_PER_LOOK]
                evidence = {path: self._hints.pop(path) for path in paths}
            await self._weigh(evidence)

    async def _look_again(self) -> None:
        now = self._loop.time()
        due = [path for path, pending in self._pending.items() if pending.due <= now]
        for start in range(0, len(due), PATHS_PER_LOOK):
            await self._weigh(dict.fromkeys(due[start : start + PATHS_PER_LOOK], Evidence.SEEN))
        self._look_due = min((p.due for p in self._pending.values()), default=float("inf"))

    async def _weigh(self, evidence: Mapping[str, Evidence]) -> None:
        things, left = self._look_at_hand([*evidence])
        if not left:
            await self._judge(things, evidence)
            return
        if len(left) < len(evidence):
            await self._judge(things, {p: e for p, e in evidence.items() if p not in left})
        things = await self._thread(self._tree.look, left)
        await self._judge(things, {path: evidence[path] for path in left})

    def _look_at_hand(
        self, paths: Sequence[str]
    ) -> tuple[Sequence[Observation | Folder], Sequence[str]]:
        """Look at once where that need not wait: a thread and back takes longer than the look."""
        began = monotonic()
        if len(paths) > PATHS_AT_HAND or began < self._no_look_before:
            return (), paths
        found = self._tree.look_at_hand(paths)
        if monotonic() - began > SLOW_LOOK_SECONDS:
            # Something waits all the same, as a scanner does that examines each file at its opening.
            self._no_look_before = began + SLOW_LOOK_PAUSE_SECONDS
        return found

    async def _judge(
        self, things: Sequence[Observation | Folder], evidence: Mapping[str, Evidence]
    ) -> None:
        """Accept what is ready of the things that are at the paths of `evidence`, and keep the rest in mind."""
        files: list[Observation] = []
        for thing in things:
            if isinstance(thing, Folder):
                self._folders[thing.path] = None
            else:
                files.append(thing)
        if Evidence.TOUCHED in evidence.values():
            files = await self._leave_touched(files, evidence)
        ready = [file for file in files if self._is_ready(file, evidence[file.path])]
        if len(files) < len(evidence):
            for path in evidence.keys() - {file.path for file in files}:
                self._pending.pop(path, None)
        await self._admit(ready)

    async def _leave_touched(
        self, files: Sequence[Observation], evidence: Mapping[str, Evidence]
    ) -> list[Observation]:
        """Note the new times of accepted files that were touched and not written; return the others.

        shutil.copy2 sets the times after it has closed the file: without this, such a copy would be
        two versions. Nobody writes the file now, and a writer who had closed it would have been heard.
        """
        touched = {
            file.path: file
            for file in files
            if evidence[file.path] is Evidence.TOUCHED
            and file.is_being_written is False
            and self._ledger.knows_content(file.path, file.version)
        }
        if not touched:
            return [*files]
        rows = {
            key_of(path): row_of(file.version, file.folder_device) for path, file in touched.items()
        }
        await self._commit([], rows)
        self._ledger.remember(rows)
        return [file for file in files if file.path not in touched]

    def _is_ready(self, file: Observation, evidence: Evidence) -> bool:
        now = self._loop.time()
        before = self._pending.pop(file.path, None)
        since = before.since if before is not None and before.version == file.version else now
        wait = time_to_wait(
            self._readiness,
            file,
            evidence=evidence,
            unchanged_for=timedelta(seconds=now - since),
            settle=self._pace.settle,
        )
        if wait:
            due = now + wait.total_seconds()
            self._pending[file.path] = Pending(file.version, since, due)
            self._look_due = min(self._look_due, due)
        return wait == AT_ONCE

    async def _admit(self, files: Sequence[Observation]) -> None:
        for start in range(0, len(files), EVENTS_PER_COMMIT):
            events, rows = [], {}
            for file in files[start : start + EVENTS_PER_COMMIT]:
                events.append(arrival(self._tree.root, file, source=self._intake.sensor))
                rows[key_of(file.path)] = row_of(file.version, file.folder_device)
            await self._commit(events, rows)
            self._ledger.remember(rows)

    async def _commit(
        self, events: Sequence[Event[FileArrived]], rows: Mapping[str, bytes | None]
    ) -> None:
        """Make events and ledger rows durable together; waits for credit, and for space on a full
        disk.
        """
        delay = FIRST_REFUSAL_WAIT_SECONDS
        while True:
            try:
                if len(events) == 1:
                    await self._intake.accept(events[0], cursor=rows)
                elif events:
                    await self._intake.accept_many(events, cursor=rows)
                else:
                    await self._intake.move_cursor(rows)
                return
            except StoreFullError as error:
                self._intake.log.warning(
                    "files are kept back, the store is full",
                    extra={"why": str(error), "files": len(rows)},
                )
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_REFUSAL_WAIT_SECONDS)

    async def _drop_deleted(self, known: Sequence[str], seen: set[str]) -> None:
        unseen = [key for key in known if key not in seen]
        for start in range(0, len(unseen), KEYS_PER_LOOK):
            pairs = [(key, path_of(key)) for key in unseen[start : start + KEYS_PER_LOOK]]
            gone = await self._thread(self._tree.gone, pairs)
            if gone:
                await self._commit([], dict.fromkeys(gone))
                self._ledger.forget(gone)

    def _say_down(self, why: str) -> None:
        if why != self._why_down:
            self._why_down = why
            folder = _shown(self._tree.root)
            self._intake.log.warning(
                "folder cannot be watched", extra={"folder": folder, "why": why}
            )
            self._intake.down(f"{folder}: {why}; it is picked up as soon as it can be read")

    def _say_unread(self, part: Slice) -> None:
        for folder, why in part.unreadable:
            self._warn_once("folder cannot be read, it is left out", folder, why)
        for path, why in part.ignored:
            if self._is_new(path, why):
                self._intake.log.debug(
                    "not a file, ignored", extra={"path": _shown(path), "why": why}
                )

    def _warn_once(self, message: str, path: str, why: str) -> None:
        if self._is_new(path, message + why):
            self._intake.log.warning(message, extra={"folder": _shown(path), "why": why})

    def _is_new(self, path: str, what: str) -> bool:
        if (path, what) in self._noted or len(self._noted) >= MOST_NOTED:
            return False
        self._noted.add((path, what))
        return True

    async def _thread(self, function: Callable[[Unpack[Ts]], R], *args: *Ts) -> R:
        return await self._loop.run_in_executor(self._executor, function, *args)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _shown(path: str) -> str:
    return printable(os.fsencode(path).decode(errors="backslashreplace"))
