"""Timers: an event for every occurrence of a schedule, never twice and never early."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from reactor.api import Duration, Sensor, spell_duration
from reactor_sensors._timers_schedule import (
    CronTable,
    Once,
    Periodic,
    check_cron,
    parse_zone,
    spell_instant,
)
from reactor_sensors._timers_watch import Missed, Policy, Tick, TimerWatch

if TYPE_CHECKING:
    from reactor.api import Intake
    from reactor_sensors._timers_schedule import Schedule

__all__ = ["At", "Cron", "Every", "Tick"]

_LONGEST_LABEL = 150
_SHORTEST_PERIOD = timedelta(milliseconds=10)


class _Timer(Sensor):
    missed: Missed = "last"
    missed_at_most: int = Field(default=1000, ge=1, le=100_000)
    tolerance: Duration | None = None

    @property
    def data_type(self) -> Any:
        return Tick

    async def run(self, intake: Intake) -> None:
        """Fire until cancelled; ends by itself when there are no more occurrences."""
        policy = Policy(
            missed=self.missed, missed_at_most=self.missed_at_most, tolerance=self.tolerance
        )
        await TimerWatch(self._schedule(), policy, intake).run()

    def _schedule(self) -> Schedule:
        raise NotImplementedError


class Every(_Timer):
    """Fires at every whole multiple of a period since 1970 UTC: `Every("1s")`, `Every("15m")`.

    The period is "10ms" or longer. The first start begins with the next occurrence. After that every
    occurrence is either fired or leaves a row that says why not, whatever happens to process and clock:

    - `missed`: what becomes of occurrences that passed while nobody could fire them. `"last"`: the newest
      fires, however late. `"skip"`: none fires that is later than `tolerance`. `"all"`: each fires, in order,
      the newest `missed_at_most` of them.
    - `tolerance`: how late an occurrence may be and still count as on time, for `missed="skip"`. Without
      it: a tenth of the time to the next occurrence, but no less than 1 s and no more than 1 min.

    The same options belong to `Cron` and `At`. Raises DefinitionError for one that cannot be meant.
    """

    kind: ClassVar[str] = "every"

    period: Duration

    def __init__(self, *period: str | timedelta, **options: Any) -> None:
        super().__init__(**_positional(self, "period", period, options))

    @field_validator("period")
    @classmethod
    def _period_is_bearable(cls, period: timedelta) -> timedelta:
        if period < _SHORTEST_PERIOD:
            raise ValueError('must be "10ms" or longer')
        return period

    def label(self) -> str:
        """Return the period."""
        return spell_duration(self.period)

    def _schedule(self) -> Schedule:
        return Periodic(self.period)


class Cron(_Timer):
    """Fires by a cron expression in the local time of a zone: `Cron("30 6 * * 1-5", zone="Europe/Berlin")`.

    Five fields, minute hour day-of-month month day-of-week, or `@yearly`, `@monthly`, `@weekly`, `@daily`,
    `@hourly`; six fields begin with the second. The dialect is that of cronsim (Debian's cron): names
    such as `mon` and `jan`, `L`, `LW`, `5#2`, steps and ranges. Where the clock is put forward, a
    fixed time that is left out fires right after the gap; where it is put back, it fires once.
    """

    kind: ClassVar[str] = "cron"

    expression: str
    zone: str = "UTC"

    def __init__(self, *expression: str, **options: Any) -> None:
        super().__init__(**_positional(self, "expression", expression, options))

    @field_validator("expression")
    @classmethod
    def _expression_can_match(cls, expression: str) -> str:
        spelled = " ".join(expression.split())
        check_cron(spelled)
        return spelled

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        return parse_zone(zone).key

    def label(self) -> str:
        """Return the expression, and the zone unless it is UTC; a long one is cut and numbered by its content."""
        text = self.expression if self.zone == "UTC" else f"{self.expression} {self.zone}"
        if len(text) <= _LONGEST_LABEL:
            return text
        # Two tables that were cut alike would share a cursor.
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        return f"{text[: _LONGEST_LABEL - 10]}…{digest}"

    def _schedule(self) -> Schedule:
        return CronTable(self.expression, parse_zone(self.zone))


class At(_Timer):
    """Fires once, at an instant that knows its zone: `At(datetime(2027, 1, 1, tzinfo=UTC))`.

    An instant that was over at the first start never fires; it leaves a row that says so.
    """

    kind: ClassVar[str] = "at"

    instant: datetime

    def __init__(self, *instant: datetime, **options: Any) -> None:
        super().__init__(**_positional(self, "instant", instant, options))

    @field_validator("instant")
    @classmethod
    def _instant_is_one(cls, instant: datetime) -> datetime:
        if instant.utcoffset() is None:
            raise ValueError(
                f"{instant.isoformat()} names no time zone; write "
                'datetime(…, tzinfo=ZoneInfo("Europe/Berlin")) or tzinfo=UTC'
            )
        return instant.astimezone(UTC)

    def label(self) -> str:
        """Return the instant in UTC."""
        return spell_instant(self.instant)

    def _schedule(self) -> Schedule:
        return Once(self.instant)


def _positional(
    sensor: Sensor, name: str, given: tuple[object, ...], options: dict[str, Any]
) -> dict[str, Any]:
    """Return the options with the one that may be given without its name."""
    if len(given) > 1:
        kind = type(sensor).__name__
        raise TypeError(
            f"{kind} takes one {name}, not {len(given)}; write a list of {kind} instead"
        )
    if given and name in options:
        raise TypeError(f"{type(sensor).__name__} was given its {name} twice; give it once")
    return {name: given[0], **options} if given else options
