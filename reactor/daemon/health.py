"""Whether the daemon makes progress, and whether it is ready. Health is progress, not a living process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reactor.clock import monotonic

if TYPE_CHECKING:
    from datetime import timedelta

    from reactor.engine.engine import Engine
    from reactor.engine.supervisor import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`is_good`, and for people the reasons why not."""

    is_good: bool
    reasons: tuple[str, ...]


class Health:
    """Looks at engine and sensors when asked; keeps nothing but the last movement it saw."""

    def __init__(self, engine: Engine, supervisor: Supervisor, *, stalled: timedelta) -> None:
        self._engine = engine
        self._supervisor = supervisor
        self._stalled_seconds = stalled.total_seconds()
        self._commits = -1
        self._commits_moved_at = monotonic()
        self.is_recovered = False

    def progress(self) -> Verdict:
        """Return whether all that could move has moved lately."""
        now = monotonic()
        statistics = self._engine.store.statistics()
        if statistics.commits != self._commits:
            self._commits = statistics.commits
            self._commits_moved_at = now
        reasons = []
        if statistics.is_stopped:
            reasons.append("the store has stopped after a storage error")
        if statistics.waiting and now - self._commits_moved_at > self._stalled_seconds:
            reasons.append(f"{statistics.waiting} writes wait and none was committed lately")
        if now - self._engine.moved_at > self._stalled_seconds:
            reasons += [
                f"{lane.graph.name}: {lane.pending} runs wait, there is room, and none was started lately"
                for lane in self._engine.scheduler.lanes.values()
                if lane.pending and lane.has_room and not lane.busy_keys
            ]
        return Verdict(is_good=not reasons, reasons=tuple(reasons))

    def readiness(self) -> Verdict:
        """Return whether recovery is done, sensors watch their sources, the outbox moves and the disk takes writes."""
        reasons = [] if self.is_recovered else ["recovery is under way"]
        reasons += [f"{name}: {why}" for name, why in sorted(self._supervisor.troubles().items())]
        reasons += self._engine.outbox.troubles()
        if self._engine.store.statistics().is_full:
            reasons.append("the disk is full")
        return Verdict(is_good=not reasons, reasons=tuple(reasons))
