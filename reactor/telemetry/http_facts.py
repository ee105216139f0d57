"""What happens at the edge of the HTTP listeners."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from reactor.telemetry.fact import Fact

if TYPE_CHECKING:
    from reactor.telemetry.metrics import Metrics


@dataclass(slots=True, kw_only=True)
class RequestShed(Fact):
    """A request became no event: cut off, or refused by listener or sensor. `reason` is a short constant."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "request shed"

    reason: str

    def count(self, metrics: Metrics) -> None:
        metrics.requests_shed.add((self.reason,))


@dataclass(slots=True, kw_only=True)
class RequestFailed(Fact):
    """A handler raised: a fault of ours or of a sensor, answered with 500. `where` is file and line."""

    level: ClassVar[int] = logging.ERROR
    message: ClassVar[str] = "request failed"

    path: str
    error: str
    where: str

    def count(self, metrics: Metrics) -> None:
        metrics.requests_shed.add(("failed",))
