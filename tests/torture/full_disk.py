"""G8: a daemon whose disk fills up stays, refuses, and goes on by itself when there is room again."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.torture.ailing_daemon import AilingDaemon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FILE_SYSTEM_BYTES = 3_000_000
# What lies about on that file system until somebody makes room.
BALLAST_BYTES = 1_500_000
PAYLOAD_BYTES = 100_000
# G8: within these seconds after there is space.
RESUMES_SECONDS = 10.0
REFUSALS = 5


class CannotMount(Exception):  # noqa: N818  # it is no fault, it is a place where this cannot be tried
    """This process may not mount a file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What came of it. `resumed_after_seconds` is from the room to the first acknowledgement."""

    findings: list[str]
    acknowledged: int
    resumed_after_seconds: float


@contextmanager
def small_file_system(place: Path) -> Iterator[None]:
    """Mount 3 MB of memory at `place`. Raises CannotMount without the right to."""
    place.mkdir()
    size = f"size={FILE_SYSTEM_BYTES}"
    mount = ["mount", "-t", "tmpfs", "-o", size, "torture", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotMount(str(error)) from None
    if done.returncode != 0:
        raise CannotMount(done.stderr.strip())
    try:
        yield
    finally:
        # Lazily: what a failed test left open must not leave the file system behind.
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill_mounted(folder: Path) -> Filled:
    """Fill a real file system of 3 MB. Raises CannotMount."""
    folder.mkdir()
    place = folder / "disk"
    with small_file_system(place):
        ballast = place / "ballast"
        ballast.write_bytes(bytes(BALLAST_BYTES))
        with AilingDaemon(folder, place / "state") as daemon:
            return _fill(daemon, ballast.unlink)


def start_when_full(folder: Path) -> list[str]:
    """Start on a file system of 3 MB without a byte left, then again with room. Raises CannotMount."""
    folder.mkdir()
    place = folder / "disk"
    with small_file_system(place), AilingDaemon(folder, place / "state") as daemon:
        daemon.process.start()
        daemon.deliver(PAYLOAD_BYTES)
        daemon.process.kill()
        ballast = place / "ballast"
        with suppress(OSError):
            ballast.write_bytes(bytes(FILE_SYSTEM_BYTES))
        findings = []
        if daemon.starts():
            findings.append("G8: a daemon runs that has no room even to say where it listens")
        elif "No space left" not in daemon.process.log or "Traceback" in daemon.process.log:
            findings.append(f"G8: no clear message:\n{daemon.process.log}")
        ballast.unlink()
        if not daemon.starts():
            return [*findings, f"G8: no start with room:\n{daemon.process.log}"]
        if daemon.deliver(PAYLOAD_BYTES) != 202:
            findings.append("G8: refused although there is room")
        daemon.process.stop()
        return findings + [f"G8: {finding}" for finding in daemon.findings()]


def fill_layered(folder: Path) -> Filled:
    """Fill a disk that is a layer inside the daemon."""
    folder.mkdir()
    room = FILE_SYSTEM_BYTES - BALLAST_BYTES
    with AilingDaemon(folder, folder / "state", f"room {room}") as daemon:
        return _fill(daemon, (folder / "more").touch)


def _fill(daemon: AilingDaemon, make_room: Callable[[], object]) -> Filled:
    findings = []
    daemon.process.start()
    # Until nothing more goes in: a journal that is emptied meanwhile makes room for one or two more.
    statuses: list[int] = []
    while statuses[-REFUSALS:] != [503] * REFUSALS:
        statuses.append(daemon.deliver(PAYLOAD_BYTES))
        if statuses[-1] not in (202, 503):
            findings.append(f"G8: a full disk is answered with {statuses[-1]}")
            break
    if "disk full, intake refused" not in daemon.process.log:
        findings.append("G8: nobody was told that the disk is full")
    make_room()
    since = time.monotonic()
    resumed_after = 0.0
    while daemon.deliver(PAYLOAD_BYTES) != 202:
        resumed_after = time.monotonic() - since
        if resumed_after > RESUMES_SECONDS or not daemon.process.is_running:
            findings.append(f"G8: still refused {resumed_after:.1f} s after there was room")
            break
    resumed_after = time.monotonic() - since
    # The database is whole, also for one that comes after a kill.
    daemon.process.kill()
    if daemon.starts():
        if (code := daemon.process.stop()) != 0:
            findings.append(f"G8: exit code {code} of the next daemon")
    else:
        findings.append(f"G8: the next start is refused:\n{daemon.process.log}")
    findings += [f"G8: {finding}" for finding in daemon.findings()]
    return Filled(
        findings=findings,
        acknowledged=len(daemon.acknowledged),
        resumed_after_seconds=resumed_after,
    )
