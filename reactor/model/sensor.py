"""What a sensor is to a definition, and what the engine gives it to work with."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from reactor.errors import DefinitionError

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta
    from pathlib import Path

    from reactor.clock import Clock
    from reactor.model.event import Event
    from reactor.model.trigger import KeyOf, Predicate, Trigger


class Accepted(NamedTuple):
    """The engine's answer to an event: it is durable. `duplicate` means that it was so before."""

    event_id: str
    duplicate: bool


@dataclass(slots=True, kw_only=True)
class HookRequest:
    """A whole HTTP request as it came in. Header names are lower case; `body` is untouched.

    Not `frozen`, though nobody changes one: making a frozen one takes three times as long.
    """

    method: str
    path: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    client: str
    _first: dict[bytes, bytes] | None = field(default=None, init=False, repr=False, compare=False)

    def header(self, name: str) -> str | None:
        """Return the first header of that lower-case name, decoded as Latin-1 (RFC 9110), or None."""
        first = self._first
        if first is None:
            # Once for all: a webhook looks for nine.
            first = self._first = dict(reversed(self.headers))
        value = first.get(name.encode())
        return None if value is None else value.strip(b" \t").decode("latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class HookResponse:
    """What to answer; a body is JSON unless `content_type` says otherwise."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Input that cannot become an event, and why. `reason` is a short constant, `detail` a sentence for people."""

    event_id: str
    raw: bytes
    reason: str
    detail: str
    subject: str | None = None


class Intake(Protocol):
    """The engine's end of a sensor: takes responsibility for what the sensor saw.

    A cursor is a small durable dictionary per sensor. Every call that takes one commits it in the same
    transaction as the event; a value of None deletes its key.
    """

    sensor: str
    clock: Clock
    log: logging.Logger
    directory: Path

    async def accept(
        self,
        event: Event[Any],
        *,
        cursor: Mapping[str, bytes | None] | None = None,
        wait: bool = True,
    ) -> Accepted:
        """Return when the event is durable. Waits for credit; with `wait=False` raises OverloadedError instead.

        May be repeated: the same (source, id) is stored once and fires once. Raises StoreFullError while the disk is
        full (nothing was kept; try again later) and StoreStoppedError when the daemon is about to end.
        """
        ...

    async def accept_many(
        self,
        events: Sequence[Event[Any]],
        *,
        cursor: Mapping[str, bytes | None] | None = None,
        json: Sequence[bytes] | None = None,
        rejected: Sequence[Rejected] = (),
    ) -> Sequence[Accepted]:
        """Accept several events and one cursor in one transaction, in order. Waits for credit of the events.

        `json` is the data of each event as JSON, for a sensor that has it at hand or makes it faster than the engine.
        `rejected` came with the events and becomes dead letters in the same transaction, as by `reject`; what is said
        of it stands behind what is said of the events. There may be none of either.
        """
        ...

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
        """Park input that cannot become an event as a dead letter, with its raw bytes. `reason` is a short constant."""
        ...

    async def skip(
        self,
        occurrence_id: str,
        *,
        reason: str,
        at: datetime,
        cursor: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """Record that an occurrence was seen and on purpose not fired. May be repeated: one row per occurrence."""
        ...

    async def cursor(self) -> dict[str, bytes]:
        """Return the whole durable cursor of this sensor."""
        ...

    async def move_cursor(self, cursor: Mapping[str, bytes | None]) -> None:
        """Change the cursor without an event. Returns when that is durable."""
        ...

    def up(self) -> None:
        """Say that the sensor is watching its source (`reactor_sensor_up` becomes 1). May be repeated."""
        ...

    def down(self, why: str) -> None:
        """Say that the source cannot be watched now, and why; `/readyz` repeats it. May be repeated."""
        ...

    def lag(self, *, records: int | None = None, seconds: float | None = None) -> None:
        """Say how far the sensor is behind its source, in records, in time or in both. May be repeated."""
        ...

    def paused(self, partitions: int) -> None:
        """Say how many partitions of the source are held back now for want of credit. May be repeated."""
        ...

    def incident(self, reason: str) -> None:
        """Count something that an operator should see the rate of. `reason` is a short constant."""
        ...

    def secret(self, reference: str) -> bytes:
        """Return the secret behind `env:NAME` or `file:PATH`, read now. Raises SettingsError."""
        ...

    def serve(
        self,
        path: str,
        handler: Callable[[HookRequest], Awaitable[HookResponse]],
        *,
        methods: Sequence[str] = ("POST",),
        max_body_bytes: int,
        deadline: timedelta,
    ) -> AbstractContextManager[None]:
        """Serve `path` on the hooks listener while the context is open.

        The listener enforces `max_body_bytes` (413) and `deadline`, from the first byte of the request to its last
        (408, then the connection is closed), before `handler` sees a whole request.
        """
        ...


def nearest(name: str, names: Sequence[str]) -> str:
    """Return a hint that names the nearest of `names`, or lists them all; it begins with a semicolon."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(names))}"


def spell_validation_error(error: ValidationError, names: Sequence[str]) -> str:
    """Return one line per fault: which option, what is wrong with it and, for an unknown one, the nearest name."""
    lines = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown option {where!r}{nearest(where, names)}")
        else:
            said = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {said}" if where else said)
    return "; ".join(lines)


class Sensor(BaseModel):
    """Base of every sensor: options as pydantic fields, and `run`.

    Subclasses define `kind`, may override `label` and `data_type`, and live in modules registered under the
    entry-point group `reactor.sensors`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    kind: ClassVar[str]

    name: str = ""

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            names = [*type(self).model_fields]
            raise DefinitionError(
                f"{type(self).__name__}: {spell_validation_error(error, names)}"
            ) from None

    def label(self) -> str:
        """Return what tells this sensor from others of its kind, for a default name; short and readable."""
        return ""

    @property
    def sensor_name(self) -> str:
        """Return the name under which cursor, metrics and events of this sensor are kept."""
        if self.name:
            return self.name
        label = self.label()
        return f"{self.kind}:{label}" if label else self.kind

    @property
    def data_type(self) -> Any:
        """Return the type of `event.data`; Any means plain JSON."""
        return Any

    async def run(self, intake: Intake) -> None:
        """Produce events until cancelled. An exception is recorded and `run` is called again after a growing delay."""
        raise NotImplementedError

    def revive(
        self, raw: bytes, *, event_id: str, subject: str | None, at: datetime
    ) -> Event[Any] | Awaitable[Event[Any]]:
        """Return the event that rejected input is after all, when it is redriven; or what gives it when awaited.

        `at` is when it was rejected. Raises ValueError that says why it still is none; the default knows no way.
        """
        raise ValueError(f"a {self.kind} sensor cannot make an event of rejected input")

    async def seek(self, intake: Intake, where: str, to: str) -> str:
        """Move the cursor as an operator wishes, durably; return in words what was done.

        It is called beside `run`. Raises ValueError that says why it cannot be; the default knows no positions.
        """
        raise ValueError(f"a {self.kind} sensor has no position that could be moved")

    def where(self, predicate: Predicate) -> Trigger:
        """Fire only for events for which `predicate(event)` is true."""
        return self._trigger().where(predicate)

    def key(self, key: KeyOf) -> Trigger:
        """Run events of one key in order, one at a time; a dotted path such as "data.customer", or a function."""
        return self._trigger().key(key)

    def batch(self, size: int, *, within: str | timedelta) -> Trigger:
        """Start one run for up to `size` events; see `Trigger.batch`."""
        return self._trigger().batch(size, within=within)

    def _trigger(self) -> Trigger:
        from reactor.model.trigger import (
            Trigger,  # a Trigger holds Sensors: the one loop in the model
        )

        return Trigger(sensor=self)
