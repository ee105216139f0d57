"""G17: while the disk does not sync, nobody is told 2xx; beyond 2.5 s everybody is told to come again.

While it does, answers come in time.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.torture.edges.hooks import SENDERS, HookStage, connected
from tests.torture.edges.layer import built_layer
from tests.torture.edges.prompt import judge_answers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    from tests.torture.edges.catalogue import Outcome

UNSTALLED_SECONDS = 3.0
SHORT_STALL_SECONDS = 0.3
# G17: a sender is told after 2.5 s; what a busy machine adds is no fault of the daemon.
SLACK_SECONDS = 2.5
PROMISED_SECONDS = 2.5


class Disk:
    """Stalls every sync of the daemon's process while `stalled` is open. The file system itself is untouched."""

    def __init__(self, folder: Path) -> None:
        lock = folder / "stall.lock"
        lock.touch()
        self._lock = lock
        self.environment = {**built_layer("stall", folder), "EDGE_STALL": str(lock)}

    @contextmanager
    def stalled(self) -> Iterator[float]:
        """Hold back every sync that begins; yield the monotonic instant from which on this is so."""
        file = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield time.monotonic()
        finally:
            os.close(file)


def stalls(folder: Path, size: int, luck: Random) -> Outcome:
    """Load with stalls of the disk: short ones and ones beyond the promised time; `size` counts the short ones."""
    disk = Disk(folder)
    with HookStage(folder, environment=disk.environment) as stage:
        prompt = judge_answers(stage, UNSTALLED_SECONDS)
        for number in range(max(size // 10, 1)):
            _stall_for_long(stage, disk, number)
        refused = _stall_shortly(stage, disk, size, luck)
        stage.judge()
    figures = {
        "stalls": size + max(size // 10, 1),
        "deliveries": len(stage.answers.new),
        "503 in short stalls": refused,
        **prompt,
    }
    return stage.findings, figures


def _stall_for_long(stage: HookStage, disk: Disk, stall: int) -> None:
    """Every delivery is told 503 and Retry-After while the disk stands still; afterwards each is taken once."""

    def refused(sender: int) -> None:
        with connected(stage.port) as client:
            began = time.monotonic()
            answer = client.deliver(f"stalled-{stall}-{sender}", {"n": 1})
            lasted = time.monotonic() - began
            stage.expect(
                answer.status == 503 and answer.retry_after is not None,
                f"a stalled disk, and {answer.status}, Retry-After {answer.retry_after}",
            )
            stage.expect(
                lasted < PROMISED_SECONDS + SLACK_SECONDS, f"503 only after {lasted:.1f} s"
            )

    def repeated(sender: int) -> None:
        with connected(stage.port) as client:
            delivery = f"stalled-{stall}-{sender}"
            answer = client.deliver(delivery, {"n": 1})
            stage.expect(answer.status == 202, f"after a stall: {answer.status}")
            stage.answers.add(delivery, answer)

    with disk.stalled():
        stage.at_once(refused)
    stage.at_once(repeated)


def _stall_shortly(stage: HookStage, disk: Disk, size: int, luck: Random) -> int:
    """Senders go on through many short stalls; no 2xx may be read for what was sent while nothing could be synced."""
    is_over = threading.Event()
    spans: list[tuple[float, float]] = []
    answered: list[tuple[float, float]] = []
    refused = 0
    lock = threading.Lock()

    def send(sender: int) -> None:
        nonlocal refused
        number = 0
        with connected(stage.port) as client:
            while not is_over.wait(0.002):
                delivery = f"short-{sender}-{number}"
                number += 1
                is_taken = False
                while not is_taken:
                    began = time.monotonic()
                    answer = client.deliver(delivery, {"n": 1})
                    is_taken = answer.status == 202
                    if is_taken:
                        stage.answers.add(delivery, answer)
                    with lock:
                        refused += not is_taken
                        answered.append((began if is_taken else 0.0, time.monotonic()))
                    stage.expect(answer.status in (202, 503), f"in a stall: {answer.status}")

    def stall() -> None:
        try:
            for _ in range(size):
                with disk.stalled() as began:
                    is_over.wait(luck.uniform(0.01, SHORT_STALL_SECONDS))
                    spans.append((began, time.monotonic()))
                is_over.wait(luck.uniform(0, 0.1))
        finally:
            is_over.set()

    staller = threading.Thread(target=stall, name="staller", daemon=True)
    staller.start()
    stage.at_once(send, senders=SENDERS)
    staller.join()
    false = [
        (sent, read)
        for sent, read in answered
        if sent and any(began < sent and read < ended for began, ended in spans)
    ]
    stage.expect_none(false, "times a 2xx came while nothing could be synced")
    return refused
