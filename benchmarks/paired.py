"""Two engines in one process, in turns: what one costs beside the other, whatever else the machine does."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.figures import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bare_loop import Load
    from benchmarks.engine_load import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """How many turns each side takes, and how many runs a turn has, so many of them at any time."""

    pairs: int
    runs: int
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Microseconds per event on each side, and how often the one is in the other: medians over all pairs of turns.

    `ratio` is of the time that passed, `cpu_ratio` of the processor time in all threads.
    """

    base_micros: float
    other_micros: float
    ratio: float
    cpu_ratio: float


async def compare(base: Source, other: Source, turns: Turns) -> Costs:
    """Return the costs per event of both. A first turn of each warms up and is not counted."""
    await _turn(base, turns)
    await _turn(other, turns)
    pairs: list[tuple[Load, Load]] = []
    for number in range(turns.pairs):
        # Who goes first changes, so that what rises or falls with time weighs on both.
        if number % 2:
            second = await _turn(other, turns)
            pairs.append((await _turn(base, turns), second))
        else:
            first = await _turn(base, turns)
            pairs.append((first, await _turn(other, turns)))
    return costs(pairs)


def costs(pairs: Sequence[tuple[Load, Load]]) -> Costs:
    """Return what pairs of turns say: the ratio is taken within each pair, then the median of the ratios."""
    if not pairs:
        raise MeasurementError("no pair of turns was measured; expected at least one")
    return Costs(
        base_micros=statistics.median(1e6 / base.per_second for base, _ in pairs),
        other_micros=statistics.median(1e6 / other.per_second for _, other in pairs),
        ratio=statistics.median(base.per_second / other.per_second for base, other in pairs),
        cpu_ratio=statistics.median(
            (other.cpu_seconds / len(other.latencies_ms))
            / (base.cpu_seconds / len(base.latencies_ms))
            for base, other in pairs
        ),
    )


async def _turn(source: Source, turns: Turns) -> Load:
    return await source.see_through(runs=turns.runs, in_flight=turns.in_flight)
