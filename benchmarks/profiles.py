"""Where the time goes: cProfile over one benchmark. It slows Python code down, C code not: read shares, not times."""

from __future__ import annotations

import cProfile
import pstats
from typing import TYPE_CHECKING

from benchmarks import runs, webhooks
from benchmarks.apart import apart, scratch
from benchmarks.webhook_client import deliver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.figures import Scale

LINES = 25
# Runs in the daemon's loop thread: loaded as a project, it measures from then on, and writes at the end.
_PROFILED = """\
import atexit, cProfile

_profile = cProfile.Profile()

def _write():
    _profile.disable()
    _profile.dump_stats({path!r})

atexit.register(_write)
_profile.enable()
"""


def profile_runs(scale: Scale) -> None:
    """Print where the engine's loop thread spends its time with many runs in flight."""
    with scratch() as directory:
        path = directory / "profile"
        apart(_profiled_runs, directory, runs.MANY[scale], path)
        _show(path)


def _profiled_runs(directory: Path, size: runs.Size, path: Path) -> None:
    profile = cProfile.Profile()
    profile.runcall(runs.drive_reactor, directory, size)
    profile.dump_stats(path)


def profile_webhooks(scale: Scale) -> None:
    """Print where the daemon's loop thread spends its time while webhooks are accepted."""
    size = webhooks.SIZES[scale]
    with scratch() as directory:
        path = directory / "profile"
        project = webhooks.WAITING + _PROFILED.format(path=str(path))
        with webhooks.webhook_daemon(directory, project) as daemon:
            apart(
                deliver,
                webhooks.address_of(daemon),
                webhooks.PATH,
                webhooks.SECRET,
                requests=size.requests,
                connections=size.connections,
            )
            # The first asks the daemon to drain; the run that holds the only place never ends by itself.
            daemon.stop()
        _show(path)


def _show(path: Path) -> None:
    pstats.Stats(str(path)).sort_stats("tottime").print_stats(LINES)


PROFILES: dict[str, Callable[[Scale], None]] = {
    "runs": profile_runs,
    "webhooks": profile_webhooks,
}
