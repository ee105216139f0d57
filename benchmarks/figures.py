"""What is measured, one round of it, and what several rounds say together. Pure."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
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
    """One round of one benchmark: each of its figures with its value, in the order to be shown.

    `missing` are those of peers that could not be measured, each with the reason.
    """

    values: Mapping[Figure, float]
    missing: Mapping[Figure, str] = field(default_factory=dict)

    def __or__(self, other: Result) -> Result:
        """Return both together, `other` after this."""
        return Result(
            values={**self.values, **other.values}, missing={**self.missing, **other.missing}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A figure over all rounds: the median is what it is held to, the range says how far to trust it.

    `missing` says, in one line, why there are rounds without it; in no round measured, all three are NaN.
    """

    figure: Figure
    median: float
    low: float
    high: float
    missing: str = ""

    @property
    def is_measured(self) -> bool:
        return not math.isnan(self.median)

    @property
    def is_reached(self) -> bool:
        return self.figure.is_reached_by(self.median)


def summarise(results: Sequence[Result]) -> list[Summary]:
    """Return each figure over the rounds in which it was measured, in the order of its first round."""
    figures = dict.fromkeys(
        figure for result in results for figure in (*result.values, *result.missing)
    )
    return [_summary(figure, results) for figure in figures]


def _summary(figure: Figure, results: Sequence[Result]) -> Summary:
    values = [result.values[figure] for result in results if figure in result.values]
    reasons = [result.missing[figure] for result in results if figure in result.missing]
    return Summary(
        figure=figure,
        median=statistics.median(values) if values else math.nan,
        low=min(values, default=math.nan),
        high=max(values, default=math.nan),
        # What follows the first line is what a program printed, for the terminal only.
        missing=reasons[0].splitlines()[0] if reasons else "",
    )


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
