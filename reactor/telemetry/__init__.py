"""Facts, and the log and metrics that come of them."""

from __future__ import annotations

from reactor.telemetry.logs import configure_logs
from reactor.telemetry.metrics import Metrics, Readings
from reactor.telemetry.printable import printable
from reactor.telemetry.telemetry import Sink, Telemetry

__all__ = ["Metrics", "Readings", "Sink", "Telemetry", "configure_logs", "printable"]
