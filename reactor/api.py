"""What a plug-in may import. Semantic versioning applies to every name here and to nothing else of the core."""

from __future__ import annotations

from reactor.clock import Clock, from_micros, monotonic, to_micros
from reactor.errors import (
    DefinitionError,
    OverloadedError,
    ReactorError,
    Reject,
    SettingsError,
    StepError,
    StoreError,
    StoreFullError,
)
from reactor.model.duration import Duration, parse_duration, spell_duration
from reactor.model.event import Event
from reactor.model.outlet import Outgoing, Outlet
from reactor.model.secret import read_secret
from reactor.model.sensor import (
    Accepted,
    HookRequest,
    HookResponse,
    Intake,
    Rejected,
    Sensor,
    nearest,
)

__all__ = [
    "Accepted",
    "Clock",
    "DefinitionError",
    "Duration",
    "Event",
    "HookRequest",
    "HookResponse",
    "Intake",
    "Outgoing",
    "Outlet",
    "OverloadedError",
    "ReactorError",
    "Reject",
    "Rejected",
    "Sensor",
    "SettingsError",
    "StepError",
    "StoreError",
    "StoreFullError",
    "from_micros",
    "monotonic",
    "nearest",
    "parse_duration",
    "read_secret",
    "spell_duration",
    "to_micros",
]
