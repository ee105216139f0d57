"""Cron against the clock of the wall: a table of known cases, and an oracle that shares no code with the sensor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactor_sensors._timers_schedule import CronTable, Periodic, due_occurrences
from tests.sensors.cron_oracle import Question, questions


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


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(question=questions())
def test_every_table_agrees_with_a_search_minute_by_minute(question: Question) -> None:
    assert question.occurrences() == question.expected()


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
