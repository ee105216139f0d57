"""The test kit: virtual time, an intake in memory, and contract suites that plug-ins inherit."""

from reactor.model.sensor import Rejected
from reactor.testing.intake import RecordingIntake, Route, Skipped
from reactor.testing.sensor_contract import SensorContract, running
from reactor.testing.time import NEW_YEAR, LoopClock, VirtualTimeLoop

__all__ = [
    "NEW_YEAR",
    "LoopClock",
    "RecordingIntake",
    "Rejected",
    "Route",
    "SensorContract",
    "Skipped",
    "VirtualTimeLoop",
    "running",
]
