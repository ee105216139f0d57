"""What the daemon asks of its own process: open files, and a garbage collector that keeps out of the way."""

from __future__ import annotations

import gc
import resource

MOST_OPEN_FILES = 16_384
# Full passes grow with what is alive, and a thousand runs in flight are a lot: with the defaults of Python they took
# a sixth of the throughput at 256 runs in flight, a third with more.
THRESHOLDS = (20_000, 20, 50)


def allow_open_files() -> None:
    """Raise the limit of open files as far as this user may: the usual 1 024 is one busy listener."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def settle_collector(*, is_first: bool) -> None:
    """Take all that is loaded now out of the collector's sight, after a reload without what that replaced.

    From then on it works, also where it was kept from that while the daemon started.
    """
    if not is_first:
        gc.unfreeze()
        gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
