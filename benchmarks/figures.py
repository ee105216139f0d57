"""What is measured, one round of it, and what several rounds say together. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# How much is measured: to see that it works at all, to look while optimising, to publish.
Scale = Literal["tiny", "quick", "full"]


class MeasurementError(Exception):
    """What was measured did not do its work, so its time says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that is measured, with the goal that its median is held to, where it has one."""

    name: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def goal(self) -> str:
        """Return the goal in words, "" where there is none."""
        if self.at_least is not None:
            return f"≥ {spell(self.at_least)}"
        return "" if self.at_most is None else f"≤ {spell(self.at_most)}"

    def is_reached_by(self, value: float) -> bool:
        """Return whether `value` is good enough; any value is where there is no goal."""
        is_enough = self.at_least is None or value >= self.at_least
        return is_enough and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One round of one benchmark: each of its figures with its value, in the order to be shown."""

    values: Mapping[Figure, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A figure over all rounds: the median is what it is held to, the range says how far to trust it."""

    figure: Figure
    median: float
    low: float
    high: float

    @property
    def is_reached(self) -> bool:
        return self.figure.is_reached_by(self.median)


def summarise(results: Sequence[Result]) -> list[Summary]:
    """Return each figure over the rounds in which it was measured, in the order of its first round."""
    figures = dict.fromkeys(figure for result in results for figure in result.values)
    summaries = []
    for figure in figures:
        values = [result.values[figure] for result in results if figure in result.values]
        summaries.append(
            Summary(
                figure=figure,
                median=statistics.median(values),
                low=min(values),
                high=max(values),
            )
        )
    return summaries


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of `values` do not exceed: nearest rank, never interpolated."""
    ordered = sorted(values)
    if not ordered:
        raise MeasurementError("nothing was measured; expected at least one value")
    return ordered[max(0, min(len(ordered) - 1, round(share * len(ordered)) - 1))]


def spell(value: float) -> str:
    """Return a number with about three significant digits, as a table wants it."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
