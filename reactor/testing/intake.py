"""An intake in memory, for testing a sensor without a daemon."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reactor.clock import Clock, SystemClock
from reactor.engine.event_json import encode
from reactor.errors import OverloadedError
from reactor.model.secret import read_secret
from reactor.model.sensor import Accepted, HookRequest, HookResponse, Rejected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from reactor.model.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """What a sensor handed to `skip`."""

    occurrence_id: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a sensor handed to `serve`."""

    handler: Callable[[HookRequest], Awaitable[HookResponse]]
    methods: tuple[str, ...]
    max_body_bytes: int
    deadline: timedelta


class RecordingIntake:
    """Behaves as the engine does towards a sensor: dedupes, keeps the cursor, makes wait, refuses.

    A restart of the sensor is a second `run` with the same intake. `overload(...)` takes all credit away until
    `relieve()`; `fail_next(error)` makes the next durable call raise instead of keeping anything.
    """

    def __init__(
        self, sensor: str = "sensor", *, clock: Clock | None = None, directory: Path | None = None
    ) -> None:
        self.sensor = sensor
        self.clock: Clock = clock or SystemClock()
        self.log = logging.getLogger(f"reactor.sensor.{sensor}")
        self.directory = directory or Path.cwd()
        self.events: list[Event[Any]] = []
        self.rejected: list[Rejected] = []
        self.skipped: list[Skipped] = []
        self.routes: dict[str, Route] = {}
        self.durable_cursor: dict[str, bytes] = {}
        self.state = "starting"
        self.duplicates = 0
        self.incidents: list[str] = []
        self.lag_records: int | None = None
        self.lag_seconds: float | None = None
        self.paused_partitions: int | None = None
        self._seen: set[tuple[str, str]] = set()
        self._changed = asyncio.Condition()
        self._credit = asyncio.Event()
        self._credit.set()
        self._retry_after: timedelta | None = None
        self._failure: Exception | None = None

    def overload(self, retry_after: timedelta) -> None:
        self._retry_after = retry_after
        self._credit.clear()

    def relieve(self) -> None:
        self._credit.set()

    def fail_next(self, error: Exception) -> None:
        self._failure = error

    async def wait_for_events(self, count: int) -> list[Event[Any]]:
        """Return all events once at least `count` were accepted."""
        await self.wait_until(lambda: len(self.events) >= count)
        return self.events

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds; it is looked at after every call that the sensor makes."""
        async with self._changed:
            await self._changed.wait_for(condition)

    async def accept(
        self,
        event: Event[Any],
        *,
        cursor: Mapping[str, bytes | None] | None = None,
        wait: bool = True,
    ) -> Accepted:
        if not wait and not self._credit.is_set():
            assert self._retry_after is not None
            raise OverloadedError("workflow", self._retry_after)
        return (await self.accept_many([event], cursor=cursor))[0]

    async def accept_many(
        self,
        events: Sequence[Event[Any]],
        *,
        cursor: Mapping[str, bytes | None] | None = None,
        json: Sequence[bytes] | None = None,
        rejected: Sequence[Rejected] = (),
    ) -> Sequence[Accepted]:
        assert json is None or [*json] == [encode(event.data) for event in events]
        if events:
            await self._credit.wait()
        self._raise_failure()
        answers = []
        for event in events:
            identity = (event.source, event.id)
            answers.append(Accepted(event_id=event.id, duplicate=identity in self._seen))
            if identity in self._seen:
                self.duplicates += 1
            else:
                self._seen.add(identity)
                self.events.append(event)
        for one in rejected:
            duplicate = any(known.event_id == one.event_id for known in self.rejected)
            answers.append(Accepted(event_id=one.event_id, duplicate=duplicate))
            if not duplicate:
                self.rejected.append(one)
        await self.move_cursor(cursor or {})
        return answers

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
        self._raise_failure()
        if all(known.occurrence_id != occurrence_id for known in self.skipped):
            self.skipped.append(Skipped(occurrence_id=occurrence_id, reason=reason, at=at))
        await self.move_cursor(cursor or {})

    async def cursor(self) -> dict[str, bytes]:
        return dict(self.durable_cursor)

    async def move_cursor(self, cursor: Mapping[str, bytes | None]) -> None:
        for key, value in cursor.items():
            if value is None:
                self.durable_cursor.pop(key, None)
            else:
                self.durable_cursor[key] = value
        async with self._changed:
            self._changed.notify_all()

    def up(self) -> None:
        self._become("up")

    def down(self, why: str) -> None:
        self._become(f"down: {why}")

    def lag(self, *, records: int | None = None, seconds: float | None = None) -> None:
        self.lag_records = records
        self.lag_seconds = seconds

    def paused(self, partitions: int) -> None:
        self.paused_partitions = partitions
        self._look_again()

    def incident(self, reason: str) -> None:
        self.incidents.append(reason)

    def secret(self, reference: str) -> bytes:
        return read_secret(reference)

    @contextlib.contextmanager
    def serve(
        self,
        path: str,
        handler: Callable[[HookRequest], Awaitable[HookResponse]],
        *,
        methods: Sequence[str] = ("POST",),
        max_body_bytes: int,
        deadline: timedelta,
    ) -> Iterator[None]:
        self.routes[path] = Route(
            handler=handler,
            methods=tuple(methods),
            max_body_bytes=max_body_bytes,
            deadline=deadline,
        )
        try:
            yield
        finally:
            del self.routes[path]

    def _become(self, state: str) -> None:
        self.state = state
        self._look_again()

    def _look_again(self) -> None:
        asyncio.get_running_loop().create_task(self._notify(), name="intake changed")

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
