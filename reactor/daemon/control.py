"""What the admin API can make the daemon do."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from reactor.errors import OverloadedError, StoreError
from reactor.model.event import Event
from reactor.model.ids import parse_id, spell_id
from reactor.model.sensor import nearest, spell_validation_error
from reactor.web.admin import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reactor.engine.engine import Engine
    from reactor.engine.supervisor import Supervisor
    from reactor.store.contract import DeadLetterRow

MOST_REFUSALS_SHOWN = 100
M = TypeVar("M", bound=BaseModel)
# Built at the first request: few daemons get one, and all of them start.
_CLOSED = ConfigDict(extra="forbid", defer_build=True)


class EmitRequest(BaseModel):
    """The body of POST /api/emit: an event as if `sensor` had seen it."""

    model_config = _CLOSED

    sensor: str
    data: Any = None
    id: str | None = None
    type: str = "reactor.emitted"
    subject: str | None = None


class RedriveRequest(BaseModel):
    """The body of POST /api/redrive: exactly one of the three."""

    model_config = _CLOSED

    ids: list[str] | None = None
    reason: str | None = None
    all: bool = False


class SeekRequest(BaseModel):
    """The body of POST /api/seek: where a sensor's cursor shall be."""

    model_config = _CLOSED

    sensor: str
    where: str
    to: str


class Control:
    """The admin API's functions over engine and sensors."""

    def __init__(self, engine: Engine, supervisor: Supervisor) -> None:
        self._engine = engine
        self._supervisor = supervisor

    async def emit(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Accept an event given by an operator; return its id and whether it was known."""
        request = _parse(EmitRequest, body)
        self._require_sensor(request.sensor)
        sensor = self._supervisor.sensor(request.sensor)
        try:
            data = TypeAdapter(sensor.data_type if sensor else Any).validate_python(request.data)
        except ValidationError as error:
            raise RequestRefused(
                422, f"data does not fit the sensor: {spell_validation_error(error, [])}"
            ) from None
        event = Event(
            id=request.id or secrets.token_hex(16),
            source=request.sensor,
            type=request.type,
            time=self._engine.clock.now(),
            data=data,
            subject=request.subject,
        )
        try:
            accepted = (await self._engine.accept(request.sensor, (event,), {}, wait=False))[0]
        except OverloadedError as error:
            raise RequestRefused(503, f"{error}; try again in {error.retry_after}") from None
        except StoreError as error:
            raise RequestRefused(507, str(error)) from None
        return {"id": accepted.event_id, "duplicate": accepted.duplicate}

    async def seek(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Move the cursor of a sensor; return in words what was done."""
        request = _parse(SeekRequest, body)
        self._require_sensor(request.sensor)
        try:
            done = await self._supervisor.seek(request.sensor, request.where, request.to)
        except ValueError as error:
            raise RequestRefused(422, str(error)) from None
        except StoreError as error:
            raise RequestRefused(507, str(error)) from None
        return {"done": done}

    def _require_sensor(self, name: str) -> None:
        sensors = self._supervisor.sensors_up()
        if name not in sensors:
            raise RequestRefused(404, f"no sensor {name!r}{nearest(name, [*sensors])}")

    async def redrive(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Accept dead letters again; return how many, and why each refused one was."""
        request = _parse(RedriveRequest, body)
        if sum((request.ids is not None, request.reason is not None, request.all)) != 1:
            raise RequestRefused(422, 'give exactly one of "ids", "reason" and "all"')
        letters = await self._letters(request)
        redriven = 0
        refused: list[dict[str, str]] = []
        for letter in letters:
            why = await self._engine.redrive(letter, self._supervisor.sensor(letter.sensor))
            if why is None:
                redriven += 1
            else:
                refused.append({"id": spell_id(letter.id), "why": why})
        known = {letter.id for letter in letters}
        refused += [
            {"id": text, "why": "there is no such dead letter, or it was redriven before"}
            for text in request.ids or ()
            if _parse_id(text) not in known
        ]
        return {"redriven": redriven, "refused": refused[:MOST_REFUSALS_SHOWN]}

    async def _letters(self, request: RedriveRequest) -> Sequence[DeadLetterRow]:
        ids = None if request.ids is None else [_parse_id(text) for text in request.ids]
        try:
            return await self._engine.store.dead_letters(ids=ids, reason=request.reason)
        except StoreError as error:
            raise RequestRefused(507, str(error)) from None


def _parse(model: type[M], body: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise RequestRefused(422, spell_validation_error(error, [*model.model_fields])) from None


def _parse_id(text: str) -> int:
    try:
        return int(text) if text.isdigit() and len(text) != 13 else parse_id(text)
    except ValueError as error:
        raise RequestRefused(422, str(error)) from None
