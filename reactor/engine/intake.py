"""The engine's end of one sensor; see `reactor.api.Intake` for the promises."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from reactor.clock import to_micros
from reactor.errors import OverloadedError
from reactor.model.secret import read_secret
from reactor.model.sensor import Accepted, Rejected
from reactor.store.contract import DeadLetterRow
from reactor.telemetry.facts import (
    EventRefused,
    OccurrenceSkipped,
    SensorDown,
    SensorIncident,
    SensorUp,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta

    from reactor.engine.engine import Engine
    from reactor.model.event import Event
    from reactor.model.sensor import HookRequest, HookResponse


# The trouble of a sensor that has not said anything yet.
STARTING = "starting"


class Routes(Protocol):
    """Where webhooks are served: the hooks listener."""

    def serve(
        self,
        path: str,
        handler: Callable[[HookRequest], Awaitable[HookResponse]],
        *,
        methods: Sequence[str] = ("POST",),
        max_body_bytes: int,
        deadline: timedelta,
    ) -> AbstractContextManager[None]:
        """Serve `path` while the context is open."""
        ...


class SensorIntake:
    """Ties a sensor's name to the engine; implements `reactor.api.Intake`."""

    def __init__(
        self,
        engine: Engine,
        sensor: str,
        routes: Routes,
        directory: Path,
        changed: Callable[[], None],
    ) -> None:
        self.sensor = sensor
        self.clock = engine.clock
        self.directory = directory
        self.log = logging.getLogger("reactor.sensor")
        self.trouble: str | None = STARTING
        self.lag_records: int | None = None
        self.lag_seconds: float | None = None
        self.paused_partitions: int | None = None
        self._engine = engine
        self._routes = routes
        self._changed = changed

    async def accept(
        self,
        event: Event[Any],
        *,
        cursor: Mapping[str, bytes | None] | None = None,
        wait: bool = True,
    ) -> Accepted:
        try:
            accepted = await self._engine.accept(self.sensor, (event,), cursor or {}, wait=wait)
        except OverloadedError as error:
            self._engine.telemetry.emit(
                EventRefused(
                    sensor=self.sensor,
                    workflow=error.workflow,
                    event_id=event.id,
                    retry_after=error.retry_after,
                )
            )
            raise
        return accepted[0]

    async def accept_many(
        self,
        events: Sequence[Event[Any]],
        *,
        cursor: Mapping[str, bytes | None] | None = None,
        json: Sequence[bytes] | None = None,
        rejected: Sequence[Rejected] = (),
    ) -> Sequence[Accepted]:
        return await self._engine.accept(
            self.sensor,
            events,
            cursor or {},
            wait=True,
            json=json,
            rejected=[self._letter(each) for each in rejected],
        )

    async def reject(
        self,
        raw: bytes,
        *,
        reason: str,
        detail: str,
        event_id: str,
        subject: str | None = None,
        cursor: Mapping[str, bytes | None] | None = None,
    ) -> Accepted:
        rejected = Rejected(
            event_id=event_id, raw=raw, reason=reason, detail=detail, subject=subject
        )
        (accepted,) = await self.accept_many((), cursor=cursor, rejected=(rejected,))
        return accepted

    async def skip(
        self,
        occurrence_id: str,
        *,
        reason: str,
        at: datetime,
        cursor: Mapping[str, bytes | None] | None = None,
    ) -> None:
        is_new = await self._engine.store.skip(
            self.sensor, occurrence_id, reason, to_micros(at), cursor or {}
        )
        if is_new:
            self._engine.telemetry.emit(
                OccurrenceSkipped(
                    sensor=self.sensor, occurrence_id=occurrence_id, reason=reason, due_at=at
                )
            )

    async def cursor(self) -> dict[str, bytes]:
        return await self._engine.store.cursor(self.sensor)

    async def move_cursor(self, cursor: Mapping[str, bytes | None]) -> None:
        await self._engine.store.move_cursor(self.sensor, cursor)

    def _letter(self, rejected: Rejected) -> DeadLetterRow:
        return DeadLetterRow(
            id=self.clock.next_id(),
            sensor=self.sensor,
            event_id=rejected.event_id,
            reason=rejected.reason,
            detail=rejected.detail,
            subject=rejected.subject,
            raw=rejected.raw,
            created_at=self.clock.now_micros(),
        )

    def up(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            self._changed()
            self._engine.telemetry.emit(SensorUp(sensor=self.sensor))

    def down(self, why: str) -> None:
        if self.trouble != why:
            self.trouble = why
            self._changed()
            self._engine.telemetry.emit(SensorDown(sensor=self.sensor, why=why))

    def lag(self, *, records: int | None = None, seconds: float | None = None) -> None:
        self.lag_records = records
        self.lag_seconds = seconds

    def paused(self, partitions: int) -> None:
        self.paused_partitions = partitions

    def incident(self, reason: str) -> None:
        self._engine.telemetry.emit(SensorIncident(sensor=self.sensor, reason=reason))

    def secret(self, reference: str) -> bytes:
        return read_secret(reference)

    def serve(
        self,
        path: str,
        handler: Callable[[HookRequest], Awaitable[HookResponse]],
        *,
        methods: Sequence[str] = ("POST",),
        max_body_bytes: int,
        deadline: timedelta,
    ) -> AbstractContextManager[None]:
        return self._routes.serve(
            path, handler, methods=methods, max_body_bytes=max_body_bytes, deadline=deadline
        )
