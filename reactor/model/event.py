"""What happened outside: the attributes of CloudEvents 1.0 (https://github.com/cloudevents/spec)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
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

    @classmethod
    def alike(
        cls,
        *,
        ids: Iterable[str],
        source: str,
        type: str,  # noqa: A002  # the names of CloudEvents
        times: Sequence[datetime],
        data: Iterable[D],
        subjects: Iterable[str | None],
    ) -> list[Event[D]]:
        """Return events of one source and type, as many as `times`: for sensors that make them by the thousand."""
        made: list[Event[D]] = [*map(object.__new__, repeat(cls, len(times)))]
        for put, column in (
            (_put_id, ids),
            (_put_source, repeat(source)),
            (_put_type, repeat(type)),
            (_put_time, times),
            (_put_data, data),
            (_put_subject, subjects),
        ):
            # Exhausts it and keeps nothing: a loop of the interpreter's own for each column.
            deque(map(put, made, column), maxlen=0)
        return made


_put_id, _put_source, _put_type, _put_time, _put_data, _put_subject = (
    vars(Event)[name].__set__ for name in ("id", "source", "type", "time", "data", "subject")
)
