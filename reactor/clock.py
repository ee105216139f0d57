"""The only place that reads clocks and randomness.

Code below takes instants, ids and luck as arguments; loops above ask a `Clock`. A test passes a clock of its own.
"""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime.fromtimestamp(0, UTC)
_COUNTER_BITS = 20


class Clock(Protocol):
    """Wall time, luck and ids."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...

    def now_micros(self) -> int:
        """Return the current instant in microseconds since 1970, without making a datetime."""
        ...

    def luck(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def next_id(self) -> int:
        """Return a positive 63-bit integer larger than every earlier one of this clock."""
        ...

    def never_below(self, floor: int) -> None:
        """Make every later `next_id` larger than `floor`, whatever the wall clock does."""
        ...


class SystemClock:
    """The machine's clock. Ids are milliseconds since 1970 followed by a 20-bit counter."""

    def __init__(self) -> None:
        self._last = 0
        self._random = random.Random()  # spreads retries; guards no secret

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_micros(self) -> int:
        return time.time_ns() // 1000

    def luck(self) -> float:
        return self._random.random()

    def next_id(self) -> int:
        self._last = max(self._last + 1, time.time_ns() // 1_000_000 << _COUNTER_BITS)
        return self._last

    def never_below(self, floor: int) -> None:
        self._last = max(self._last, floor)


class ManualClock:
    """A clock that stands still until it is moved; for tests and simulations."""

    def __init__(self, now: datetime = _EPOCH, *, luck: float = 0.0) -> None:
        self.instant = now
        self.fixed_luck = luck
        self._last = 0

    def now(self) -> datetime:
        return self.instant

    def now_micros(self) -> int:
        return to_micros(self.now())

    def luck(self) -> float:
        return self.fixed_luck

    def next_id(self) -> int:
        self._last += 1
        return self._last

    def never_below(self, floor: int) -> None:
        self._last = max(self._last, floor)


def to_micros(instant: datetime) -> int:
    """Return microseconds since 1970, the unit in which stores keep instants."""
    delta = instant - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(micros: int) -> datetime:
    """Return the aware UTC instant that `to_micros` made."""
    return _EPOCH + timedelta(microseconds=micros)


def monotonic() -> float:
    """Return seconds of a clock that never steps; only differences mean something."""
    return time.monotonic()


def since_process_start() -> float:
    """Return seconds since this process was started; since the import of this module where the system cannot tell."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            ticks = int(stat.read().rpartition(b")")[2].split()[19])
        with open("/proc/uptime", "rb") as uptime:
            return float(uptime.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.monotonic() - _IMPORTED_AT


_IMPORTED_AT = time.monotonic()
