"""One daemon that a scenario is hostile to, and what no hostility may bring about."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reactor.testing.process import PATIENCE_SECONDS, DaemonProcess
from tests.torture.deaths import reading
from tests.torture.journal import read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

EFFECTS = "effects"
# What anything that is waited for may take, on a machine that is busy with other things.
MOST_SECONDS = 60.0
# A word of any of these in the log is a fault of the product, whatever the input was.
FAULTS = ("Traceback (most recent call last)", "was never retrieved", "was never awaited")
MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An event as the database has it. Instants are microseconds since 1970."""

    id: str
    sensor: str
    data: Any
    accepted_at: int


class Stage:
    """A context with a daemon over one of the projects beside this module. `findings` collects what went wrong.

    On leaving without an error the daemon has been ended in order, and its log and its accounts have been looked at.
    `errors_are_meant` where steps fail on purpose.
    """

    errors_are_meant = False

    def __init__(
        self,
        folder: Path,
        project: str,
        *,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        begin: bool = True,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.findings: list[str] = []
        self.state = folder / "state"
        module = folder / "project.py"
        shutil.copy(Path(__file__).with_name(project), module)
        self._begin = begin
        self._reached_end = False
        self.daemon = DaemonProcess(
            module,
            state=self.state,
            arguments=["--log-style", "json", "--drain", "10s", *arguments],
            environment={"EDGE_EFFECTS": str(folder / EFFECTS), **(environment or {})},
            directory=folder,
        )

    def __enter__(self) -> Self:
        if self._begin:
            self.daemon.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self.daemon.__exit__(kind, error, trace)

    def expect(self, is_so: bool, finding: str) -> None:
        """Note a finding where something promised is not so."""
        if not is_so:
            self.findings.append(finding)

    def expect_none(self, wrong: Sequence[object], finding: str) -> None:
        """Note a finding that names the first of what should not be there."""
        named = ", ".join(map(str, wrong[:MOST_NAMED]))
        self.expect(not wrong, f"{len(wrong)} {finding}: {named}")

    def until(self, condition: Callable[[], bool], what: str) -> bool:
        """Return once `condition` holds, looked at with each beat of the daemon. Note a finding when it never does."""
        due = time.monotonic() + MOST_SECONDS
        while not condition():
            if time.monotonic() > due:
                self.findings.append(f"not within {MOST_SECONDS:.0f} s: {what}")
                return False
            self.daemon.wait_until_told("beat")
        return True

    def rows(self, sensor: str | None = None) -> list[Row]:
        """Return the events of a sensor, or of all but the beat, in the order they were accepted."""
        with reading(self.state) as database:
            found = database.execute(
                "SELECT id, sensor, data, accepted_at FROM event WHERE sensor <> 'beat' ORDER BY seq"
            ).fetchall()
        return [
            Row(id=id_, sensor=name, data=json.loads(data), accepted_at=at)
            for id_, name, data, at in found
            if sensor in (None, name)
        ]

    def count(self, query: str, *values: object) -> int:
        """Return the number that a query gives."""
        with reading(self.state) as database:
            return int(database.execute(query, values).fetchone()[0])

    def select(self, query: str, *values: object) -> list[Any]:
        """Return the rows that a query gives."""
        with reading(self.state) as database:
            return database.execute(query, values).fetchall()

    def effects(self) -> list[dict[str, Any]]:
        """Return what the steps did, in order."""
        return read_lines(self.folder / EFFECTS)

    def settle(self) -> None:
        """Return once every run that was fired by something else than the beat has ended."""
        self.until(
            lambda: (
                not self.count(
                    "SELECT count(*) FROM run WHERE state <> 'finished' AND workflow <> 'beat'"
                )
            ),
            "all runs ended",
        )

    def reactor(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command of the command line over the daemon's state."""
        return subprocess.run(
            [sys.executable, "-m", "reactor", *arguments, "--state", os.fspath(self.state)],
            capture_output=True,
            timeout=MOST_SECONDS,
            check=False,
            cwd=self.folder,
        )

    def pause(self) -> None:
        """Stop the daemon where it stands."""
        self.daemon.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused daemon go on."""
        self.daemon.signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the daemon in order."""
        try:
            code = self.daemon.stop()
        except subprocess.TimeoutExpired:
            self.findings.append(
                f"the daemon did not end within {PATIENCE_SECONDS:.0f} s of SIGTERM"
            )
            self.daemon.kill()
            return
        self.expect(code == 0, f"the daemon ended with exit code {code}")

    def _finish(self) -> None:
        if not self.daemon.is_running:
            self.findings.append(f"the daemon ended by itself, exit code {self.daemon.wait()}")
        else:
            self.settle()
            self.stop()
        self._look_at_log()
        self._look_at_runs()
        audit = self.reactor("audit")
        self.expect(audit.returncode == 0, f"reactor audit: {audit.stdout + audit.stderr!r}")

    def _look_at_log(self) -> None:
        log = self.daemon.log
        for fault in FAULTS:
            place = log.find(fault)
            self.expect(place < 0, f"in the log: {log[place : place + 2000]}")
        if not self.errors_are_meant:
            self.expect_none(
                [line for line in log.splitlines() if '"level":"ERROR"' in line.replace(" ", "")],
                "lines at level ERROR in the log",
            )

    def _look_at_runs(self) -> None:
        try:
            extra = self.select(
                "SELECT event, workflow, count(*) FROM run GROUP BY event, workflow HAVING count(*) > 1"
            )
            failed = self.select(
                "SELECT workflow, outcome, error FROM run "
                "WHERE state = 'finished' AND outcome <> 'succeeded'"
            )
        except sqlite3.Error as error:
            self.findings.append(f"the database cannot be read: {error}")
            return
        self.expect_none(extra, "events with more than one run of a workflow")
        if not self.errors_are_meant:
            self.expect_none(failed, "runs that did not succeed")
