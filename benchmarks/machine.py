"""What the figures were measured on: versions and the class of machine, no names and no paths."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import statistics
import tempfile
import time
import timeit
from importlib.metadata import version
from pathlib import Path

from reactor import __version__
from reactor.store.sqlite.connection import file_system_of

# Where a flush costs nothing, durability costs nothing, and no figure here means anything.
_MEMORY = frozenset({"tmpfs", "ramfs"})
_FLUSHES = 100
_PASSES = 50


def description() -> dict[str, str]:
    """Return what to know of this machine, by what it is called; measures disk and interpreter for some 0.1 s."""
    # A distribution's or provider's suffix says more than is anybody's business.
    kernel = re.match(r"[0-9.]*", platform.release())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return {
        "reactor": __version__,
        "Python": f"{platform.python_implementation()} {platform.python_version()}, "
        f"a thousand small objects {objects_us():.0f} µs",
        "uvloop": version("uvloop"),
        "SQLite": sqlite3.sqlite_version,
        "kernel": f"{platform.system()} {kernel[0] if kernel else ''}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB of memory",
        "disk": f"{file_system()}, a 4 KiB write with fsync {flush_ms():.2f} ms (median)",
    }


def file_system() -> str:
    """Return the type of the file system that is measured on, "unknown" where that cannot be told."""
    return file_system_of(Path(tempfile.gettempdir())) or "unknown"


def disk_is_memory() -> bool:
    """Return whether temporary files lie in memory, where nothing that is measured would be durable."""
    return file_system() in _MEMORY


def objects_us() -> float:
    """Return how long a thousand small objects take to be made and kept: builds of one version differ by half."""
    return min(timeit.repeat(_make_objects, number=_PASSES, repeat=30)) / _PASSES * 1e6


def _make_objects() -> None:
    made: dict[int, tuple[int, str]] = {}
    for number in range(1_000):
        made[number % 100] = (number, str(number))


def flush_ms() -> float:
    """Return how long a small write takes to be durable: what every commit waits for at least."""
    times = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(_FLUSHES):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)
