"""What happened outside: the attributes of CloudEvents 1.0 (https://github.com/cloudevents/spec)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

# Any where none is given: `Event` alone is a complete annotation in a step.
D = TypeVar("D")


@dataclass(frozen=True, slots=True, kw_only=True)
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
