"""When a schedule has its occurrences. Pure: every instant is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from reactor.api import from_micros, nearest, spell_duration, to_micros

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# Where the search for the newest occurrences begins; it looks twice as far back until it has enough.
_FIRST_LOOK = timedelta(seconds=1)
_SECOND = timedelta(seconds=1)
# How long after a shift of the clock cronsim's steps of an hour may be out of place: until midnight, and some.
_SHIFT_REACH = timedelta(hours=36)
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class Schedule(Protocol):
    """A set of instants. `spelling` names it in event ids for ever."""

    @property
    def spelling(self) -> str: ...

    def after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence strictly after `instant`, in UTC, or None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Periodic:
    """Whole multiples of `period` since 1970 in UTC, so that every restart agrees on them."""

    period: timedelta

    @property
    def spelling(self) -> str:
        return f"every:{spell_duration(self.period)}"

    def after(self, instant: datetime) -> datetime:
        period = self.period // timedelta(microseconds=1)
        return from_micros((to_micros(instant) // period + 1) * period)


@dataclass(frozen=True, slots=True)
class CronTable:
    """A cron expression in the dialect of cronsim, which is Debian's, read in the local time of `zone`."""

    expression: str
    zone: ZoneInfo

    @property
    def spelling(self) -> str:
        return f"cron:{self.expression} {self.zone.key}"

    def after(self, instant: datetime) -> datetime | None:
        table = CronSim(self._fields, instant.astimezone(self.zone))
        for local in table:
            occurrence = local.astimezone(UTC)
            # In the hour that comes twice, cronsim begins again from the first of the two.
            if occurrence > instant:
                break
        else:
            return None
        if self._follows_clock and self._offset(occurrence - _SHIFT_REACH) != local.utcoffset():
            return self._after_shift(max(instant, occurrence - _SHIFT_REACH), occurrence)
        return occurrence

    @property
    def _fields(self) -> str:
        return ALIASES.get(self.expression, self.expression)

    @property
    def _follows_clock(self) -> bool:
        """Whether every minute that shows a matching time counts, as Debian's cron has it for stars."""
        minute, hour, *others = self._fields.split()
        return len(others) > 3 or minute.startswith("*") or hour.startswith("*")

    def _after_shift(self, instant: datetime, latest: datetime) -> datetime:
        """Return the first occurrence after `instant`; `latest` is one, at the latest.

        cronsim goes from hour to hour by 3 600 seconds, so that a shift of half an hour (Lord Howe Island) makes it
        pass over minutes. Between two shifts there is nothing to go wrong: local time is UTC and a constant.
        """
        wall = instant.replace(tzinfo=None) + self._offset(instant)
        while True:
            shift = self._next_shift(instant, latest)
            match = next(CronSim(self._fields, wall))
            occurrence = (match - self._offset(instant)).replace(tzinfo=UTC)
            if shift is None or occurrence < shift:
                return occurrence
            instant = shift
            wall = instant.replace(tzinfo=None) + self._offset(instant) - _SECOND

    def _next_shift(self, start: datetime, end: datetime) -> datetime | None:
        """Return the first second in (start, end] at which the offset differs from that at `start`."""
        before = self._offset(start)
        if self._offset(end) == before:
            return None
        low, high = start, end
        while high - low > _SECOND:
            middle = low + (high - low) / 2
            low, high = (middle, high) if self._offset(middle) == before else (low, middle)
        return high.replace(microsecond=0)

    def _offset(self, instant: datetime) -> timedelta:
        offset = instant.astimezone(self.zone).utcoffset()
        assert offset is not None
        return offset


@dataclass(frozen=True, slots=True)
class Once:
    """One instant."""

    instant: datetime

    @property
    def spelling(self) -> str:
        return "at"

    def after(self, instant: datetime) -> datetime | None:
        return self.instant if self.instant > instant else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Occurrences that have come: the `newest` in order, and the ends of all `older` ones if there are any."""

    newest: Sequence[datetime]
    older: tuple[datetime, datetime] | None


def due_occurrences(schedule: Schedule, *, last: datetime, now: datetime, limit: int) -> Due:
    """Return what is due after `last` up to `now`: at most `limit` of the newest one by one.

    However long the gap, no more than a few times `limit` occurrences are looked at.
    """
    look = _FIRST_LOOK
    while True:
        start = max(last, now - look)
        found = [*_between(schedule, start, now)]
        if start == last or len(found) > limit:
            break
        look *= 2
    if len(found) <= limit:
        return Due(newest=found, older=None)
    first = schedule.after(last)
    assert first is not None
    return Due(newest=found[-limit:], older=(first, found[-limit - 1]))


def parse_zone(name: str) -> ZoneInfo:
    """Return the IANA zone of that name. Raises ValueError with the nearest name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = nearest(name, sorted(available_timezones()))
        # A list of all six hundred would help nobody.
        if "did you mean" not in hint:
            hint = '; write it like "Europe/Berlin"'
        raise ValueError(f"{name!r} is not an IANA time zone{hint}") from None


def check_cron(expression: str) -> None:
    """Raise ValueError that says what is expected unless `expression` can be meant."""
    if expression.startswith("@") and expression not in ALIASES:
        raise ValueError(f"{expression!r} is not a cron alias{nearest(expression, [*ALIASES])}")
    try:
        table = CronSim(ALIASES.get(expression, expression), _ANY_DAY)
        next(table)
    except StopIteration:
        why = "it has no occurrence in fifty years"
    except (CronSimError, AssertionError, ValueError, KeyError) as error:
        why = str(error).lower() or "it cannot be read"
    else:
        return
    raise ValueError(
        f"{expression!r} is not a cron expression: {why}; expected five fields, "
        'minute hour day-of-month month day-of-week, such as "30 6 * * 1-5"'
    )


def _between(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    occurrence = schedule.after(after)
    while occurrence is not None and occurrence <= until:
        yield occurrence
        occurrence = schedule.after(occurrence)
