"""What happens to events and at sensors."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from reactor.telemetry.fact import Fact

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from reactor.telemetry.metrics import Metrics

_OBSERVED = ("observed",)
_DURABLE = ("durable",)


@dataclass(slots=True, kw_only=True)
class EventAccepted(Fact):
    """An event is durable. A duplicate was so before; it is counted apart and has no latency."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "event accepted"

    sensor: str
    event_id: str
    duplicate: bool
    occurred_at: datetime
    observed_at: datetime
    durable_at: datetime

    def count(self, metrics: Metrics) -> None:
        if self.duplicate:
            metrics.events_duplicate.add((self.sensor,))
            return
        metrics.events_accepted.add((self.sensor,))
        observed_at = self.observed_at
        latency = metrics.event_latency
        latency.observe(_OBSERVED, (observed_at - self.occurred_at).total_seconds())
        latency.observe(_DURABLE, (self.durable_at - observed_at).total_seconds())


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
class EventDeadLettered(Fact):
    """Input, or an event for one workflow, was parked. `reason` is a short constant.

    `detail` must not quote the payload: of a pydantic error, take places and messages, not the
    input.
    """

    level: ClassVar[int] = logging.WARNING
    message: ClassVar[str] = "event dead-lettered"

    sensor: str
    workflow: str | None = None
    reason: str
    event_id: str
    detail: str

    def count(self, metrics: Metrics) -> None:
        metrics.dead_letters.add((self.sensor, self.reason))


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
