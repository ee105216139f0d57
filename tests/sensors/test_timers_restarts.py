"""Timers under whatever can happen to them: random restarts, clock steps, overload, full and slow disks."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.api import StoreError, StoreFullError
from reactor.testing import NEW_YEAR, LoopClock, RecordingIntake, VirtualTimeLoop, running
from reactor_sensors import Cron, Every
from reactor_sensors._timers_schedule import Periodic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reactor.api import Accepted, Event

PERIOD = timedelta(minutes=7)
Move = tuple[str, int]


class WatchedIntake(RecordingIntake):
    """Notes when an event was durable, and refuses `refusals` writes before it takes one."""

    def __init__(self, clock: LoopClock) -> None:
        super().__init__("every", clock=clock)
        self.refusals = 0
        self.refused_at: list[datetime] = []
        self.lead: list[timedelta] = []

    async def accept(
        self,
        event: Event[object],
        *,
        cursor: Mapping[str, bytes | None] | None = None,
        wait: bool = True,
    ) -> Accepted:
        self.lead.append(event.time - self.clock.now())
        if self.refusals:
            self.refusals -= 1
            self.refused_at.append(self.clock.now())
            raise StoreFullError("no space left on the device")
        return await super().accept(event, cursor=cursor, wait=wait)


class SlowIntake(RecordingIntake):
    """Its commits take long, as on a worn disk; writes that come together share one."""

    async def skip(
        self,
        occurrence_id: str,
        *,
        reason: str,
        at: datetime,
        cursor: Mapping[str, bytes | None] | None = None,
    ) -> None:
        await asyncio.sleep(0.02)
        await super().skip(occurrence_id, reason=reason, at=at, cursor=cursor)


async def live_through(intake: WatchedIntake, clock: LoopClock, moves: Sequence[Move]) -> None:
    """Run a timer from restart to restart while clock, credit and disk do as `moves` says."""
    every = Every(PERIOD, name="every", missed="last")
    remaining = iter(moves)
    is_over = False
    while not is_over:
        async with running(every, intake):
            is_over = True
            for what, seconds in remaining:
                if what == "step":
                    clock.step(timedelta(seconds=seconds))
                elif what == "overload":
                    intake.overload(timedelta(seconds=1))
                elif what == "full":
                    intake.refusals = abs(seconds) % 4
                else:
                    await asyncio.sleep(abs(seconds))
                    if what == "restart":
                        is_over = False
                        break
                    intake.relieve()
            if is_over:
                # The clock may lie a long way behind: wait until it is past everything once more.
                intake.relieve()
                count = len(intake.events)
                await intake.wait_for_events(count + 2)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["sleep", "step", "restart", "overload", "full"]),
        st.one_of(
            st.integers(-86_400, 86_400), st.sampled_from([-420, -1, 0, 1, 419, 420, 421, 840])
        ),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(moves=MOVES)
def test_each_occurrence_fires_or_leaves_a_row_once_and_none_is_early(moves: list[Move]) -> None:
    async def check() -> None:
        clock = LoopClock()
        intake = WatchedIntake(clock)
        await live_through(intake, clock, moves)
        times = [event.time for event in intake.events]
        rows = [row.at for row in intake.skipped]
        settled = sorted(times + rows)
        assert times == sorted(times)
        assert all(lead <= timedelta(0) for lead in intake.lead)
        schedule = Periodic(PERIOD)
        expected = [settled[0]]
        while expected[-1] < settled[-1]:
            expected.append(schedule.after(expected[-1]))
        assert settled == expected
        assert settled[0] == schedule.after(NEW_YEAR) or moves

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(check())


@pytest.mark.virtual_time
class TestHardTimes:
    async def test_a_full_disk_is_asked_less_and_less_often(self) -> None:
        intake = WatchedIntake(LoopClock())
        intake.refusals = 8
        async with running(Every("1h"), intake):
            await intake.wait_for_events(1)
        waits = [
            (later - earlier).total_seconds()
            for earlier, later in zip(intake.refused_at, intake.refused_at[1:], strict=False)
        ]
        assert waits == pytest.approx([0.5, 1, 2, 4, 8, 10, 10], abs=0.01)

    async def test_a_full_disk_loses_no_row(self) -> None:
        clock = LoopClock()
        intake = RecordingIntake("every:1m", clock=clock)
        async with running(Every("1m"), intake):
            await intake.wait_for_events(1)
        await asyncio.sleep(600)
        async with running(Every("1m"), intake):
            intake.fail_next(StoreFullError("no space left on the device"))
            await intake.wait_for_events(2)
        assert len(intake.skipped) == 9

    async def test_another_storage_error_reaches_whoever_runs_the_sensor(self) -> None:
        clock = LoopClock()
        intake = RecordingIntake("every:1m", clock=clock)
        async with running(Every("1m"), intake):
            await intake.wait_for_events(1)
        await asyncio.sleep(600)
        intake.fail_next(StoreError("disk gone"))
        with pytest.raises(StoreError, match="disk gone"):
            await Every("1m").run(intake)

    async def test_rows_of_a_long_gap_do_not_hold_back_what_is_due(self) -> None:
        clock = LoopClock()
        intake = SlowIntake("every:1s", clock=clock)
        async with running(Every("1s"), intake):
            await intake.wait_for_events(1)
        await asyncio.sleep(3600)
        began = clock.now()
        async with running(Every("1s"), intake):
            await intake.wait_for_events(2)
        assert clock.now() - began < timedelta(seconds=1)

    async def test_an_occurrence_in_hand_at_shutdown_fires_after_the_restart(self) -> None:
        intake = WatchedIntake(LoopClock())
        intake.overload(timedelta(seconds=1))
        async with running(Every("1h"), intake):
            await asyncio.sleep(3601)
        assert len(intake.lead) == 1
        intake.relieve()
        async with running(Every("1h"), intake):
            await intake.wait_for_events(1)
        assert [event.time for event in intake.events] == [NEW_YEAR + timedelta(hours=1)]

    async def test_a_death_between_commit_and_return_repeats_nothing(self) -> None:
        intake = WatchedIntake(LoopClock())
        async with running(Every("1h"), intake) as task:
            await intake.wait_for_events(1)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        async with running(Every("1h"), intake):
            await intake.wait_for_events(2)
        assert intake.duplicates == 0
        assert len({event.id for event in intake.events}) == 2

    async def test_a_clock_put_right_during_the_catch_up_lets_nothing_fire_early(self) -> None:
        clock = LoopClock()
        intake = WatchedIntake(clock)
        async with running(Every("1h", missed="all"), intake):
            await intake.wait_for_events(1)
            clock.step(timedelta(hours=3))
            intake.refusals = 1
            await asyncio.sleep(5.1)
            clock.step(timedelta(hours=-3))
            await intake.wait_for_events(4)
        assert len(intake.refused_at) == 1
        assert all(lead <= timedelta(0) for lead in intake.lead)

    async def test_a_table_with_seconds_fires_at_them(self) -> None:
        intake = WatchedIntake(LoopClock())
        async with running(Cron("*/20 * * * * *"), intake):
            await intake.wait_for_events(3)
        assert [event.time for event in intake.events] == [
            datetime(2026, 1, 1, 0, 0, 20, tzinfo=UTC) + timedelta(seconds=20 * n) for n in range(3)
        ]
