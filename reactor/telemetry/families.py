"""Metric families with a hard bound on their label sets.

prometheus_client's own counters look labels up slowly (2 µs) and grow without bound, so the cells
live here; its registry and its exposition formats stay in charge of everything else.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left, bisect_right
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from reactor.telemetry.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

OTHER = "__other__"
LONGEST_LABEL = 200
# So many observations, or facts of a kind, wait to be counted together; a scrape counts what waits.
MOST_WAITING = 256

Labels = tuple[str, ...]
C = TypeVar("C")


class LabelBudget:
    """Decides which label set a value is counted under; there are never more than `limit` of them.

    The first come keep their own. Later ones share a set in which every open label is `__other__`,
    so sums over a family stay exact. A closed label has few known values and keeps them there too;
    a value it does not know is `__other__`.
    """

    def __init__(self, names: Labels, *, limit: int, closed: Mapping[str, Iterable[str]]) -> None:
        self._closed = tuple(frozenset(closed[name]) if name in closed else None for name in names)
        shared = math.prod(len(values) + 1 for values in self._closed if values is not None)
        if limit <= shared:
            raise ValueError(f"{limit} label sets leave no room beside {shared} shared ones")
        self._room = limit - shared

    def place(self, labels: Labels, taken: Mapping[Labels, object]) -> Labels:
        """Return the label set for `labels`, given those already `taken`."""
        clean = tuple(map(self._clean, labels, self._closed))
        # Shared sets in `taken` make it longer, which only closes the door a little earlier.
        if clean in taken or len(taken) < self._room:
            return clean
        return tuple(map(_share, clean, self._closed))

    @staticmethod
    def _clean(value: str, known: frozenset[str] | None) -> str:
        if known is not None and value not in known:
            return OTHER
        return printable(value, longest=LONGEST_LABEL)


def _share(value: str, known: frozenset[str] | None) -> str:
    return OTHER if known is None else value


class _Family(Collector, Generic[C]):
    """Label sets and their cells. Every method may be called from any thread."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Labels = (),
        *,
        limit: int = 2,
        closed: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self.name = name
        self.documentation = documentation
        self.labels = labels
        self._budget = LabelBudget(labels, limit=limit, closed=closed or {})
        self._cells: dict[Labels, C] = {}
        self._lock = threading.Lock()


class Counter(_Family[int]):
    """Counts; `name` without its suffix `_total`."""

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Count `amount` more for `labels`, given in the order of the family's label names."""
        cells = self._cells
        with self._lock:
            if labels in cells:
                cells[labels] += amount
            else:
                place = self._budget.place(labels, cells)
                cells[place] = cells.get(place, 0) + amount

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self.name, self.documentation, labels=self.labels)
        with self._lock:
            cells = list(self._cells.items())
        for labels, count in cells:
            family.add_metric(labels, count)
        yield family


class Distribution:
    """How many observations fell into each bucket, and their sum; `waiting` are those not yet sorted in."""

    __slots__ = ("counts", "total", "waiting")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total = 0.0
        self.waiting: list[float] = []


class Histogram(_Family[Distribution]):
    """Counts observations up to each of `bounds`, and adds them up.

    They are sorted in by the hundred, which takes a third of doing that one by one.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Labels = (),
        *,
        bounds: Sequence[float],
        limit: int = 2,
        closed: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        super().__init__(name, documentation, labels, limit=limit, closed=closed)
        self._bounds = tuple(bounds)
        self._spelled = (*(str(float(bound)) for bound in bounds), "+Inf")
        if not labels:
            # Shown from the start; with labels there is nothing to show yet.
            self._cells[()] = self._new_cell()

    def observe(self, labels: Labels, value: float) -> None:
        """Count one observation. One below zero, which a stepped clock can make, counts as zero."""
        self.observe_all(labels, (value,))

    def observe_all(self, labels: Labels, values: Sequence[float]) -> None:
        """Count many observations of one label set; none are nothing to show."""
        if not values:
            return
        cell = self._cells.get(labels) or self._cell(labels)
        cell.waiting += values
        if len(cell.waiting) >= MOST_WAITING:
            self._sort_in(cell)

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self.name, self.documentation, labels=self.labels)
        with self._lock:
            cells = list(self._cells.items())
        for labels, cell in cells:
            self._sort_in(cell)
            with self._lock:
                counts, total = cell.counts.copy(), cell.total
            running = 0.0
            buckets = []
            for spelled, count in zip(self._spelled, counts, strict=True):
                running += count
                buckets.append((spelled, running))
            family.add_metric(labels, buckets, sum_value=total)
        yield family

    def _sort_in(self, cell: Distribution) -> None:
        with self._lock:
            # Other threads may add more meanwhile, behind these.
            values = cell.waiting[:]
            del cell.waiting[: len(values)]
            values.sort()
            cell.total += sum(values[bisect_left(values, 0.0) :])
            below = 0
            for bucket, bound in enumerate(self._bounds):
                up_to = bisect_right(values, bound)
                cell.counts[bucket] += up_to - below
                below = up_to
            cell.counts[-1] += len(values) - below

    def _cell(self, labels: Labels) -> Distribution:
        with self._lock:
            return self._cells.setdefault(self._budget.place(labels, self._cells), self._new_cell())

    def _new_cell(self) -> Distribution:
        # One bucket for each bound, and the one for +Inf.
        return Distribution(len(self._bounds) + 1)


def mirrored_gauge(
    name: str,
    documentation: str,
    label: str,
    values: Mapping[str, float],
    *,
    limit: int,
    merge: Callable[[Iterable[float]], float],
) -> Metric:
    """Return a gauge that shows `values` now; all after the first ones are one `__other__`."""
    family = GaugeMetricFamily(name, documentation, labels=(label,))
    left = iter(values.items())
    gathered: dict[str, list[float]] = {}
    for key, value in islice(left, limit - 1):
        # Two names may look alike once they are printable.
        gathered.setdefault(printable(key, longest=LONGEST_LABEL), []).append(value)
    if rest := [value for _, value in left]:
        gathered.setdefault(OTHER, []).extend(rest)
    for key, merged in gathered.items():
        family.add_metric((key,), merge(merged))
    return family
