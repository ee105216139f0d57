"""One round: a daemon under load that is ended again and again, then left to finish, then looked at.

Everything that a judgement rests on is in the round's folder, in files that the victim cannot write, except for its
database and the effect log. `python -m tests.torture check FOLDER` judges it again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reactor.testing.process import DaemonProcess
from tests.torture import evidence
from tests.torture.check_intake import missing_files
from tests.torture.checker import check
from tests.torture.command import run_command
from tests.torture.deaths import Deaths, reading
from tests.torture.feed import FileWriter, WebhookSender
from tests.torture.journal import Journal, read_lines
from tests.torture.moments import Moments, live, plans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.torture.feed import Feed
    from tests.torture.moments import Plan

Ending = Literal["kill", "terminate"]

VICTIM = Path(__file__).with_name("victim.py")
SENDERS = 6
DRAIN_SECONDS = 5.0
# G23: SIGTERM ends the daemon within its drain and this.
GRACE_SECONDS = 2.0
# Ticks, one each 50 ms, that everything may take to finish after the last death.
MOST_TICKS = 400
# Outside the range that systems give to outgoing connections: nobody takes it while the daemon is dead.
PORTS = range(20_000, 30_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a round. `figures` counts what it was made of."""

    findings: list[str]
    figures: dict[str, int]


