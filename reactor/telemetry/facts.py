"""Every fact there is, under one roof."""

from __future__ import annotations

from reactor.telemetry.daemon_facts import (
    BatchCommitted,
    DaemonDraining,
    DaemonReady,
    DaemonStarted,
    DaemonStopped,
    DiskFull,
    DiskRecovered,
    LoopBlocked,
    LoopUnblocked,
    ProjectReloaded,
    ProjectReloadFailed,
    StoreStopped,
)
from reactor.telemetry.event_facts import (
    CreditsExhausted,
    CreditsRestored,
    EventRefused,
    EventsAccepted,
    EventsDeadLettered,
    OccurrenceSkipped,
    SensorDown,
    SensorFailed,
    SensorIncident,
    SensorUp,
)
from reactor.telemetry.fact import Fact
from reactor.telemetry.http_facts import RequestFailed, RequestShed
from reactor.telemetry.outbox_facts import (
    OutboxDelivered,
    OutboxEmitted,
    OutboxParked,
    OutboxRecovered,
    OutboxStalled,
)
from reactor.telemetry.run_facts import (
    RunFinished,
    RunParked,
    RunStarted,
    StepFinished,
    ThreadAbandoned,
)

__all__ = [
    "BatchCommitted",
    "CreditsExhausted",
    "CreditsRestored",
    "DaemonDraining",
    "DaemonReady",
    "DaemonStarted",
    "DaemonStopped",
    "DiskFull",
    "DiskRecovered",
    "EventRefused",
    "EventsAccepted",
    "EventsDeadLettered",
    "Fact",
    "LoopBlocked",
    "LoopUnblocked",
    "OccurrenceSkipped",
    "OutboxDelivered",
    "OutboxEmitted",
    "OutboxParked",
    "OutboxRecovered",
    "OutboxStalled",
    "ProjectReloadFailed",
    "ProjectReloaded",
    "RequestFailed",
    "RequestShed",
    "RunFinished",
    "RunParked",
    "RunStarted",
    "SensorDown",
    "SensorFailed",
    "SensorIncident",
    "SensorUp",
    "StepFinished",
    "StoreStopped",
    "ThreadAbandoned",
]
