"""Whether something grows: the slope of a line through many looks, with how sure that is.

A single value says little of a process at work. The looks are gathered into a few blocks, because neighbours resemble
each other, and a line is fitted to the means of the blocks (ordinary least squares). What is judged is the lower end
of the slope's confidence interval: a finding is growth of which the looks leave no doubt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS = 12
# Student's t for BLOCKS - 2 degrees of freedom: below -t lies 1 % (NIST/SEMATECH e-Handbook, 1.3.6.7.2).
STUDENT = 2.764
SECONDS_PER_HOUR = 3600.0

Look = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """Growth in units per hour: the best guess, and what it is at least with a confidence of 99 %."""

    per_hour: float
    at_least: float

    def __str__(self) -> str:
        return f"{self.per_hour:+.3g}/h (at least {self.at_least:+.3g}/h)"


def slope(looks: Sequence[Look]) -> Slope:
    """Return how fast the values of `looks`, pairs of seconds and value in the order of time, grow.

    Raises ValueError for fewer looks than there are blocks.
    """
    if len(looks) < BLOCKS:
        raise ValueError(f"{len(looks)} looks; expected {BLOCKS} or more")
    edges = [len(looks) * number // BLOCKS for number in range(BLOCKS + 1)]
    blocks = [looks[first:after] for first, after in pairwise(edges)]
    hours = [fmean(at for at, _ in block) / SECONDS_PER_HOUR for block in blocks]
    values = [fmean(value for _, value in block) for block in blocks]
    middle, mean = fmean(hours), fmean(values)
    spread = sum((hour - middle) ** 2 for hour in hours)
    pairs = [*zip(hours, values, strict=True)]
    per_hour = sum((hour - middle) * (value - mean) for hour, value in pairs) / spread
    rest = sum((value - mean - per_hour * (hour - middle)) ** 2 for hour, value in pairs)
    error = math.sqrt(rest / (BLOCKS - 2) / spread)
    return Slope(per_hour=per_hour, at_least=per_hour - STUDENT * error)
