"""Events as the store keeps them: their data is JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from pydantic_core import to_json

from reactor.clock import from_micros
from reactor.model.event import Event

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from reactor.store.contract import EventRow


def encode(data: Any) -> bytes:
    """Return event data as JSON."""
    try:
        # A copy: orjson hands out a buffer of 4 kB or more whatever is in it, and events are kept while they wait.
        return bytes(memoryview(orjson.dumps(data)))
    except TypeError:
        return to_json(data)


def decode_event(row: EventRow, data_type: TypeAdapter[Any] | None) -> Event[Any]:
    """Return a stored event; its data is of the sensor's type where that still fits, and plain JSON where not."""
    data: Any
    try:
        data = orjson.loads(row.data) if data_type is None else data_type.validate_json(row.data)
    except ValueError:
        data = orjson.loads(row.data)
    return Event(
        id=row.id,
        source=row.source,
        type=row.type,
        time=from_micros(row.time),
        data=data,
        subject=row.subject,
    )
