"""What the kernel says of another process: memory and processor time. Linux.

Source: proc_pid_status(5); Documentation/scheduler/sched-stats.rst for schedstat.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import MeasurementError

_PROC = Path("/proc")


def resident_mb(pid: int | str = "self", *, peak: bool = False) -> float:
    """Return the resident memory in MB (10⁶ bytes): now, or the most there ever was."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in (_PROC / str(pid) / "status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
    raise MeasurementError(f"/proc/{pid}/status has no {name}; expected a process that is alive")


def cpu_seconds(pid: int) -> float:
    """Return the processor time of all threads that are alive, to the nanosecond (ticks would be 10 ms)."""
    tasks = (_PROC / str(pid) / "task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9
