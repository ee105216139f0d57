"""What happens to events and at sensors."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from reactor.telemetry.fact import Fact, FrequentFact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from typing import Self

    from reactor.telemetry.metrics import Metrics

_OBSERVED = ("observed",)
_DURABLE = ("durable",)


@dataclass(slots=True, kw_only=True)
class EventsAccepted(FrequentFact):
    """Events that came together are durable. Duplicates were so before; they are counted apart and have no latency.

    `ages_seconds` is how old each was when it was observed; `took_seconds` how long it then took to make them durable.
    """

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "events accepted"

    sensor: str
    event_ids: Sequence[str]
    duplicates: int
    ages_seconds: Sequence[float]
    took_seconds: float

    def count(self, metrics: Metrics) -> None:
        if len(self.event_ids) > 1:
            # What waits to be counted is in memory, and these may be ten thousand.
            self.count_all((self,), metrics)
        else:
            metrics.count_later(self)

    @classmethod
    def count_all(cls, facts: Sequence[Self], metrics: Metrics) -> None:
        accepted: Counter[str] = Counter()
        duplicates: Counter[str] = Counter()
        ages: list[float] = []
        took: list[float] = []
        for fact in facts:
            accepted[fact.sensor] += len(fact.event_ids)
            duplicates[fact.sensor] += fact.duplicates
            ages += fact.ages_seconds
            took += [fact.took_seconds] * len(fact.event_ids)
        for counter, counts in (
            (metrics.events_accepted, accepted),
            (metrics.events_duplicate, duplicates),
        ):
            for sensor, count in counts.items():
                if count:
                    counter.add((sensor,), count)
        metrics.event_latency.observe_all(_OBSERVED, ages)
        metrics.event_latency.observe_all(_DURABLE, took)

    def fields(self) -> dict[str, object]:
        return {
            "sensor": self.sensor,
            "event_ids": list(self.event_ids),
            "duplicates": self.duplicates,
            "took_seconds": self.took_seconds,
        }


@dataclass(slots=True, kw_only=True)
class EventRefused(Fact):
    """No credit was left for an event; its source was told to come again. Nothing was kept."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "event refused for want of credit"

    sensor: str
    workflow: str
    event_id: str
    retry_after: timedelta

    def count(self, metrics: Metrics) -> None:
        metrics.events_refused.add((self.sensor,))


@dataclass(slots=True, kw_only=True)
class EventsDeadLettered(Fact):
    """Input, or events for one workflow, that came together and were parked for one reason, a short constant.

    `detail` is that of the first. It must not quote the payload: of a pydantic error, take places and messages, not
    the input.
    """

    level: ClassVar[int] = logging.WARNING
    message: ClassVar[str] = "events dead-lettered"

    sensor: str
    workflow: str | None = None
    reason: str
    event_ids: Sequence[str]
    detail: str

    def count(self, metrics: Metrics) -> None:
        metrics.dead_letters.add((self.sensor, self.reason), len(self.event_ids))


@dataclass(slots=True, kw_only=True)
class OccurrenceSkipped(Fact):
    """An occurrence was seen and on purpose not fired. `due_at` is when it would have been."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "occurrence skipped"

    sensor: str
    occurrence_id: str
    reason: str
    due_at: datetime

    def count(self, metrics: Metrics) -> None:
        metrics.skipped_occurrences.add((self.sensor, self.reason))


@dataclass(slots=True, kw_only=True)
class SensorUp(Fact):
    """A sensor watches its source."""

    level: ClassVar[int] = logging.INFO
    message: ClassVar[str] = "sensor up"

    sensor: str


@dataclass(slots=True, kw_only=True)
class SensorDown(Fact):
    """A sensor cannot watch its source now, and goes on trying."""

    level: ClassVar[int] = logging.WARNING
    message: ClassVar[str] = "sensor down"

    sensor: str
    why: str


@dataclass(slots=True, kw_only=True)
class SensorFailed(Fact):
    """A sensor ended with an error. `restart_in` is None when it is not started again."""

    level: ClassVar[int] = logging.ERROR
    message: ClassVar[str] = "sensor failed"

    sensor: str
    error: str
    restart_in: timedelta | None = None


@dataclass(slots=True, kw_only=True)
class SensorIncident(Fact):
    """Something happened at a sensor that matters by its rate: a rebalance, a connection built anew."""

    level: ClassVar[int] = logging.INFO
    message: ClassVar[str] = "sensor incident"

    sensor: str
    reason: str

    def count(self, metrics: Metrics) -> None:
        metrics.sensor_incidents.add((self.sensor, self.reason))


@dataclass(slots=True, kw_only=True)
class CreditsExhausted(Fact):
    """A budget is used up: sources are slowed down until it is restored. Once per shortage."""

    level: ClassVar[int] = logging.WARNING
    message: ClassVar[str] = "credits exhausted"

    kind: str
    workflow: str | None = None
    limit: int


@dataclass(slots=True, kw_only=True)
class CreditsRestored(Fact):
    """There is room again; `lasted` is how long there was none."""

    level: ClassVar[int] = logging.INFO
    message: ClassVar[str] = "credits restored"

    kind: str
    workflow: str | None = None
    lasted: timedelta
