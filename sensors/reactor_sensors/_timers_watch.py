"""The loop of a timer: waits for the next occurrence, then decides what is fired and what is passed over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from reactor.api import Event, StoreFullError, from_micros
from reactor_sensors._timers_schedule import due_occurrences

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reactor.api import Intake
    from reactor_sensors._timers_schedule import Due, Schedule

Missed = Literal["last", "skip", "all"]

TICK = "reactor.timer.tick"
CURSOR = "last"
MOST_ROWS = 1000
# A step of the wall clock is noticed within this time.
LONGEST_SLEEP_SECONDS = 5.0
FIRST_REFUSAL_WAIT_SECONDS = 0.5
LONGEST_REFUSAL_WAIT_SECONDS = 10.0
# A gap that may hold more occurrences than are quickly counted on the loop.
LONG_GAP = timedelta(minutes=1)
# Beyond this a cursor in the future is no clock that was put right but one that was wrong.
ODD_LEAD = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """An occurrence of a schedule. `missed` counts those passed over since the one before, up to 1 000."""

    schedule: str
    scheduled_at: datetime
    missed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What becomes of occurrences that were missed. See `Every`."""

    missed: Missed
    missed_at_most: int
    grace: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do about occurrences that have come, oldest first: skip, then fire."""

    skipped: tuple[datetime, ...]
    fired: tuple[datetime, ...]


def plan(due: Due, policy: Policy, now: datetime) -> Plan:
    """Return which of the newest due occurrences fire."""
    newest = tuple(due.newest)
    if policy.missed == "all":
        count = policy.missed_at_most
    elif policy.missed == "last" or now - newest[-1] <= policy.grace:
        count = 1
    else:
        count = 0
    cut = max(len(newest) - count, 0)
    return Plan(skipped=newest[:cut], fired=newest[cut:])


class TimerWatch:
    """Runs one schedule. The cursor holds the last occurrence that was fired or passed over."""

    def __init__(self, schedule: Schedule, policy: Policy, intake: Intake) -> None:
        self._schedule = schedule
        self._policy = policy
        self._intake = intake

    async def run(self) -> None:
        """Fire until cancelled, or until the schedule has no more occurrences."""
        last = await self._begin()
        self._intake.up()
        while (due := self._schedule.after(last)) is not None:
            last = await self._handle(last, await self._reach(due))

    async def _begin(self) -> datetime:
        """Return the instant after which occurrences count. Nothing was missed before the first start ever."""
        kept = (await self._intake.cursor()).get(CURSOR)
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
            await self._skip(self._occurrence_id(over), over, "past", moves_to=now)
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
        steps = plan(due, self._policy, now)
        if due.older is not None:
            first, final = due.older
            span = f"{self._schedule.spelling}@{spell_instant(first)}..{spell_instant(final)}"
            await self._skip(span, first, "missed", moves_to=final)
        for occurrence in steps.skipped:
            await self._skip(self._occurrence_id(occurrence), occurrence, "missed")
        missed = len(steps.skipped)
        for occurrence in steps.fired:
            await self._fire(occurrence, missed)
            missed = 0
        return due.newest[-1]

    async def _due(self, last: datetime, now: datetime) -> Due:
        limit = max(MOST_ROWS, self._policy.missed_at_most)
        if now - last < LONG_GAP:
            return due_occurrences(self._schedule, last=last, now=now, limit=limit)
        return await asyncio.to_thread(
            due_occurrences, self._schedule, last=last, now=now, limit=limit
        )

    async def _fire(self, occurrence: datetime, missed: int) -> None:
        event = Event(
            id=self._occurrence_id(occurrence),
            source=self._intake.sensor,
            type=TICK,
            time=occurrence,
            data=Tick(schedule=self._schedule.spelling, scheduled_at=occurrence, missed=missed),
        )
        await self._durably(lambda: self._intake.accept(event, cursor=cursor_at(occurrence)))

    async def _skip(
        self,
        occurrence_id: str,
        occurrence: datetime,
        reason: str,
        *,
        moves_to: datetime | None = None,
    ) -> None:
        cursor = cursor_at(moves_to or occurrence)
        await self._durably(
            lambda: self._intake.skip(occurrence_id, reason=reason, at=occurrence, cursor=cursor)
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


def spell_instant(instant: datetime) -> str:
    """Return the instant in UTC as ISO 8601, as short as it can be without loss."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
