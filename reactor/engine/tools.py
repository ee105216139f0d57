"""What every run shares, and how a write is made that must not be given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from reactor.errors import StoreError, StoreFullError, StoreStoppedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reactor.clock import Clock
    from reactor.engine.executors import Executors
    from reactor.store.contract import OutgoingRow, Store
    from reactor.telemetry import Telemetry

T = TypeVar("T")
FULL_DISK_RETRY_SECONDS = 0.5
READ_RETRY_SECONDS = 0.5


def _ignore(rows: Sequence[OutgoingRow]) -> None:
    """Nobody delivers them."""


class Tools:
    """What every run shares."""

    __slots__ = ("clock", "emitted", "executors", "store", "telemetry")

    def __init__(
        self, store: Store, executors: Executors, telemetry: Telemetry, clock: Clock
    ) -> None:
        self.store = store
        self.executors = executors
        self.telemetry = telemetry
        self.clock = clock
        # What is done with rows of the outbox once they are durable.
        self.emitted: Callable[[Sequence[OutgoingRow]], None] = _ignore

    async def patiently(self, read: Callable[[], Awaitable[T]]) -> T:
        """Make a read that must not be given up: where it fails, try again. Raises StoreStoppedError."""
        while True:
            try:
                return await read()
            except StoreStoppedError:
                raise
            except StoreError:
                await asyncio.sleep(READ_RETRY_SECONDS)

    async def durably(self, write: Callable[[], Awaitable[None]]) -> None:
        """Make a write that must not be given up: while the disk is full, try again."""
        while True:
            try:
                return await write()
            except StoreFullError:
                await asyncio.sleep(FULL_DISK_RETRY_SECONDS)
