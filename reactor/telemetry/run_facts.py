"""What happens to runs and their steps."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from reactor.telemetry.fact import Fact

if TYPE_CHECKING:
    from reactor.telemetry.metrics import Metrics

_STARTED = ("started",)
_FINISHED = ("finished",)
_BAD = frozenset({"failed", "timed_out"})


@dataclass(slots=True, kw_only=True)
class RunStarted(Fact):
    """A run left the queue. `age_seconds` is the time since its event was observed; None when resumed."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "run started"

    workflow: str
    run_id: str
    event_id: str
    age_seconds: float | None

    def count(self, metrics: Metrics) -> None:
        if self.age_seconds is not None:
            metrics.event_latency.observe(_STARTED, self.age_seconds)


@dataclass(slots=True, kw_only=True)
class RunFinished(Fact):
    """A run has its outcome. `age_seconds` is the time since its event was observed, None where unknown."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "run finished"

    workflow: str
    run_id: str
    outcome: str
    duration_seconds: float
    age_seconds: float | None
    error: str | None = None

    def severity(self) -> int:
        return logging.WARNING if self.outcome in _BAD else logging.DEBUG

    def count(self, metrics: Metrics) -> None:
        metrics.runs.add((self.workflow, self.outcome))
        if self.age_seconds is not None:
            metrics.event_latency.observe(_FINISHED, self.age_seconds)


@dataclass(slots=True, kw_only=True)
class RunParked(Fact):
    """A run was in flight at `deaths` deaths of the process in a row, and is now a dead letter.

    Counts that dead letter itself, under the reason `process_died`; no EventDeadLettered beside it.
    """

    level: ClassVar[int] = logging.ERROR
    message: ClassVar[str] = "run parked after repeated deaths of the process"

    sensor: str
    workflow: str
    run_id: str
    event_id: str
    deaths: int

    def count(self, metrics: Metrics) -> None:
        metrics.dead_letters.add((self.sensor, "process_died"))


@dataclass(slots=True, kw_only=True)
class StepFinished(Fact):
    """An attempt of a step ended. `final` tells that no other attempt follows.

    A step is counted once, at its final attempt; every attempt that ran has its duration.
    """

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "step finished"

    workflow: str
    step: str
    run_id: str
    attempt: int
    outcome: str
    duration_seconds: float
    error: str | None = None
    final: bool = True

    def severity(self) -> int:
        return logging.WARNING if self.outcome in _BAD else logging.DEBUG

    def count(self, metrics: Metrics) -> None:
        workflow, step, outcome = self.workflow, self.step, self.outcome
        if self.final:
            metrics.steps.add((workflow, step, outcome))
        if outcome != "skipped":
            metrics.step_duration.observe((workflow, step), self.duration_seconds)


@dataclass(slots=True, kw_only=True)
class ThreadAbandoned(Fact):
    """A plain `def` step outlived its timeout. Its thread cannot be stopped and goes on by itself."""

    level: ClassVar[int] = logging.WARNING
    message: ClassVar[str] = "step thread abandoned"

    workflow: str
    step: str
    run_id: str
