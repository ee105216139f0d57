"""How far reading lies behind, and whether it stands still. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reactor_sensors._kafka_positions import Bounds, Partition


@dataclass(frozen=True, slots=True)
class Standstill:
    """A partition with `records` to read, of which none came for so long."""

    partition: Partition
    records: int
    seconds: float


class Progress:
    """Remembers when each partition last moved. `stall_seconds` is how long one with a lag may stand still."""

    def __init__(self, stall_seconds: float) -> None:
        self.lag_records = 0
        self._stall_seconds = stall_seconds
        self._moved: dict[Partition, tuple[int, float]] = {}

    def look(
        self,
        written: Mapping[Partition, int],
        bounds: Mapping[Partition, Bounds],
        *,
        is_busy: bool,
        now: float,
    ) -> Standstill | None:
        """Take the offsets `written` and the ends of the partitions; return one that stands still, or None.

        `is_busy` means that records are in hand: then it is not the client that keeps us waiting.
        """
        self.lag_records = 0
        still = None
        moved = {}
        for partition, offset in written.items():
            if partition not in bounds:
                continue
            lag = max(bounds[partition].end - offset, 0)
            self.lag_records += lag
            before, since = self._moved.get(partition, (-1, now))
            if offset != before or is_busy or not lag:
                since = now
            elif now - since > self._stall_seconds:
                still = Standstill(partition, lag, now - since)
            moved[partition] = (offset, since)
        self._moved = moved
        return still
