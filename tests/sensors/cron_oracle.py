"""What a cron table means, minute by minute: an oracle that shares no code with the sensor, and what to ask it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import assume
from hypothesis import strategies as st

from reactor_sensors._timers_schedule import CronTable

MINUTE = timedelta(minutes=1)
LONGEST_MONTHS = dict(enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1))
FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
# Around changes of the clock, which are where tables go wrong.
PLACES = [
    ("Europe/Berlin", "2026-03-28"),
    ("Europe/Berlin", "2026-10-24"),
    ("America/New_York", "2026-03-07"),
    ("America/New_York", "2026-10-31"),
    ("Australia/Lord_Howe", "2026-04-04"),
    ("Australia/Lord_Howe", "2026-10-03"),
    ("Asia/Beirut", "2026-03-28"),
    ("America/Havana", "2026-10-31"),
    ("Africa/Casablanca", "2026-02-14"),
    ("Africa/Casablanca", "2026-03-21"),
    ("Antarctica/Troll", "2026-03-28"),
    ("Antarctica/Troll", "2026-10-24"),
    ("Pacific/Apia", "2011-12-28"),
    ("Europe/Dublin", "2026-10-24"),
    ("Asia/Kolkata", "2026-01-31"),
    ("UTC", "2028-02-28"),
]


@st.composite
def fields(draw: st.DrawFn) -> list[tuple[str, set[int]]]:
    """Return the five fields as text and as the values that the text means."""
    made = []
    for number, (low, high) in enumerate(FIELDS):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.integers(1, 12))
        every = range(low, high + 1)
        choices = [
            ("*", set(every)),
            (f"*/{step}", set(every[::step])),
            (str(first), {first}),
            (f"{first},{last}", {first, last}),
            (f"{first}-{last}", set(range(first, last + 1))),
        ]
        # Dates are wide open most of the time, or hardly anything would ever fire.
        made.append(
            choices[0] if number >= 2 and draw(st.booleans()) else draw(st.sampled_from(choices))
        )
    dates, months = made[2][1], made[3][1]
    # 30 February and its like are refused, which is a test of its own.
    assume(min(dates) <= max(LONGEST_MONTHS[month] for month in months))
    return made


def oracle(
    made: list[tuple[str, set[int]]], zone: ZoneInfo, start: datetime, end: datetime
) -> list[datetime]:
    """Return the occurrences in (start, end], minute by minute, by the documented rules."""
    texts = [text for text, _ in made]
    minutes, hours, dates, months, weekdays = (values for _, values in made)
    is_and = texts[2].startswith("*") or texts[4].startswith("*")

    def matches(local: datetime) -> bool:
        on_date, on_weekday = local.day in dates, local.isoweekday() % 7 in weekdays
        is_day = (on_date and on_weekday) if is_and else (on_date or on_weekday)
        return local.minute in minutes and local.hour in hours and local.month in months and is_day

    found = set()
    if texts[0].startswith("*") or texts[1].startswith("*") or zone.key == "UTC":
        instant = start.replace(second=0, microsecond=0)
        while instant <= end:
            if matches(instant.astimezone(zone)):
                found.add(instant)
            instant += MINUTE
    else:
        wall = start.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0) - timedelta(
            days=1
        )
        while wall <= end.astimezone(zone).replace(tzinfo=None) + timedelta(hours=2):
            if matches(wall):
                real = wall.replace(tzinfo=zone)
                while real.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != real.replace(
                    tzinfo=None
                ):
                    real = (real.replace(tzinfo=None) + MINUTE).replace(tzinfo=zone)
                found.add(real.astimezone(UTC))
            wall += MINUTE
    return sorted(instant for instant in found if start < instant <= end)


class Question(NamedTuple):
    """A table, and the time in which its occurrences are asked for."""

    fields: list[tuple[str, set[int]]]
    zone: ZoneInfo
    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.expression!r} in {self.zone.key} from {self.start} to {self.end}"

    @property
    def expression(self) -> str:
        return " ".join(text for text, _ in self.fields)

    def occurrences(self) -> list[datetime]:
        """Return what the sensor's table says."""
        table = CronTable(self.expression, self.zone)
        found = []
        occurrence = table.after(self.start)
        while occurrence is not None and occurrence <= self.end:
            found.append(occurrence)
            occurrence = table.after(occurrence)
        return found

    def expected(self) -> list[datetime]:
        """Return what the oracle says."""
        return oracle(self.fields, self.zone, self.start, self.end)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Return any table with any of the places, for one to three days."""
    made = draw(fields())
    zone, day = draw(st.sampled_from(PLACES))
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    start += timedelta(seconds=draw(st.integers(0, 2 * 86_400)))
    end = start + timedelta(days=draw(st.integers(1, 3)))
    return Question(made, ZoneInfo(zone), start, end)
