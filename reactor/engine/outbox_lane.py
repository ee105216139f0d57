"""One lane of the outbox: all that waits for one target of one outlet, delivered oldest first."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from reactor.clock import monotonic
from reactor.errors import ReactorError, Reject, StoreError, StoreStoppedError
from reactor.model.trigger import spell_error
from reactor.store.outgoing import idempotency_key, letter_of, outgoing_of
from reactor.telemetry.facts import OutboxDelivered, OutboxParked, OutboxRecovered, OutboxStalled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reactor.engine.tools import Tools
    from reactor.model.outlet import Outlet
    from reactor.store.contract import OutgoingRow

# What is read, handed over and removed together. So much may be delivered twice after a crash, and is in memory.
WINDOW_ROWS = 256
WINDOW_BYTES = 1024 * 1024
# With what a lane begins again after a failure: enough that one stuck key does not hold up all others.
CAUTIOUS_ROWS = 8
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# Outlets have their own, shorter deadlines; this one is against an outlet that forgets a delivery.
LONGEST_DELIVERY = timedelta(minutes=10)
LONGEST_REASON = 1000
UNDELIVERABLE = "undeliverable"


class StalledError(Exception):
    """Something could not be delivered now; the text says why."""


class OutboxLane:
    """Delivers until nothing is left. `waiting` counts what is, by workflow; `trouble` says why nothing moves.

    `is_over` when the store has stopped, so that nothing more can be settled.
    """

    def __init__(
        self,
        name: str,
        outlet: str,
        target: str,
        *,
        tools: Tools,
        outlet_for: Callable[[], Awaitable[Outlet]],
        places: asyncio.Semaphore,
        changed: Callable[[], None],
    ) -> None:
        self.outlet = outlet
        self.target = target
        self.waiting: Counter[str] = Counter()
        self.trouble: str | None = None
        self.is_over = False
        self._name = name
        self._tools = tools
        self._outlet_for = outlet_for
        self._places = places
        self._changed = changed
        self._rows = WINDOW_ROWS
        self._failures = 0
        self._stalled_since = 0.0

    async def run(self) -> None:
        """Return when everything is delivered or parked, or the store has stopped."""
        while self.waiting.total() > 0 and not self.is_over:
            try:
                async with self._places:
                    await self._next_window()
            except StoreStoppedError:
                self.is_over = True
            except (StalledError, StoreError) as error:
                await asyncio.sleep(self._stalled(str(error)))
            except Exception as error:  # noqa: BLE001  # this loop supervises: a fault of ours must not end it
                await asyncio.sleep(self._stalled(spell_error(error)))
            else:
                self._moved()

    def _stalled(self, why: str) -> float:
        """Take note of a failure; return for how many seconds to wait: full jitter below a doubling bound."""
        longest = min(FIRST_PAUSE_SECONDS * 2.0**self._failures, LONGEST_PAUSE_SECONDS)
        seconds = self._tools.clock.luck() * longest
        self._failures = min(self._failures + 1, 30)
        self._rows = CAUTIOUS_ROWS
        if self.trouble is None:
            self._stalled_since = monotonic()
        self._tools.telemetry.emit(
            OutboxStalled(
                outlet=self.outlet,
                target=self.target,
                error=why,
                waiting=self.waiting.total(),
                retry_in=timedelta(seconds=seconds),
                first=self.trouble is None,
            )
        )
        self.trouble = why
        self._changed()
        return seconds

    def _moved(self) -> None:
        self._failures = 0
        self._rows = min(4 * self._rows, WINDOW_ROWS)
        if self.trouble is not None:
            self.trouble = None
            lasted = timedelta(seconds=monotonic() - self._stalled_since)
            self._tools.telemetry.emit(
                OutboxRecovered(outlet=self.outlet, target=self.target, lasted=lasted)
            )

    async def _next_window(self) -> None:
        """Deliver the oldest rows. Raises StalledError, or StoreError, when one of them could not be settled now."""
        rows = await self._tools.store.outbox_window(
            self._name, rows=self._rows, size_bytes=WINDOW_BYTES
        )
        if not rows:
            self.waiting.clear()
            return
        try:
            outlet = await self._outlet_for()
        except Exception as error:
            raise StalledError(
                f"outlet {self.outlet!r} cannot be opened: {spell_error(error)}"
            ) from error
        window = _Window(outlet, self._park)
        try:
            await window.deliver(rows)
        except asyncio.CancelledError:
            # The end of the daemon. What is delivered need not be delivered again by the next.
            with suppress(StoreError):
                await self._tools.store.delivered([row.id for row in window.delivered])
            raise
        await self._remove(window.delivered)
        if window.failure is not None:
            raise window.failure
        if len(window.delivered) + window.parked < len(rows):
            raise StalledError(f"outlet {self.outlet!r} gave up a delivery without an error")

    async def _remove(self, rows: Sequence[OutgoingRow]) -> None:
        if not rows:
            return
        ids = [row.id for row in rows]
        await self._tools.durably(lambda: self._tools.store.delivered(ids))
        self.waiting.subtract(row.workflow for row in rows)
        now = self._tools.clock.now_micros()
        of_workflow: defaultdict[str, list[int]] = defaultdict(list)
        for row in rows:
            of_workflow[row.workflow].append(now - row.created_at)
        for workflow, ages in of_workflow.items():
            self._tools.telemetry.emit(
                OutboxDelivered(
                    workflow=workflow,
                    outlet=self.outlet,
                    target=self.target,
                    records=len(ages),
                    age=timedelta(microseconds=max(ages)),
                )
            )

    async def _park(self, row: OutgoingRow, why: str) -> None:
        letter = letter_of(
            row,
            id=self._tools.clock.next_id(),
            reason=UNDELIVERABLE,
            detail=why[:LONGEST_REASON],
            at=self._tools.clock.now_micros(),
        )

        async def write() -> None:
            await self._tools.store.park_outgoing(row.id, letter)

        await self._tools.durably(write)
        self.waiting.subtract((row.workflow,))
        self._tools.telemetry.emit(
            OutboxParked(
                sensor=letter.sensor,
                workflow=row.workflow,
                step=row.step,
                target=row.target,
                reason=letter.reason,
                idempotency_key=letter.event_id,
                detail=letter.detail,
            )
        )


class _Window:
    """Rows on their way: each key in a task of its own, one row after the other. The first failure ends them all."""

    def __init__(self, outlet: Outlet, park: Callable[[OutgoingRow, str], Awaitable[None]]) -> None:
        self.delivered: list[OutgoingRow] = []
        self.parked = 0
        self.failure: StalledError | StoreError | None = None
        self._outlet = outlet
        self._park = park
        self._delivering: set[asyncio.Task[None]] = set()

    async def deliver(self, rows: Sequence[OutgoingRow]) -> None:
        """Return when every row is settled, or one could not be."""
        chains: defaultdict[bytes | int, list[OutgoingRow]] = defaultdict(list)
        for row in rows:
            chains[row.id if row.key is None else row.key].append(row)
        async with asyncio.TaskGroup() as group:
            for chain in chains.values():
                group.create_task(self._deliver_in_order(chain), name=f"outbox to {rows[0].target}")

    async def _deliver_in_order(self, rows: Sequence[OutgoingRow]) -> None:
        try:
            for row in rows:
                if self.failure is None:
                    await self._deliver_one(row)
        except (StalledError, StoreError) as error:
            if self.failure is None:
                self.failure = error
            # Not by raising: a task group then forgets that the daemon cancelled it at the same time.
            for task in self._delivering:
                task.cancel()

    async def _deliver_one(self, row: OutgoingRow) -> None:
        why = await self._refusal(row)
        if why is None:
            self.delivered.append(row)
        else:
            # Not among those that a failure elsewhere cancels: what is parked must be counted.
            await self._park(row, why)
            self.parked += 1

    async def _refusal(self, row: OutgoingRow) -> str | None:
        """Return None when the row is delivered, or why it can never be. Raises StalledError."""
        task = asyncio.current_task()
        assert task is not None
        self._delivering.add(task)
        try:
            async with asyncio.timeout(LONGEST_DELIVERY.total_seconds()):
                await self._outlet.deliver(outgoing_of(row), idempotency_key=idempotency_key(row))
        except Reject as error:
            return str(error)
        except Exception as error:
            text = str(error) if isinstance(error, ReactorError) else spell_error(error)
            raise StalledError(text[:LONGEST_REASON]) from error
        finally:
            self._delivering.discard(task)
        return None
