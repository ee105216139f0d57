"""The timer sensors on virtual time: what fires, when, and what becomes of what was missed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reactor.api import DefinitionError, StoreFullError
from reactor.testing import (
    NEW_YEAR,
    LoopClock,
    RecordingIntake,
    SensorContract,
    running,
)
from reactor_sensors import At, Cron, Every, Tick

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reactor.api import Sensor

pytestmark = pytest.mark.virtual_time

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def fired(intake: RecordingIntake) -> list[datetime]:
    return [event.time for event in intake.events]


def skipped(intake: RecordingIntake) -> list[datetime]:
    return [row.at for row in intake.skipped]


@asynccontextmanager
async def ticking(
    sensor: Sensor, intake: RecordingIntake | None = None, *, start: datetime = NEW_YEAR
) -> AsyncIterator[RecordingIntake]:
    if intake is None:
        intake = RecordingIntake(sensor.sensor_name, clock=LoopClock(start))
    intake.state = "starting"
    async with running(sensor, intake):
        await intake.wait_until(lambda: intake.state == "up")
        yield intake


def clock_of(intake: RecordingIntake) -> LoopClock:
    assert isinstance(intake.clock, LoopClock)
    return intake.clock


class TestEveryContract(SensorContract):
    @pytest.fixture
    def sensor(self) -> Sensor:
        return Every("1h")

    @pytest.fixture
    async def intake(self) -> RecordingIntake:
        return RecordingIntake("every:1h", clock=LoopClock())

    async def happen(self, intake: RecordingIntake, number: int) -> None:
        """Time passes by itself."""


class TestCronContract(TestEveryContract):
    @pytest.fixture
    def sensor(self) -> Sensor:
        return Cron("30 * * * *", zone="Asia/Kolkata")


class TestAtContract(TestEveryContract):
    @pytest.fixture
    def sensor(self) -> Sensor:
        return At(NEW_YEAR + HOUR)

    async def test_a_restart_repeats_no_event_and_misses_none(
        self, sensor: Sensor, intake: RecordingIntake
    ) -> None:
        """There is but one occurrence, so that the second and third start find nothing to do."""
        async with running(sensor, intake):
            await intake.wait_until(lambda: intake.state == "up")
        for _ in range(3):
            await sensor.run(intake)
        assert fired(intake) == [NEW_YEAR + HOUR]
        assert intake.duplicates == 0


class TestOccurrences:
    async def test_a_period_begins_with_the_epoch_not_with_the_start(self) -> None:
        async with ticking(Every("15m"), start=NEW_YEAR + timedelta(minutes=7)) as intake:
            await intake.wait_for_events(2)
        assert fired(intake) == [NEW_YEAR + timedelta(minutes=15 * n) for n in (1, 2)]

    async def test_an_event_says_what_it_is(self) -> None:
        async with ticking(Cron("0 6 * * *", zone="Europe/Berlin")) as intake:
            (event,) = await intake.wait_for_events(1)
        due = datetime(2026, 1, 1, 5, tzinfo=UTC)
        assert (event.id, event.type, event.time, event.source) == (
            "cron:0 6 * * * Europe/Berlin@2026-01-01T05:00:00Z",
            "reactor.timer.tick",
            due,
            intake.sensor,
        )
        assert event.data == Tick(
            schedule="cron:0 6 * * * Europe/Berlin", scheduled_at=due, missed=0
        )

    async def test_nothing_fires_early(self) -> None:
        async with ticking(Every("1s")) as intake:
            for number in range(1, 20):
                await intake.wait_for_events(number)
                assert intake.events[-1].time <= intake.clock.now()
        assert fired(intake) == [NEW_YEAR + number * SECOND for number in range(1, 20)]

    async def test_an_instant_fires_once_and_the_sensor_ends(self) -> None:
        at = At(NEW_YEAR + HOUR)
        intake = RecordingIntake("at", clock=LoopClock())
        await at.run(intake)
        assert fired(intake) == [NEW_YEAR + HOUR]
        assert intake.state == "up"
        await at.run(intake)
        assert len(intake.events) == 1

    async def test_an_instant_names_itself_in_its_event(self) -> None:
        intake = RecordingIntake("at", clock=LoopClock())
        await At(NEW_YEAR + HOUR).run(intake)
        (event,) = intake.events
        assert event.id == "at:2026-01-01T01:00:00Z@2026-01-01T01:00:00Z"
        assert event.data.schedule == "at:2026-01-01T01:00:00Z"

    async def test_an_instant_that_was_over_leaves_a_row(self) -> None:
        intake = RecordingIntake("at", clock=LoopClock())
        await At(NEW_YEAR - HOUR).run(intake)
        assert (intake.events, skipped(intake)) == ([], [NEW_YEAR - HOUR])
        assert intake.skipped[0].reason == "past"

    async def test_an_instant_missed_while_down_fires(self) -> None:
        intake = RecordingIntake("at", clock=LoopClock())
        at = At(NEW_YEAR + HOUR)
        async with ticking(at, intake):
            pass
        await asyncio.sleep(7200)
        await at.run(intake)
        assert fired(intake) == [NEW_YEAR + HOUR]


class TestMissed:
    async def after_a_gap(self, sensor: Sensor, gap: timedelta) -> RecordingIntake:
        """Let one occurrence fire, stop for `gap`, and let the one after the gap fire."""
        intake = RecordingIntake(sensor.sensor_name, clock=LoopClock())
        async with ticking(sensor, intake):
            await intake.wait_for_events(1)
        await asyncio.sleep(gap.total_seconds())
        begun = len(intake.events)
        intake.skipped.clear()
        async with ticking(sensor, intake):
            now = intake.clock.now()
            await intake.wait_until(lambda: any(time > now for time in fired(intake)))
        intake.events[:begun] = []
        return intake

    async def test_the_first_start_misses_nothing(self) -> None:
        async with ticking(Every("1h", missed="all")) as intake:
            await intake.wait_for_events(1)
        assert (fired(intake), skipped(intake)) == ([NEW_YEAR + HOUR], [])

    async def test_a_kill_before_the_first_occurrence_is_remembered(self) -> None:
        intake = RecordingIntake("every:1h", clock=LoopClock())
        async with ticking(Every("1h"), intake):
            pass
        await asyncio.sleep(3 * 3600)
        async with ticking(Every("1h"), intake):
            await intake.wait_for_events(1)
        assert fired(intake) == [NEW_YEAR + 3 * HOUR]

    async def test_the_newest_fires_by_default(self) -> None:
        intake = await self.after_a_gap(Every("1h"), 3.5 * HOUR)
        assert fired(intake) == [NEW_YEAR + 4 * HOUR, NEW_YEAR + 5 * HOUR]
        assert skipped(intake) == [NEW_YEAR + 2 * HOUR, NEW_YEAR + 3 * HOUR]
        assert [event.data.missed for event in intake.events] == [2, 0]

    async def test_skip_fires_none_of_them(self) -> None:
        intake = await self.after_a_gap(Every("1h", missed="skip"), 3.5 * HOUR)
        assert fired(intake) == [NEW_YEAR + 5 * HOUR]
        assert skipped(intake) == [NEW_YEAR + n * HOUR for n in (2, 3, 4)]

    @pytest.mark.parametrize(
        ("sensor", "late", "fires"),
        [
            (Every("2h", missed="skip"), timedelta(minutes=1), True),
            (Every("2h", missed="skip"), timedelta(seconds=61), False),
            (Every("30s", missed="skip"), timedelta(seconds=3), True),
            (Every("30s", missed="skip"), timedelta(seconds=4), False),
            (Every("5s", missed="skip"), timedelta(seconds=1), True),
            (Every("5s", missed="skip"), timedelta(seconds=2), False),
            (Every("2h", missed="skip", tolerance="10m"), timedelta(minutes=9), True),
            (Every("2h", missed="skip", tolerance="0s"), timedelta(milliseconds=1), False),
        ],
    )
    async def test_skip_fires_what_is_hardly_late(
        self, sensor: Every, late: timedelta, fires: bool
    ) -> None:
        intake = await self.after_a_gap(sensor, 3 * sensor.period + late)
        assert (NEW_YEAR + 4 * sensor.period in fired(intake)) is fires
        assert (NEW_YEAR + 4 * sensor.period in skipped(intake)) is not fires

    async def test_skipped_ones_are_counted_by_the_next_that_fires(self) -> None:
        intake = await self.after_a_gap(Every("1h", missed="skip"), 3.5 * HOUR)
        assert [event.data.missed for event in intake.events] == [3]

    async def test_a_restart_forgets_none_of_the_missed(self) -> None:
        every = Every("1h", missed="skip")
        intake = RecordingIntake("every:1h", clock=LoopClock())
        for _ in range(3):
            async with ticking(every, intake):
                # Past what was missed, and away again before the next.
                await asyncio.sleep(60)
            await asyncio.sleep(1.5 * 3600)
        async with ticking(every, intake):
            await intake.wait_for_events(2)
        # Down from 0:01, 1:32 and 3:03 on; up for good at 4:33.
        assert [event.data.missed for event in intake.events] == [4, 0]
        assert "passed" not in intake.durable_cursor

    async def test_all_fire_in_order(self) -> None:
        intake = await self.after_a_gap(Every("1h", missed="all"), 3.5 * HOUR)
        assert fired(intake) == [NEW_YEAR + n * HOUR for n in (2, 3, 4, 5)]
        assert skipped(intake) == []

    async def test_all_has_a_bound(self) -> None:
        intake = await self.after_a_gap(Every("1h", missed="all", missed_at_most=2), 4.5 * HOUR)
        assert fired(intake) == [NEW_YEAR + n * HOUR for n in (4, 5, 6)]
        assert skipped(intake) == [NEW_YEAR + n * HOUR for n in (2, 3)]

    async def test_a_gap_of_years_leaves_a_thousand_rows_and_one_for_the_rest(self) -> None:
        gap = timedelta(days=400)
        intake = await self.after_a_gap(Cron("* * * * *"), gap)
        span, *rows = intake.skipped
        assert len(rows) == 999
        first = NEW_YEAR + timedelta(minutes=2)
        assert span.at == first
        assert span.occurrence_id.startswith("cron:* * * * * UTC@2026-01-01T00:02:00Z..")
        assert rows[0].at + timedelta(minutes=998) == rows[-1].at
        assert fired(intake)[0] == rows[-1].at + timedelta(minutes=1)


class TestClockSteps:
    @pytest.mark.parametrize("back", [SECOND, HOUR, timedelta(days=1)], ids=str)
    async def test_a_step_back_repeats_nothing(self, back: timedelta) -> None:
        async with ticking(Every("1m")) as intake:
            await intake.wait_for_events(3)
            clock_of(intake).step(-back)
            await intake.wait_for_events(6)
            assert intake.events[-1].time <= intake.clock.now()
        assert fired(intake) == [NEW_YEAR + timedelta(minutes=n) for n in range(1, 7)]
        assert intake.duplicates == 0

    @pytest.mark.parametrize("ahead", [SECOND, HOUR, timedelta(days=1)], ids=str)
    async def test_a_step_ahead_is_a_gap_like_any_other(self, ahead: timedelta) -> None:
        async with ticking(Every("1h")) as intake:
            await intake.wait_for_events(1)
            clock_of(intake).step(ahead)
            began = asyncio.get_running_loop().time()
            await intake.wait_for_events(2)
            if ahead >= HOUR:
                assert asyncio.get_running_loop().time() - began <= 5
        times = sorted(fired(intake) + skipped(intake))
        assert times == [NEW_YEAR + n * HOUR for n in range(1, len(times) + 1)]

    async def test_a_restart_behind_the_last_occurrence_waits_for_the_clock(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with ticking(Every("1h")) as intake:
            await intake.wait_for_events(2)
        clock_of(intake).step(timedelta(days=-1))
        async with ticking(Every("1h"), intake):
            await intake.wait_for_events(3)
        assert fired(intake) == [NEW_YEAR + n * HOUR for n in (1, 2, 3)]
        assert "nothing fires until it is past it" in caplog.text


class TestBackPressure:
    async def test_occurrences_that_found_no_credit_follow_the_policy(self) -> None:
        async with ticking(Every("1s")) as intake:
            await intake.wait_for_events(1)
            intake.overload(SECOND)
            await asyncio.sleep(10.5)
            intake.relieve()
            await intake.wait_for_events(4)
        seconds = [(time - NEW_YEAR).total_seconds() for time in fired(intake)]
        # The one in hand waited; of those that came meanwhile the newest fired.
        assert seconds == [1, 2, 11, 12]
        assert len(intake.skipped) == 8
        assert intake.events[2].data.missed == 8

    async def test_a_full_disk_loses_and_doubles_nothing(self) -> None:
        async with ticking(Every("1m")) as intake:
            for number in range(1, 4):
                intake.fail_next(StoreFullError("no space left"))
                await intake.wait_for_events(number)
        assert fired(intake) == [NEW_YEAR + timedelta(minutes=n) for n in (1, 2, 3)]
        assert intake.duplicates == 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Every("0s"), 'period: must be "10ms" or longer'),
        (lambda: Every("soon"), "'soon' is not a duration"),
        (lambda: Every("1s", tolerance="late"), "tolerance: 'late' is not a duration"),
        (lambda: Every("1s", mised="all"), "unknown option 'mised'; did you mean 'missed'?"),
        (lambda: Every("1s", missed="none"), "missed: Input should be 'last', 'skip' or 'all'"),
        (lambda: Every("1s", missed_at_most=0), "missed_at_most: Input should be greater"),
        (lambda: Cron("61 * * * *"), "not a cron expression: bad minute (it takes 0-59); expected"),
        (lambda: Cron("* * *"), "wrong number of fields; expected five fields"),
        (lambda: Cron("* * * * 8"), "bad day-of-week (it takes 0-7 or sun-sat"),
        (lambda: Cron(""), "wrong number of fields"),
        (lambda: Cron("0 0 31 2 *"), "a day that one of its months has); expected five fields"),
        (lambda: Cron("0 0 */31 2 mon#5"), "it has no occurrence in fifty years"),
        (lambda: Cron("* * * * * * *"), "six begin with the second"),
        (lambda: Cron("0 0 LW/2 * 1-"), "not a cron expression"),
        (lambda: Cron("@dayly"), "'@dayly' is not a cron alias; did you mean '@daily'?"),
        (lambda: Cron("* * * * *", zone="Europe/Berln"), "did you mean 'Europe/Berlin'?"),
        (lambda: Cron("* * * * *", zone="xyzzy!"), 'write it like "Europe/Berlin"'),
        (lambda: Cron("* * * * *", zone="localtime"), "is not an IANA time zone"),
        (lambda: Cron("* * * * *", zone="../etc/passwd"), "is not an IANA time zone"),
        (lambda: At(datetime(2026, 1, 1)), "names no time zone"),  # noqa: DTZ001  # the point
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(make: Any, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        make()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("sensor", "name"),
    [
        (Every("90s"), "every:1m30s"),
        (Cron(" 0  6 * * * "), "cron:0 6 * * *"),
        (Cron("@daily", zone="Asia/Tokyo"), "cron:@daily Asia/Tokyo"),
        (At(NEW_YEAR), "at:2026-01-01T00:00:00Z"),
        (Every("1s", name="heartbeat"), "heartbeat"),
    ],
)
def test_its_name_tells_its_schedule(sensor: Sensor, name: str) -> None:
    assert sensor.sensor_name == name


def test_long_tables_have_short_names_and_each_its_own() -> None:
    minutes = ",".join(map(str, range(59)))
    names = {Cron(f"{minutes} * * * {day}").sensor_name for day in range(7)}
    assert len(names) == 7
    assert all(len(name) <= 200 for name in names)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Every("1s", "2s"), "Every takes one period, not 2; write a list of Every instead"),
        (lambda: Cron("@daily", expression="@weekly"), "Cron was given its expression twice"),
    ],
)
def test_one_timer_has_one_schedule(make: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        make()
