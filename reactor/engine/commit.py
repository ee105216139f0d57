"""Events on their way into the store: the runs that they start, what was taken for them, and who waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reactor.engine.arrivals import Arrivals, Arrived
    from reactor.engine.credits import Budget
    from reactor.engine.scheduler import Lane
    from reactor.store.contract import Offer, PendingRun, RunRow


class Placed(NamedTuple):
    """A run that a new event starts, and the place that the scheduler gave it."""

    lane: Lane
    run: PendingRun
    row: RunRow
    starts: bool
    arrived: Arrived


class Commit:
    """Events on their way into the store, and what was taken for them meanwhile."""

    __slots__ = ("arrivals", "observed_at", "offer", "placed", "sensor", "taken")

    def __init__(
        self,
        sensor: str,
        arrivals: Arrivals,
        offer: Offer,
        placed: Sequence[Placed],
        taken: list[tuple[Budget, int]],
        observed_at: int,
    ) -> None:
        self.sensor = sensor
        self.arrivals = arrivals
        self.offer = offer
        self.placed = placed
        self.taken = taken
        self.observed_at = observed_at

    @property
    def first(self) -> int:
        """The sequence number of the first event; those of the others follow without a gap."""
        offer = self.offer
        if offer.blocks:
            return offer.blocks[0].first
        return offer.events[0].seq if offer.events else 0


def refuse(answers: Iterable[asyncio.Future[Any]], error: BaseException) -> None:
    """Tell all who still wait that nothing will come, and why."""
    for answer in answers:
        if answer.done():
            continue
        if isinstance(error, asyncio.CancelledError):
            answer.cancel()
        else:
            answer.set_exception(error)
