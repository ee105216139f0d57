"""What happens to what steps emit. A target is named in the log and never a label: it may come from data."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from reactor.telemetry.fact import Fact

if TYPE_CHECKING:
    from datetime import timedelta

    from reactor.telemetry.metrics import Metrics

_EMITTED = ("emitted",)
_DELIVERED = ("delivered",)
_DEAD = ("dead",)


@dataclass(slots=True, kw_only=True)
class OutboxEmitted(Fact):
    """What a step emitted is durable, and will be delivered."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "emitted"

    workflow: str
    step: str
    records: int

    def count(self, metrics: Metrics) -> None:
        metrics.outbox_records.add(_EMITTED, self.records)


@dataclass(slots=True, kw_only=True)
class OutboxDelivered(Fact):
    """Records of a workflow are acknowledged and have left the outbox. `age` is that of the oldest."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "outbox delivered"

    workflow: str
    outlet: str
    target: str
    records: int
    age: timedelta

    def count(self, metrics: Metrics) -> None:
        metrics.outbox_records.add(_DELIVERED, self.records)


@dataclass(slots=True, kw_only=True)
class OutboxParked(Fact):
    """A record can never be delivered and is a dead letter now."""

    level: ClassVar[int] = logging.WARNING
    message: ClassVar[str] = "outbox record dead-lettered"

    sensor: str
    workflow: str
    step: str
    target: str
    reason: str
    idempotency_key: str
    detail: str

    def count(self, metrics: Metrics) -> None:
        metrics.outbox_records.add(_DEAD)
        metrics.dead_letters.add((self.sensor, self.reason))


@dataclass(slots=True, kw_only=True)
class OutboxStalled(Fact):
    """Nothing can be delivered to a target now; it is tried again in `retry_in`. `first` after a success."""

    level: ClassVar[int] = logging.WARNING
    message: ClassVar[str] = "outbox stalled"

    outlet: str
    target: str
    error: str
    waiting: int
    retry_in: timedelta
    first: bool

    def severity(self) -> int:
        # Once per outage: the retries say nothing new, and /readyz says the latest reason.
        return self.level if self.first else logging.DEBUG

    def count(self, metrics: Metrics) -> None:
        metrics.outbox_stalls.add(())


@dataclass(slots=True, kw_only=True)
class OutboxRecovered(Fact):
    """A target takes records again; `lasted` is how long it did not."""

    level: ClassVar[int] = logging.INFO
    message: ClassVar[str] = "outbox recovered"

    outlet: str
    target: str
    lasted: timedelta
