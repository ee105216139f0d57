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
# Longer than any clock was ever put forward or back at once: a day, where the date line moved.
_SHIFT_REACH = timedelta(hours=36)
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
# Files that lie among the zones and mean another thing on each machine, or count leap seconds.
_NOT_IANA = ("localtime", "posixrules", "posix/", "right/")
# By cronsim's names of the fields.
_TAKES = {
    "second": "0-59",
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L or LW, and a day that one of its months has",
    "month": "1-12 or jan-dec",
    "day-of-week": "0-7 or sun-sat, with L for the last or #1 to #5 for the nth of the month",
}


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
        return self._after_by_clock(instant) if self._follows_clock else self._after_fixed(instant)

    @property
    def _fields(self) -> str:
        return ALIASES.get(self.expression, self.expression)

    @property
    def _follows_clock(self) -> bool:
        """Whether every minute that shows a matching time counts, as Debian's cron has it for stars."""
        minute, hour, *others = self._fields.split()
        return len(others) > 3 or minute.startswith("*") or hour.startswith("*")

    def _after_fixed(self, instant: datetime) -> datetime | None:
        for local in CronSim(self._fields, instant.astimezone(self.zone)):
            occurrence = local.astimezone(UTC)
            # In the hour that comes twice, cronsim begins again from the first of the two.
            if occurrence > instant:
                return occurrence
        return None

    def _after_by_clock(self, instant: datetime) -> datetime | None:
        """Return the first instant after `instant` at which the clock on the wall shows a matching time.

        cronsim is asked about wall time only, and between two shifts, where local time is UTC and a constant. Given the
        zone, it goes by hours of 3 600 seconds and from midnight to midnight: it passes over minutes after a shift of
        half an hour (Lord Howe Island) and over an hour after a midnight that is left out (Beirut).
        """
        wall = self._wall(instant)
        while (match := next(CronSim(self._fields, wall), None)) is not None:
            occurrence = (match - self._offset(instant)).replace(tzinfo=UTC)
            shift = self._next_shift(instant, min(occurrence, instant + _SHIFT_REACH))
            if shift is not None:
                instant, wall = shift, self._wall(shift) - _SECOND
            elif occurrence - instant <= _SHIFT_REACH:
                return occurrence
            else:
                # No clock that is put back in between can show again what it showed before `instant`.
                instant = occurrence - _SHIFT_REACH
                wall = self._wall(instant)
        return None

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

    def _wall(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone).replace(tzinfo=None)

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
        return f"at:{spell_instant(self.instant)}"

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


def spell_instant(instant: datetime) -> str:
    """Return the instant in UTC as ISO 8601, with six digits of a fraction where it has one."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_zone(name: str) -> ZoneInfo:
    """Return the IANA zone of that name. Raises ValueError with the nearest name."""
    try:
        if name.startswith(_NOT_IANA):
            raise ValueError(name)
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = nearest(
            name, sorted(z for z in available_timezones() if not z.startswith(_NOT_IANA))
        )
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
        if takes := _TAKES.get(why.removeprefix("bad ")):
            why += f" (it takes {takes})"
    else:
        return
    raise ValueError(
        f"{expression!r} is not a cron expression: {why}; expected five fields, "
        'minute hour day-of-month month day-of-week, such as "30 6 * * 1-5" (six begin with the second)'
    )


def _between(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    occurrence = schedule.after(after)
    while occurrence is not None and occurrence <= until:
        yield occurrence
        occurrence = schedule.after(occurrence)
