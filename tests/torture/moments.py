"""When a life ends: at a random instant, or right after something happened. All from one seed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from reactor.testing.process import PATIENCE_SECONDS, DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

# random: at any instant after it was ready. starting: at any instant from its birth to soon after it is ready.
# requested: a request was sent, its answer not read. acknowledged: a 2xx was read. published: a file is complete.
# order, arrival, beat: the last step of such a run made its effect; its result is not durable yet, or just so.
Moment = Literal[
    "random", "starting", "requested", "acknowledged", "published", "order", "arrival", "beat"
]
FED = ("requested", "acknowledged", "published")
LONGEST_LIFE_SECONDS = 0.5
LONGEST_START_SECONDS = 0.7
MOST_COUNTED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a life ends: `seconds` after birth or readiness, or after the `count`-th time that `moment` came."""

    moment: Moment
    seconds: float
    count: int


def in_rounds(luck: random.Random, kinds: Sequence[T], count: int) -> list[T]:
    """Return `count` kinds: every one comes before any comes again, in another order each time."""
    drawn: list[T] = []
    while len(drawn) < count:
        drawn += luck.sample(kinds, len(kinds))
    return drawn[:count]


def plans(seed: str, count: int) -> list[Plan]:
    """Return the ends of `count` lives, in rounds of all moments."""
    luck = random.Random(seed)
    moments: list[Moment] = in_rounds(luck, get_args(Moment), count)
    return [
        Plan(
            moment=moment,
            seconds=luck.uniform(
                0, LONGEST_START_SECONDS if moment == "starting" else LONGEST_LIFE_SECONDS
            ),
            count=luck.randint(1, MOST_COUNTED),
        )
        for moment in moments
    ]


class Moments:
    """Counts what the feeds tell, and lets a thread wait for the next time."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._changed = threading.Condition()

    def __call__(self, name: str) -> None:
        with self._changed:
            self._counts[name] += 1
            self._changed.notify_all()

    def wait_for(self, name: str, count: int, daemon: DaemonProcess) -> None:
        """Return right after `name` came `count` more times. Raises AssertionError with the log if it does not."""
        with self._changed:
            target = self._counts[name] + count
            if self._changed.wait_for(lambda: self._counts[name] >= target, PATIENCE_SECONDS):
                return
        raise AssertionError(f"waited for {name!r} {count} times in vain:\n{daemon.log}")


def live(daemon: DaemonProcess, plan: Plan, moments: Moments) -> None:
    """Start the daemon and return when its life shall end."""
    if plan.moment == "starting":
        daemon.start(wait_until_ready=False)
        threading.Event().wait(plan.seconds)
        return
    daemon.start()
    if plan.moment == "random":
        threading.Event().wait(plan.seconds)
    elif plan.moment in FED:
        moments.wait_for(plan.moment, plan.count, daemon)
    else:
        for _ in range(plan.count):
            daemon.wait_until_told(plan.moment)
