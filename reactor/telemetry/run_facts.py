"""What happens to runs and their steps."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from reactor.model.ids import spell_id
from reactor.telemetry.fact import Fact, FrequentFact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from reactor.telemetry.metrics import Metrics

_STARTED = ("started",)
_FINISHED = ("finished",)
_BAD = frozenset({"failed", "timed_out"})


@dataclass(slots=True, kw_only=True)
class RunFact(FrequentFact):
    """Base of what happens to a run, `run`. Its id is spelled when somebody asks: most facts are only counted."""

    workflow: str
    run: int

    @property
    def run_id(self) -> str:
        return spell_id(self.run)

    def fields(self) -> dict[str, object]:
        others = FrequentFact.fields(self)
        del others["run"]
        return {"workflow": others.pop("workflow"), "run_id": self.run_id, **others}


@dataclass(slots=True, kw_only=True)
class RunStarted(RunFact):
    """A run left the queue. `age_seconds` is the time since its event was observed; None when resumed."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "run started"

    event_id: str
    age_seconds: float | None

    @classmethod
    def count_all(cls, facts: Sequence[Self], metrics: Metrics) -> None:
        ages = [fact.age_seconds for fact in facts if fact.age_seconds is not None]
        metrics.event_latency.observe_all(_STARTED, ages)


@dataclass(slots=True, kw_only=True)
class RunFinished(RunFact):
    """A run has its outcome. `age_seconds` is the time since its event was observed, None where unknown."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "run finished"

    outcome: str
    duration_seconds: float
    age_seconds: float | None
    error: str | None = None

    def severity(self) -> int:
        return logging.WARNING if self.outcome in _BAD else logging.DEBUG

    @classmethod
    def count_all(cls, facts: Sequence[Self], metrics: Metrics) -> None:
        for labels, count in Counter([(fact.workflow, fact.outcome) for fact in facts]).items():
            metrics.runs.add(labels, count)
        ages = [fact.age_seconds for fact in facts if fact.age_seconds is not None]
        metrics.event_latency.observe_all(_FINISHED, ages)


@dataclass(slots=True, kw_only=True)
class RunParked(Fact):
    """A run was in flight at `deaths` deaths of the process in a row, and is now a dead letter.

    Counts that dead letter itself, under the reason `process_died`; no EventsDeadLettered beside it.
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
class StepFinished(RunFact):
    """An attempt of a step ended. `final` tells that no other attempt follows.

    A step is counted once, at its final attempt; every attempt that ran has its duration.
    """

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "step finished"

    step: str
    attempt: int
    outcome: str
    duration_seconds: float
    error: str | None = None
    final: bool = True

    def severity(self) -> int:
        return logging.WARNING if self.outcome in _BAD else logging.DEBUG

    @classmethod
    def count_all(cls, facts: Sequence[Self], metrics: Metrics) -> None:
        ends = [(fact.workflow, fact.step, fact.outcome) for fact in facts if fact.final]
        for labels, count in Counter(ends).items():
            metrics.steps.add(labels, count)
        durations: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for fact in facts:
            if fact.outcome != "skipped":
                durations[fact.workflow, fact.step].append(fact.duration_seconds)
        for step, seconds in durations.items():
            metrics.step_duration.observe_all(step, seconds)


@dataclass(slots=True, kw_only=True)
class ThreadAbandoned(Fact):
    """A plain `def` step outlived its timeout. Its thread cannot be stopped and goes on by itself."""

    level: ClassVar[int] = logging.WARNING
    message: ClassVar[str] = "step thread abandoned"

    workflow: str
    step: str
    run_id: str
