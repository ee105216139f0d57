"""Drives the daemon of `ailing.py` from outside, with a log of all that it acknowledged."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from reactor.testing.process import PATIENCE_SECONDS, DaemonProcess

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

REPOSITORY = Path(__file__).parents[2]


@dataclass(slots=True)
class Acknowledgement:
    """A delivery that got a 2xx; `sent_at` is monotonic, in nanoseconds, and is before its first byte left."""

    id: str
    text: str
    sent_at: int


@dataclass(slots=True)
class AilingDaemon:
    """`reactor run` on a state directory whose disk ails. A context that leaves no process behind."""

    folder: Path
    state: Path
    disk: str = ""
    acknowledged: list[Acknowledgement] = field(default_factory=list)
    _count: int = 0
    _daemon: DaemonProcess = field(init=False)
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._client = httpx.Client(timeout=PATIENCE_SECONDS)
        self._daemon = self._process(self.disk)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._daemon.__exit__(kind, error, trace)
        self._client.close()

    @property
    def process(self) -> DaemonProcess:
        return self._daemon

    @property
    def failed_at(self) -> int | None:
        """When the disk failed, in nanoseconds on the monotonic clock; None when it did not."""
        note = self.folder / "failed"
        return int(note.read_text().split()[0]) if note.exists() else None

    def starts(self) -> bool:
        """Start; return whether it was ready before it ended."""
        try:
            self._daemon.start()
        except AssertionError:
            if self._daemon.is_running:
                raise
            return False
        return True

    def heal(self) -> None:
        """Let the next start have a sound disk."""
        self._daemon.__exit__(None, None, None)
        self._daemon = self._process("")

    def deliver(self, size: int = 10) -> int:
        """Send one delivery; return the status, 0 where there was no answer."""
        self._count += 1
        name, text = f"delivery{self._count}", f"{self._count}".ljust(size, "x")
        sent_at = time.monotonic_ns()
        try:
            answer = self._client.post(
                f"{self._daemon.hooks}/orders",
                json={"text": text},
                headers={"ce-id": name, "ce-source": "s", "ce-specversion": "1.0", "ce-type": "t"},
            )
        except (httpx.HTTPError, OSError):
            return 0
        if answer.is_success:
            self.acknowledged.append(Acknowledgement(answer.json()["id"], text, sent_at))
        return answer.status_code

    def findings(self) -> list[str]:
        """Return what is wrong with the database, whose daemon has ended."""
        with closing(sqlite3.connect(self.state / "reactor.db")) as database:
            checks = [row[0] for row in database.execute("PRAGMA integrity_check")]
            found = [] if checks == ["ok"] else [f"the database is corrupt: {checks[:3]}"]
            kept = dict(database.execute("SELECT id, data ->> '$.text' FROM event").fetchall())
            query = "SELECT event.id, outcome FROM event JOIN run ON run.event = event.seq"
            outcomes = dict(database.execute(query).fetchall())
        for delivery in self.acknowledged:
            if kept.get(delivery.id) != delivery.text:
                found.append(f"acknowledged and lost: {delivery.id}")
            elif outcomes.get(delivery.id) not in (None, "succeeded"):
                found.append(f"its run ended as {outcomes[delivery.id]}: {delivery.id}")
        return found

    def _process(self, disk: str) -> DaemonProcess:
        project = self.folder / "project.py"
        shutil.copy(Path(__file__).with_name("ailing.py"), project)
        return DaemonProcess(
            project,
            state=self.state,
            environment={
                "PYTHONPATH": os.fspath(REPOSITORY),
                "TORTURE_DISK": disk,
                "TORTURE_NOTES": os.fspath(self.folder),
                "TORTURE_STATE": os.path.realpath(self.state),
            },
            directory=self.folder,
        )


def fail_daemon(folder: Path, number: int, *, deliveries: int) -> tuple[bool, list[str]]:
    """Run a daemon whose disk fails from the `number`-th call on, then one on a sound disk.

    Return whether there were as many calls, and the findings: G7 asks for exit code 5, for no acknowledgement of
    anything sent after the failure, and that the next daemon has all that was acknowledged.
    """
    folder.mkdir()
    with AilingDaemon(folder, folder / "state", f"fail {number}") as daemon:
        is_ready = daemon.starts()
        for _ in range(deliveries if is_ready else 0):
            if daemon.failed_at is None:
                daemon.deliver()
        if daemon.failed_at is None:
            # The rest of the calls are those of an end in order.
            codes = {0, 5}
            code = daemon.process.stop()
            if code == -signal.SIGTERM and '"exit_code": 5' in daemon.process.log:
                # It failed by itself just before, and had nothing left to do but to go.
                code = 5
        else:
            # One that does not come up may blame the place, which the operator chose.
            codes = {5} if is_ready else {2, 5}
            code = daemon.process.wait()
        failed_at = daemon.failed_at
        late = [d.id for d in daemon.acknowledged if failed_at and d.sent_at > failed_at]
        findings = [f"G7: acknowledged after the disk failed: {late}"] if late else []
        if code not in codes:
            findings.append(f"G7: exit code {code}, not {codes}:\n{daemon.process.log}")
        if "Traceback" in daemon.process.log:
            findings.append(f"G7: no clear message:\n{daemon.process.log}")
        daemon.heal()
        if not daemon.starts():
            return True, [*findings, f"G7: the next start is refused:\n{daemon.process.log}"]
        if (code := daemon.process.stop()) != 0:
            findings.append(f"G7: exit code {code} of the next daemon")
        findings += [f"G7: {finding}" for finding in daemon.findings()]
    return failed_at is not None, findings
