"""What happened outside: the attributes of CloudEvents 1.0 (https://github.com/cloudevents/spec)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

# Any where none is given: `Event` alone is a complete annotation in a step.
D = TypeVar("D")


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Event(Generic[D]):
    """Something that happened outside, once. `source` and `id` together name it for ever.

    `time` is when it happened (aware); `data` is whatever its sensor declares: a model, a dataclass or plain JSON.
    """

    id: str
    source: str
    type: str
    time: datetime
    data: D
    subject: str | None = None

    def __init__(
        self,
        *,
        id: str,  # noqa: A002  # the names of CloudEvents
        source: str,
        type: str,  # noqa: A002  # the names of CloudEvents
        time: datetime,
        data: D,
        subject: str | None = None,
    ) -> None:
        # What a frozen dataclass makes of itself takes twice as long, and events come by the ten thousand.
        _put_id(self, id)
        _put_source(self, source)
        _put_type(self, type)
        _put_time(self, time)
        _put_data(self, data)
        _put_subject(self, subject)


_put_id, _put_source, _put_type, _put_time, _put_data, _put_subject = (
    vars(Event)[name].__set__ for name in ("id", "source", "type", "time", "data", "subject")
)