class Round:
    """Use once: `Round(folder, seed=…, lives=…, ending="kill").run()`. The folder must not exist."""

    def __init__(self, folder: Path, *, seed: int, lives: int, ending: Ending = "kill") -> None:
        folder.mkdir(parents=True)
        # The daemon works in it, where another folder's relative path leads nowhere.
        self._folder = folder = folder.resolve()
        self._state = folder / evidence.STATE
        self._plans = plans(f"{seed} {ending}", lives)
        self._ending = ending
        self._moments = Moments()
        self._deaths = Deaths()
        self._failures: list[str] = []
        project = folder / "project.py"
        shutil.copy(VICTIM, project)
        port = free_port(seed)
        self._logs = [
            Journal(folder / name)
            for name in (evidence.EFFECTS, evidence.DELIVERIES, evidence.FILES)
        ]
        self._effects, deliveries, files = self._logs
        self._daemon = DaemonProcess(
            project,
            state=self._state,
            arguments=["--hooks", f"127.0.0.1:{port}", "--drain", f"{DRAIN_SECONDS:.0f}s"],
            environment={"TORTURE_EFFECTS": str(folder / evidence.EFFECTS)},
            directory=folder,
        )
        self._feeds: list[Feed] = [
            WebhookSender(f"sender{number}", f"{seed} {number}", deliveries, self._moments, port)
            for number in range(SENDERS)
        ]
        self._feeds.append(FileWriter("files", f"{seed} files", files, self._moments, folder))

    def run(self, progress: Callable[[int, Plan], None] = lambda number, plan: None) -> Report:
        """Return the findings; `progress` is told before each life. Raises AssertionError when it cannot go on."""
        with ExitStack() as stack:
            for log in self._logs:
                stack.callback(log.close)
            stack.callback(self._daemon.__exit__, None, None, None)
            for feed in self._feeds:
                stack.callback(feed.abandon)
                feed.start()
            for number, plan in enumerate(self._plans):
                progress(number, plan)
                live(self._daemon, plan, self._moments)
                self._end(number, plan)
            self._finish()
        known = evidence.load_evidence(self._folder)
        return Report(findings=check(known), figures=figures(known))

    def _end(self, number: int, plan: Plan) -> None:
        if not self._daemon.is_running:
            code = self._daemon.wait()
            self._failures.append(
                f"G24: the daemon ended by itself in life {number}, with exit code {code}"
            )
        elif self._ending == "kill":
            self._daemon.kill()
        else:
            # What has not begun to run Python cannot take a signal in order, and has taken nothing on.
            self._terminate(
                number, orderly=(0, -signal.SIGTERM) if plan.moment == "starting" else (0,)
            )
        self._look(number, plan.moment)

    def _terminate(self, number: int, *, orderly: Sequence[int] = (0,)) -> None:
        """SIGTERM: exit code 0 within the promised time."""
        told_at = time.monotonic()
        try:
            code = self._daemon.stop()
        except subprocess.TimeoutExpired:
            self._failures.append(f"G23: life {number} did not end after SIGTERM")
            self._daemon.kill()
            return
        lasted = time.monotonic() - told_at
        if code not in orderly:
            self._failures.append(f"G23: exit code {code} after SIGTERM in life {number}")
        if lasted > DRAIN_SECONDS + GRACE_SECONDS:
            self._failures.append(f"G23: life {number} went on for {lasted:.1f} s after SIGTERM")

    def _look(self, number: int, moment: str) -> None:
        seen = self._deaths.look(self._state)
        self._effects.mark({"death": number, "moment": moment, **seen})
        if self._ending == "terminate" and seen["in_flight"]:
            self._failures.append(f"G23: runs {seen['in_flight']} were left running by SIGTERM")

    def _finish(self) -> None:
        """Let the daemon finish everything, end it in order, and ask for its own accounts."""
        self._daemon.start()
        for feed in self._feeds:
            feed.stop()
        until = time.time_ns() // 1000
        for _ in range(MOST_TICKS):
            self._daemon.wait_until_told("beat")
            if self._is_settled(until):
                break
        else:
            self._failures.append(f"G1: not everything was finished after {MOST_TICKS} ticks")
        last = len(self._plans)
        self._terminate(last)
        self._look(last, "end")
        audit = run_command(self._state, "audit")
        if audit.returncode != 0:
            self._failures.append(f"G33: reactor audit: {audit.stdout}{audit.stderr}")
        end = {"until": until, "failures": self._failures}
        (self._folder / evidence.END).write_text(json.dumps(end))

    def _is_settled(self, until: int) -> bool:
        """Return whether all that was fed is there and has run, and both timers are past `until`."""
        with reading(self._state) as database:
            database.execute("BEGIN")
            (unfinished,) = database.execute(
                "SELECT count(*) FROM run WHERE state <> 'finished' AND created_at <= ?", (until,)
            ).fetchone()
            (ungathered,) = database.execute(
                "SELECT count(*) FROM event WHERE sensor = 'orders' AND seq > "
                "(SELECT coalesce(max(last_event), 0) FROM run WHERE workflow = 'bulk')"
            ).fetchone()
            times = dict(database.execute("SELECT sensor, max(time) FROM event GROUP BY sensor"))
            parked = database.execute(
                "SELECT count(*) FROM dead_letter WHERE redriven_at IS NULL"
            ).fetchone()[0]
            bulk = database.execute(
                "SELECT count(*) FROM run WHERE workflow = 'bulk' AND state <> 'finished'"
            ).fetchone()[0]
            versions = {
                json.loads(data)["version"]
                for (data,) in database.execute("SELECT data FROM event WHERE sensor = 'inbox'")
            }
        if parked:
            # What three deaths in a row took out goes on when a human says so.
            run_command(self._state, "redrive", "--all")
            return False
        late = any(times.get(timer, 0) < until for timer in ("beat", "pulse"))
        return not (unfinished or ungathered or bulk or late or self._missing(versions))

    def _missing(self, versions: set[str]) -> bool:
        last = {line["path"]: line for line in read_lines(self._folder / evidence.FILES)}
        seen = {tuple(version.split("-")[1:4]) for version in versions}
        return any(
            (f"{line['inode']:x}", f"{line['size']:x}", f"{line['mtime']:x}") not in seen
            for line in last.values()
        )


def figures(known: evidence.Evidence) -> dict[str, int]:
    """Return how much a round did, for people."""
    executions = {(effect.run, effect.step, effect.attempt) for effect in known.effects}
    return {
        "deaths": len(known.deaths) - 1,
        "acknowledged": len({line["id"] for line in known.deliveries}),
        "files": len(known.files) - len(missing_files(known)),
        "events": len(known.events),
        "skips": len(known.skips),
        "runs": len(known.runs),
        "steps": len(known.steps),
        "called again": len(known.effects) - len(executions),
        "parked": len(known.dead_letters),
    }


def free_port(seed: int) -> int:
    """Return a port that nobody listens on; it stays the same from life to life, as in production."""
    for offset in range(len(PORTS)):
        port = PORTS[(seed + os.getpid() + offset) % len(PORTS)]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free port in {PORTS}")
