"""The loop of a timer: waits for the next occurrence, then decides what is fired and what is passed over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from reactor.api import Event, StoreFullError, from_micros
from reactor_sensors._timers_schedule import due_occurrences, spell_instant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from reactor.api import Intake
    from reactor_sensors._timers_schedule import Due, Schedule

Missed = Literal["last", "skip", "all"]

TICK = "reactor.timer.tick"
CURSOR = "last"
# How many occurrences were passed over since one fired; kept, so that a restart in between forgets none.
PASSED = "passed"
MOST_ROWS = 1000
# Rows that are written at once, so that the store can put them into one commit.
ROWS_AT_ONCE = 100
# A step of the wall clock is noticed within this time.
LONGEST_SLEEP_SECONDS = 5.0
FIRST_REFUSAL_WAIT_SECONDS = 0.5
LONGEST_REFUSAL_WAIT_SECONDS = 10.0
# A gap that may hold more occurrences than are quickly counted on the loop.
LONG_GAP = timedelta(minutes=1)
# Beyond this a cursor in the future is no clock that was put right but one that was wrong.
ODD_LEAD = timedelta(minutes=1)
LEAST_TOLERANCE = timedelta(seconds=1)
MOST_TOLERANCE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """An occurrence of a schedule. `missed` counts those passed over since the one that fired before it.

    Of a gap for which one row stands (see `Every`), only the newest 1 000 are counted.
    """

    schedule: str
    scheduled_at: datetime
    missed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What becomes of occurrences that were missed. See `Every`."""

    missed: Missed
    missed_at_most: int
    tolerance: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do about occurrences that have come, oldest first: skip, then fire."""

    skipped: tuple[datetime, ...]
    fired: tuple[datetime, ...]


def plan(due: Due, policy: Policy, *, now: datetime, following: datetime | None) -> Plan:
    """Return which of the newest due occurrences fire; `following` is the one that will come after them."""
    newest = tuple(due.newest)
    if policy.missed == "all":
        count = policy.missed_at_most
    elif policy.missed == "last" or now - newest[-1] <= tolerance(policy, newest[-1], following):
        count = 1
    else:
        count = 0
    cut = max(len(newest) - count, 0)
    return Plan(skipped=newest[:cut], fired=newest[cut:])


def tolerance(policy: Policy, occurrence: datetime, following: datetime | None) -> timedelta:
    """Return how late `occurrence` may be and still count as on time.

    A tenth of the interval: a late one must not be taken for the next. At least as long as a busy machine may need.
    """
    if policy.tolerance is not None:
        return policy.tolerance
    if following is None:
        return MOST_TOLERANCE
    return max(LEAST_TOLERANCE, min((following - occurrence) / 10, MOST_TOLERANCE))


class TimerWatch:
    """Runs one schedule. The cursor holds the last occurrence that was fired or passed over."""

    def __init__(self, schedule: Schedule, policy: Policy, intake: Intake) -> None:
        self._schedule = schedule
        self._policy = policy
        self._intake = intake
        self._passed = 0

    async def run(self) -> None:
        """Fire until cancelled, or until the schedule has no more occurrences."""
        last = await self._begin()
        self._intake.up()
        while (due := self._schedule.after(last)) is not None:
            last = await self._handle(last, await self._reach(due))

    async def _begin(self) -> datetime:
        """Return the instant after which occurrences count. Nothing was missed before the first start ever."""
        cursor = await self._intake.cursor()
        kept = cursor.get(CURSOR)
        self._passed = int(cursor.get(PASSED, b"0"))
        now = self._intake.clock.now()
        if kept is not None:
            last = datetime.fromisoformat(kept.decode())
            if last - now > ODD_LEAD:
                self._intake.log.warning(
                    "the clock is behind the last occurrence; nothing fires until it is past it",
                    extra={"fields": {"last": spell_instant(last), "now": spell_instant(now)}},
                )
            return last
        if self._schedule.after(now) is None and (over := self._schedule.after(from_micros(0))):
            # An instant that was over before anybody asked for it.
            await self._skip(self._occurrence_id(over), over, "past", cursor_at(now))
        else:
            await self._durably(lambda: self._intake.move_cursor(cursor_at(now)))
        return now

    async def _reach(self, due: datetime) -> datetime:
        """Wait until the wall clock shows `due` or later; return what it shows."""
        while True:
            now = self._intake.clock.now()
            left = (due - now).total_seconds()
            if left <= 0:
                return now
            await asyncio.sleep(min(left, LONGEST_SLEEP_SECONDS))

    async def _handle(self, last: datetime, now: datetime) -> datetime:
        """Record and fire what is due after `last`; return the new last one."""
        due = await self._due(last, now)
        steps = plan(due, self._policy, now=now, following=self._schedule.after(due.newest[-1]))
        if due.older is not None:
            first, final = due.older
            span = f"{self._occurrence_id(first)}..{spell_instant(final)}"
            await self._skip(span, first, "missed", cursor_at(final))
        for start in range(0, len(steps.skipped), ROWS_AT_ONCE):
            await self._pass_over(steps.skipped[start : start + ROWS_AT_ONCE])
        for occurrence in steps.fired:
            await self._fire(occurrence)
        return due.newest[-1]

    async def _due(self, last: datetime, now: datetime) -> Due:
        limit = max(MOST_ROWS, self._policy.missed_at_most)
        if now - last < LONG_GAP:
            return due_occurrences(self._schedule, last=last, now=now, limit=limit)
        return await asyncio.to_thread(
            due_occurrences, self._schedule, last=last, now=now, limit=limit
        )

    async def _fire(self, occurrence: datetime) -> None:
        event = Event(
            id=self._occurrence_id(occurrence),
            source=self._intake.sensor,
            type=TICK,
            time=occurrence,
            data=Tick(
                schedule=self._schedule.spelling, scheduled_at=occurrence, missed=self._passed
            ),
        )
        cursor = cursor_at(occurrence)
        if self._passed:
            cursor[PASSED] = None
        await self._durably(lambda: self._offer(event, cursor))
        self._passed = 0

    async def _offer(self, event: Event[Tick], cursor: Mapping[str, bytes | None]) -> None:
        # A clock that was wrong may have been put right since: behind a refusal, or others that came before.
        await self._reach(event.time)
        await self._intake.accept(event, cursor=cursor)

    async def _pass_over(self, occurrences: Sequence[datetime]) -> None:
        """Leave a row for each, then move the cursor past them with the last.

        A death in between repeats rows, which the store keeps once.
        """
        *others, final = occurrences
        await self._durably(lambda: self._leave_rows(others))
        passed = self._passed + len(occurrences)
        cursor = {**cursor_at(final), PASSED: str(passed).encode()}
        await self._skip(self._occurrence_id(final), final, "missed", cursor)
        self._passed = passed

    async def _leave_rows(self, occurrences: Sequence[datetime]) -> None:
        """Write rows side by side. One after the other, a slow disk would delay what is due by a commit for each."""
        try:
            async with asyncio.TaskGroup() as rows:
                for occurrence in occurrences:
                    row = self._occurrence_id(occurrence)
                    rows.create_task(
                        self._intake.skip(row, reason="missed", at=occurrence), name=f"skip {row}"
                    )
        except ExceptionGroup as failures:
            # As it would be without the group, whoever calls tells errors apart by their class.
            raise failures.exceptions[0] from None

    async def _skip(
        self, row: str, occurrence: datetime, reason: str, cursor: Mapping[str, bytes | None]
    ) -> None:
        await self._durably(
            lambda: self._intake.skip(row, reason=reason, at=occurrence, cursor=cursor)
        )

    async def _durably(self, write: Callable[[], Awaitable[object]]) -> None:
        """Make a write, again and again while the disk is full. It is the same write each time."""
        delay = FIRST_REFUSAL_WAIT_SECONDS
        while True:
            try:
                await write()
            except StoreFullError as error:
                self._intake.log.warning(
                    "an occurrence is kept back, the store is full",
                    extra={"fields": {"why": str(error)}},
                )
            else:
                return
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_REFUSAL_WAIT_SECONDS)

    def _occurrence_id(self, occurrence: datetime) -> str:
        return f"{self._schedule.spelling}@{spell_instant(occurrence)}"


def cursor_at(instant: datetime) -> dict[str, bytes | None]:
    """Return the cursor that says: everything up to `instant` is handled."""
    return {CURSOR: spell_instant(instant).encode()}
