"""One round of G4 and G5 for `executor="process"`: daemons are killed while workers call steps, and so are workers.

A worker that is at a call when its daemon dies cannot know it: it ends the call, and then itself. It may do no more.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from reactor.testing.process import DaemonProcess
from tests.torture import evidence
from tests.torture.check_workers import KILLED, check_workers
from tests.torture.command import run_command
from tests.torture.deaths import Deaths, reading
from tests.torture.feed import WebhookSender
from tests.torture.journal import Journal
from tests.torture.moments import Moments, in_rounds
from tests.torture.round import Report, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

VICTIM = Path(__file__).with_name("worker_victim.py")
# began, ended: a worker began a call, or ended one whose result is not recorded yet. random: at any instant after a
# worker was killed at a call, and others went on.
Moment = Literal["began", "ended", "random"]
MOST_COUNTED = 6
LONGEST_LIFE_SECONDS = 0.5
# So many calls end after a worker was killed: its daemon goes on.
GO_ON = 3
# What is waited for a process that ends within a fraction of a second, on a busy machine.
PATIENCE_SECONDS = 10.0
MOST_BEATS = 400
# Between two deliveries: what four workers carry beside the driver.
PACE_SECONDS = 0.1


@dataclass(slots=True)
class Children:
    """The processes that a daemon had when it was about to end, by handles that no other process can take over."""

    handles: dict[int, int]

    @classmethod
    def of(cls, parent: int) -> Children:
        handles = {}
        for task in Path(f"/proc/{parent}/task").iterdir():
            for pid in (task / "children").read_text(encoding="ascii").split():
                with contextlib.suppress(ProcessLookupError):
                    handles[int(pid)] = os.pidfd_open(int(pid))
        return cls(handles)

    def left_over(self) -> list[int]:
        """Wait for their ends; return those that did not come."""
        due = time.monotonic() + PATIENCE_SECONDS
        left = []
        for pid, handle in self.handles.items():
            wait = max(due - time.monotonic(), 0)
            if not select.select([handle], [], [], wait)[0]:
                left.append(pid)
            os.close(handle)
        return left


class WorkerRound:
    """Use once: `WorkerRound(folder, seed=…, lives=…).run()`. The folder must not exist."""

    def __init__(self, folder: Path, *, seed: int, lives: int) -> None:
        folder.mkdir(parents=True)
        self._folder = folder = folder.resolve()
        self._state = folder / evidence.STATE
        self._luck = random.Random(f"{seed} worker")
        self._moments: list[Moment] = in_rounds(self._luck, get_args(Moment), lives)
        self._deaths = Deaths()
        self._failures: list[str] = []
        self._longest_outlived = 0.0
        shutil.copy(VICTIM, folder / "project.py")
        port = free_port(seed)
        self._effects = Journal(folder / evidence.EFFECTS)
        self._deliveries = Journal(folder / evidence.DELIVERIES)
        self._daemon = DaemonProcess(
            folder / "project.py",
            state=self._state,
            arguments=["--hooks", f"127.0.0.1:{port}", "--drain", "5s"],
            environment={"TORTURE_EFFECTS": str(folder / evidence.EFFECTS)},
            directory=folder,
        )
        self._feed = WebhookSender(
            "sender", f"{seed}", self._deliveries, Moments(), port, pace_seconds=PACE_SECONDS
        )

    def run(self, progress: Callable[[], object] = lambda: None) -> Report:
        """Return the findings; `progress` is told of each life. Raises AssertionError when it cannot go on."""
        with ExitStack() as stack:
            stack.callback(self._effects.close)
            stack.callback(self._deliveries.close)
            stack.callback(self._daemon.__exit__, None, None, None)
            stack.callback(self._feed.abandon)
            self._feed.start()
            for number, moment in enumerate(self._moments):
                progress()
                self._daemon.start()
                self._live(moment)
                self._end(number, moment, signal.SIGKILL)
            self._finish()
        known = evidence.load_evidence(self._folder)
        lines = self._effects.lines()
        return Report(
            findings=check_workers(known, lines),
            figures={
                "deaths": len(self._moments),
                "workers killed": sum(KILLED in line for line in lines),
                "calls in workers": sum("ended" in line for line in lines),
                "called again": len(known.effects) - len({effect[2:6] for effect in known.effects}),
                "attempts failed": len(known.attempts),
                "parked": len(known.dead_letters),
                "longest outlived ms": round(1000 * self._longest_outlived),
            },
        )

    def _live(self, moment: Moment) -> None:
        if moment == "random":
            self._kill_worker()
            threading.Event().wait(self._luck.uniform(0, LONGEST_LIFE_SECONDS))
        else:
            for _ in range(self._luck.randint(1, MOST_COUNTED)):
                self._daemon.wait_until_told(moment)

    def _kill_worker(self) -> None:
        """Kill the worker that began a call last; return when others went on."""
        self._daemon.wait_until_told("began")
        told = [text for text in self._daemon.told_so_far() if text.startswith("at ")]
        pid = int(told[-1].removeprefix("at "))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self._effects.mark({KILLED: pid})
        for _ in range(GO_ON):
            self._daemon.wait_until_told("ended")

    def _end(self, number: int, moment: str, how: signal.Signals) -> None:
        if how == signal.SIGKILL:
            # It starts no worker between the look and its death.
            self._daemon.signal(signal.SIGSTOP)
        daemon, children = self._daemon.pid, Children.of(self._daemon.pid)
        self._daemon.signal(how)
        code = self._daemon.wait()
        if code not in (0, -signal.SIGKILL):
            self._failures.append(f"G23: life {number} ended with exit code {code}")
        died_at = time.monotonic()
        left = children.left_over()
        if left:
            self._failures.append(
                f"G5: workers {left} outlived life {number} for {PATIENCE_SECONDS} s"
            )
        self._longest_outlived = max(self._longest_outlived, time.monotonic() - died_at)
        seen = self._deaths.look(self._state)
        death = {"death": number, "moment": moment, "daemon": str(daemon), "at": died_at}
        self._effects.mark({**death, **seen})

    def _finish(self) -> None:
        """Let the daemon finish everything, end it in order, and ask for its own accounts."""
        self._daemon.start()
        self._kill_worker()
        self._feed.stop()
        until = time.time_ns() // 1000
        for _ in range(MOST_BEATS):
            self._daemon.wait_until_told("beat")
            if self._is_settled():
                break
        else:
            self._failures.append(f"G1: not everything was finished after {MOST_BEATS} beats")
        self._end(len(self._moments), "end", signal.SIGTERM)
        audit = run_command(self._state, "audit")
        if audit.returncode != 0:
            self._failures.append(f"G33: reactor audit: {audit.stdout}{audit.stderr}")
        end = {"until": until, "failures": self._failures}
        (self._folder / evidence.END).write_text(json.dumps(end))

    def _is_settled(self) -> bool:
        with reading(self._state) as database:
            (unfinished,), (parked,) = (
                database.execute(query).fetchone()
                for query in (
                    "SELECT count(*) FROM run WHERE state <> 'finished' AND workflow = 'job'",
                    "SELECT count(*) FROM dead_letter WHERE redriven_at IS NULL",
                )
            )
        if parked:
            # What three deaths in a row took out goes on when a human says so.
            run_command(self._state, "redrive", "--all")
        return not (unfinished or parked)
