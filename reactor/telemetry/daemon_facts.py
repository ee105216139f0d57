"""What happens to the daemon itself, its loop and its store."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from reactor.telemetry.fact import Fact, FrequentFact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from typing import Self

    from reactor.telemetry.metrics import Metrics


@dataclass(slots=True, kw_only=True)
class DaemonStarted(Fact):
    """The process begins its work; recovery is still to come."""

    level: ClassVar[int] = logging.INFO
    message: ClassVar[str] = "daemon started"

    version: str
    pid: int
    state: str


@dataclass(slots=True, kw_only=True)
class DaemonReady(Fact):
    """Recovery is done and every sensor runs; `after` counts from the start of the process."""

    level: ClassVar[int] = logging.INFO
    message: ClassVar[str] = "daemon ready"

    after: timedelta
    workflows: int
    sensors: int
    resumed_runs: int


@dataclass(slots=True, kw_only=True)
class DaemonDraining(Fact):
    """Nothing new is taken; `running` runs have `limit` to finish their steps in hand."""

    level: ClassVar[int] = logging.INFO
    message: ClassVar[str] = "daemon draining"

    why: str
    running: int
    limit: timedelta


@dataclass(slots=True, kw_only=True)
class DaemonStopped(Fact):
    """The end. `left_running` runs were cut off and are resumed at the next start."""

    level: ClassVar[int] = logging.INFO
    message: ClassVar[str] = "daemon stopped"

    exit_code: int
    left_running: int


@dataclass(slots=True, kw_only=True)
class ProjectReloaded(Fact):
    """The project was read again, and its workflows and sensors replaced."""

    level: ClassVar[int] = logging.INFO
    message: ClassVar[str] = "project reloaded"

    workflows: int
    sensors: int
    duration: timedelta


@dataclass(slots=True, kw_only=True)
class ProjectReloadFailed(Fact):
    """The project was read again and is wrong; the one that ran before goes on."""

    level: ClassVar[int] = logging.ERROR
    message: ClassVar[str] = "project not reloaded"

    error: str


@dataclass(slots=True, kw_only=True)
class LoopBlocked(Fact):
    """A callback keeps the loop from everything else, at this line. Told once, while it lasts.

    `blocked_for` counts from the last heartbeat, so it may be up to one heartbeat too long.
    """

    level: ClassVar[int] = logging.WARNING
    message: ClassVar[str] = "event loop blocked"

    step: str | None
    file: str
    line: int
    function: str
    blocked_for: timedelta


@dataclass(slots=True, kw_only=True)
class LoopUnblocked(Fact):
    """The blockage that LoopBlocked named is over; `blocked_for` is how long it lasted in all."""

    level: ClassVar[int] = logging.WARNING
    message: ClassVar[str] = "event loop runs again"

    step: str | None
    file: str
    line: int
    function: str
    blocked_for: timedelta


@dataclass(slots=True, kw_only=True)
class BatchCommitted(FrequentFact):
    """The store made `size` transactions durable with one commit."""

    level: ClassVar[int] = logging.DEBUG
    message: ClassVar[str] = "batch committed"

    duration_seconds: float
    size: int

    @classmethod
    def count_all(cls, facts: Sequence[Self], metrics: Metrics) -> None:
        metrics.commit_duration.observe_all((), [fact.duration_seconds for fact in facts])
        metrics.commit_size.observe_all((), [fact.size for fact in facts])


@dataclass(slots=True, kw_only=True)
class StoreStopped(Fact):
    """A storage error ended all writing; the daemon is about to end."""

    level: ClassVar[int] = logging.ERROR
    message: ClassVar[str] = "store stopped"

    error: str


@dataclass(slots=True, kw_only=True)
class DiskFull(Fact):
    """No space is left: nothing new is accepted until there is. Once per shortage."""

    level: ClassVar[int] = logging.ERROR
    message: ClassVar[str] = "disk full, intake refused"

    path: str
    free_bytes: int | None = None


@dataclass(slots=True, kw_only=True)
class DiskRecovered(Fact):
    """There is space again and events are accepted; `lasted` is how long they were not."""

    level: ClassVar[int] = logging.INFO
    message: ClassVar[str] = "disk has space again"

    path: str
    lasted: timedelta
