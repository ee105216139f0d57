"""Cron against the clock of the wall: a table of known cases, and an oracle that shares no code with the sensor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from reactor_sensors._timers_schedule import CronTable, Periodic, due_occurrences

MINUTE = timedelta(minutes=1)


def local_times(expression: str, zone: str, day: str, days: int = 1) -> list[str]:
    """Return the occurrences of local days, as local time with its offset."""
    table = CronTable(expression, ZoneInfo(zone))
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = (start.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=ZoneInfo(zone))
    found = []
    occurrence = table.after(start.astimezone(UTC) - timedelta(microseconds=1))
    while occurrence is not None and occurrence < end:
        found.append(f"{occurrence.astimezone(ZoneInfo(zone)):%H:%M%z}")
        occurrence = table.after(occurrence)
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "day", "expected"),
    [
        # The hour from 02:00 is left out: a fixed time in it fires right after.
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["03:00+0200"]),
        ("0 2 * * *", "Europe/Berlin", "2026-03-29", ["03:00+0200"]),
        ("10,40 2 * * *", "Europe/Berlin", "2026-03-29", ["03:00+0200"]),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-29", ["03:00+0200"]),
        # A table that begins with a star follows the clock, and has nothing in a gap.
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-29", []),
        # The hour from 02:00 comes twice: a fixed time fires in the first.
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["02:30+0200"]),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-10-25",
            ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"],
        ),
        ("30 1 * * *", "America/New_York", "2026-11-01", ["01:30-0400"]),
        ("30 2 * * *", "America/New_York", "2026-03-08", ["03:00-0400"]),
        # Half an hour only.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["02:30+1100"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["01:45+1100"]),
        (
            "*/30 1-2 * * *",
            "Australia/Lord_Howe",
            "2026-10-04",
            ["01:00+1030", "01:30+1030", "02:30+1100"],
        ),
        (
            "*/30 1-2 * * *",
            "Australia/Lord_Howe",
            "2026-04-05",
            ["01:00+1100", "01:30+1100", "01:30+1030", "02:00+1030", "02:30+1030"],
        ),
        # Six fields are not Debian's: they follow the clock whatever they hold.
        ("0 30 2 * * *", "Europe/Berlin", "2026-03-29", []),
        ("0 30 2 * * *", "Europe/Berlin", "2026-10-25", ["02:30+0200", "02:30+0100"]),
        # A star in the hour follows the clock, too.
        ("15 * * * 0#1", "America/New_York", "2026-03-01", [f"{h:02}:15-0500" for h in range(24)]),
        # Around Ramadan the clock is put back, then forward.
        ("30 2 * * *", "Africa/Casablanca", "2026-02-15", ["02:30+0100"]),
        ("30 2 * * *", "Africa/Casablanca", "2026-03-22", ["03:00+0100"]),
        ("*/30 2 * * *", "Africa/Casablanca", "2026-03-22", []),
        (
            "*/30 2 * * *",
            "Africa/Casablanca",
            "2026-02-15",
            ["02:00+0100", "02:30+0100", "02:00+0000", "02:30+0000"],
        ),
        # Midnight itself is left out.
        ("0 0 * * *", "Asia/Beirut", "2026-03-29", ["01:00+0300"]),
        ("*/30 0 * * 0", "Asia/Beirut", "2026-03-29", []),
        ("*/30 1 * * 0", "Asia/Beirut", "2026-03-29", ["01:00+0300", "01:30+0300"]),
        ("*/30 1 29 3 *", "Asia/Beirut", "2026-03-29", ["01:00+0300", "01:30+0300"]),
        # A whole day is left out.
        ("*/30 0 * * *", "Pacific/Apia", "2011-12-30", []),
        ("*/30 0 * * *", "Pacific/Apia", "2011-12-31", ["00:00+1400", "00:30+1400"]),
        ("@daily", "Africa/Casablanca", "2026-02-15", ["00:00+0100"]),
        ("30 2 * * *", "UTC", "2026-03-29", ["02:30+0000"]),
    ],
)
def test_a_day_on_which_clocks_change(
    expression: str, zone: str, day: str, expected: list[str]
) -> None:
    assert local_times(expression, zone, day) == expected


def test_the_second_showing_of_a_yearly_time_is_not_passed_over() -> None:
    table = CronTable("*/30 2 25 10 *", ZoneInfo("Europe/Berlin"))
    start = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    assert table.after(start) == datetime(2026, 10, 25, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "count"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)]
)
def test_hourly_is_once_in_each_hour_that_passes(day: str, count: int) -> None:
    assert len(local_times("@hourly", "Europe/Berlin", day)) == count


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


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    made=fields(),
    place=st.sampled_from(PLACES),
    offset=st.integers(0, 2 * 86_400),
    days=st.integers(1, 3),
)
def test_every_table_agrees_with_a_search_minute_by_minute(
    made: list[tuple[str, set[int]]], place: tuple[str, str], offset: int, days: int
) -> None:
    zone = ZoneInfo(place[0])
    start = datetime.fromisoformat(place[1]).replace(tzinfo=UTC) + timedelta(seconds=offset)
    end = start + timedelta(days=days)
    table = CronTable(" ".join(text for text, _ in made), zone)
    found = []
    occurrence = table.after(start)
    while occurrence is not None and occurrence <= end:
        found.append(occurrence)
        occurrence = table.after(occurrence)
    assert found == oracle(made, zone, start, end)


@settings(max_examples=150, deadline=None)
@given(
    period=st.integers(1, 5_000_000).map(lambda n: timedelta(milliseconds=10 * n)),
    gap=st.timedeltas(timedelta(0), timedelta(days=30)),
    limit=st.integers(1, 50),
)
def test_the_newest_due_occurrences_are_found_however_long_the_gap(
    period: timedelta, gap: timedelta, limit: int
) -> None:
    last = datetime(2026, 1, 1, tzinfo=UTC)
    now = last + gap
    schedule = Periodic(period)
    due = due_occurrences(schedule, last=last, now=now, limit=limit)
    assert len(due.newest) <= limit
    assert all(last < instant <= now for instant in due.newest)
    assert [*due.newest[1:], schedule.after(now)] == [
        schedule.after(one) for one in due.newest
    ] or not due.newest
    if due.older is None:
        assert not due.newest or due.newest[0] == schedule.after(last)
    else:
        first, final = due.older
        assert first == schedule.after(last)
        assert schedule.after(final) == due.newest[0]
        assert len(due.newest) == limit
