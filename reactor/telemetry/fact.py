"""What a fact is: one observable thing that happened, with its log line and its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from reactor.telemetry.metrics import Metrics


@dataclass(slots=True, kw_only=True)
class Fact:
    """Base of every fact. A subclass is slotted and keyword-only too, and nobody changes one.

    Not `frozen`: making a frozen one takes four times as long (1.6 µs), and a run of three steps makes six.

    `message` is a constant; what varies is in the fields. Levels: ERROR, a human must act;
    WARNING, handled and worth a look; INFO, lifecycle; DEBUG, per event. A fact holds names, ids,
    numbers and error texts, never a payload, a header or the value of a setting: that is how
    secrets stay out of logs.
    """

    level: ClassVar[int]
    message: ClassVar[str]

    def severity(self) -> int:
        """Return the level of this one; `level` unless what happened decides."""
        return self.level

    def count(self, metrics: Metrics) -> None:
        """Count it. Ids are never labels: they would grow without bound."""

    def fields(self) -> dict[str, object]:
        """Return the fields for a log line, without those that are None."""
        values = ((field.name, getattr(self, field.name)) for field in dataclass_fields(self))
        return {name: value for name, value in values if value is not None}


@dataclass(slots=True, kw_only=True)
class FrequentFact(Fact):
    """Base of what happens to every event, run and step: counted by the hundred, which takes half of one by one."""

    def count(self, metrics: Metrics) -> None:
        metrics.count_later(self)

    @classmethod
    def count_all(cls, facts: Sequence[Self], metrics: Metrics) -> None:
        """Count facts of this kind."""
        raise NotImplementedError
