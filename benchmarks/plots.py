"""The figures as pictures: one bar per side with the range of its rounds, SVG that suits a light page and a dark one.

An SVG of fifty elements needs no library, and its text stays text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from xml.sax.saxutils import escape

from benchmarks import files, journal, kafka, many_files, runs, webhooks, workflows
from benchmarks.figures import spell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.figures import Figure, Summary

# Whose bar it is: Reactor's, that of the least which the work could cost, or that of a program of others.
Kind = Literal["reactor", "bound", "peer"]

WIDTH, LABELS, MARGIN = 760, 250, 16
HEAD, ROW, BAR, FOOT = 58, 34, 18, 46
PLOT_WIDTH = WIDTH - LABELS - MARGIN - 74
# Sides that differ by more than this would be a bar and nothing beside it.
LINEAR_UP_TO = 30
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.small { font-size: 11px; fill: #59636e }
.grid { stroke: #d1d9e0 }
.reactor { fill: #0969da } .bound { fill: #9aa4af } .peer { fill: #d4843a }
.range { stroke: #24292f; stroke-width: 1.5; fill: none }
.goal { stroke: #cf222e; stroke-width: 2; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d }
  .reactor { fill: #4493f8 } .bound { fill: #6e7781 } .peer { fill: #db8b4a }
  .range { stroke: #e6edf3 } .goal { stroke: #ff7b72 }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a plot."""

    figure: Figure
    label: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A picture of some figures of one benchmark, all of the same unit."""

    name: str
    benchmark: str
    title: str
    bars: tuple[Bar, ...]

    @property
    def file(self) -> str:
        return f"{self.name}.svg"


def _plot(name: str, benchmark: str, title: str, *bars: tuple[Figure, str, Kind]) -> Plot:
    rows = tuple(Bar(figure=figure, label=label, kind=kind) for figure, label, kind in bars)
    return Plot(name=name, benchmark=benchmark, title=title, bars=rows)


PLOTS = (
    _plot(
        *("runs", "runs", "Durable runs of 3 steps per second, 256 in flight"),
        (runs.BARE_RATE, "bare loop (bound)", "bound"),
        (runs.RATE, "Reactor", "reactor"),
        (runs.DBOS_RATES["wal"], "DBOS on SQLite, WAL mode", "peer"),
        (runs.DBOS_RATES["delete"], "DBOS on SQLite", "peer"),
        (runs.PREFECT_RATE, "Prefect, 8 in flight", "peer"),
    ),
    _plot(
        *("alone", "alone", "One run of 3 steps alone, milliseconds until durable (median)"),
        (runs.BARE_ALONE, "bare loop (bound)", "bound"),
        (runs.ALONE_P50, "Reactor", "reactor"),
        (runs.DBOS_ALONE["wal"], "DBOS on SQLite, WAL mode", "peer"),
        (runs.DBOS_ALONE["delete"], "DBOS on SQLite", "peer"),
        (runs.PREFECT_ALONE, "Prefect", "peer"),
    ),
    _plot(
        *("files", "files", "File renamed to first line of code, milliseconds (median)"),
        (files.RAW, "inotify, blocking read", "bound"),
        (files.KEPT, "inotify, 28 KB durable (bound)", "bound"),
        (files.P50, "Reactor, event durable before", "reactor"),
        (files.WATCHFILES[1], "watchfiles, step of 1 ms", "peer"),
        (files.WATCHFILES[50], "watchfiles", "peer"),
    ),
    _plot(
        *("many-files", "many-files", "2,000 files at once, milliseconds until the last"),
        (many_files.RAW, "inotify, heard of (bound)", "bound"),
        (many_files.REACTOR, "Reactor, durable and handled", "reactor"),
        (many_files.WATCHFILES, "watchfiles, heard of", "peer"),
    ),
    _plot(
        *("webhooks", "webhooks", "Webhooks answered per second once durable, 32 connections"),
        (webhooks.BARE_RATE, "raw ASGI, one row (bound)", "bound"),
        (webhooks.RATE, "Reactor, signed, with its run", "reactor"),
        (webhooks.RUN_RATE, "Reactor, and the run executed", "reactor"),
        (webhooks.STARLETTE, "Starlette, one row", "peer"),
    ),
    _plot(
        *("kafka", "kafka", "Kafka records per second, 4 partitions"),
        (kafka.RAW, "aiokafka, nothing kept (bound)", "bound"),
        (kafka.BATCHED, "Reactor, batches of 500", "reactor"),
        (kafka.EACH, "Reactor, a durable step each", "reactor"),
        (kafka.FASTSTREAM, "FastStream, nothing kept", "peer"),
    ),
    _plot(
        *("journal", "journal", "Cost per event over a long journal, beside one of 10,000 events"),
        (journal.RATIO, "256 in flight, ×", "reactor"),
        (journal.ALONE_RATIO, "one run alone, ×", "reactor"),
    ),
    _plot(
        *("journal-huge", "journal-huge", "Cost per event over 10 million, beside 10,000"),
        (journal.RATIO, "256 in flight, ×", "reactor"),
        (journal.ALONE_RATIO, "one run alone, ×", "reactor"),
    ),
    _plot(
        *("workflows", "workflows", "Cost per event with 1,000 workflows, beside ten"),
        (workflows.TOGETHER, "256 in flight, ×", "reactor"),
        (workflows.ALONE, "one run alone, ×", "reactor"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """From a value to a place: linear from 0 in steps of `step`, or by decades from `low`."""

    low: float
    high: float
    step: float
    is_log: bool

    def at(self, value: float) -> float:
        """Return how far to the right `value` lies; what is below the axis lies at its start."""
        if not self.is_log:
            share = value / self.high
        elif value <= self.low:
            share = 0.0
        else:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        return LABELS + PLOT_WIDTH * share

    def ticks(self) -> list[float]:
        """Return the values to be marked."""
        if self.is_log:
            decades = round(math.log10(self.high / self.low))
            return [self.low * 10.0**decade for decade in range(decades + 1)]
        return [self.step * number for number in range(round(self.high / self.step) + 1)]


def axis_for(values: Sequence[float]) -> Axis:
    """Return an axis that shows all of them: by decades where they differ by more than LINEAR_UP_TO times."""
    least, most = min(values), max(values)
    if least > 0 and most / least > LINEAR_UP_TO:
        # One value that is a whole decade still has a bar.
        low = 10.0 ** (math.ceil(math.log10(least)) - 1)
        return Axis(low=low, high=10.0 ** math.ceil(math.log10(most)), step=10, is_log=True)
    step = _nice(most / 5) if most > 0 else 1.0
    return Axis(low=0.0, high=max(1, math.ceil(most / step)) * step, step=step, is_log=False)


def _nice(value: float) -> float:
    """Return the next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= value * (1 - 1e-9)
    )


def write_plots(found: Mapping[str, Sequence[Summary]], directory: Path) -> dict[str, Plot]:
    """Write a picture for each benchmark that has one and was measured; return them by benchmark."""
    directory.mkdir(exist_ok=True)
    written = {}
    for plot in PLOTS:
        by_figure = {summary.figure: summary for summary in found.get(plot.benchmark, ())}
        rows = [(bar, by_figure[bar.figure]) for bar in plot.bars if bar.figure in by_figure]
        if any(summary.is_measured for _, summary in rows):
            (directory / plot.file).write_text(draw(plot, rows), encoding="utf-8")
            written[plot.benchmark] = plot
    return written


def draw(plot: Plot, rows: Sequence[tuple[Bar, Summary]]) -> str:
    """Return the SVG. A side that was not measured keeps its row and says so; one at least was."""
    values = [value for _, summary in rows if summary.is_measured for value in _values(summary)]
    axis = axis_for(values)
    height = HEAD + ROW * len(rows) + FOOT
    unit = rows[0][1].figure.unit
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img" aria-label="{escape(plot.title)}">'
        ),
        f"<style>{_STYLE}</style>",
        _text(MARGIN, 24, plot.title, "title"),
        *_grid(axis, HEAD + ROW * len(rows)),
    ]
    for number, (bar, summary) in enumerate(rows):
        lines += _row(bar, summary, axis, HEAD + ROW * number + ROW // 2)
    lines += [_text(MARGIN, height - 10, _legend(unit, axis, rows), "small"), "</svg>"]
    return "\n".join(lines) + "\n"


def _values(summary: Summary) -> list[float]:
    figure = summary.figure
    goals = [goal for goal in (figure.at_least, figure.at_most) if goal is not None]
    return [summary.low, summary.median, summary.high, *goals]


def _legend(unit: str, axis: Axis, rows: Sequence[tuple[Bar, Summary]]) -> str:
    parts = [f"{unit}: bar, median of the rounds; line, their range"]
    if any(summary.figure.goal for _, summary in rows):
        parts.append("dashed, goal")
    if axis.is_log:
        parts.append("each line of the grid is ten times the one before")
    return "; ".join(parts)


def _grid(axis: Axis, bottom: int) -> list[str]:
    lines = []
    for tick in axis.ticks():
        x = axis.at(tick)
        lines.append(f'<path class="grid" d="M{x:.1f} {HEAD - 8}V{bottom}"/>')
        lines.append(_text(x, bottom + 16, _tick(tick), "small", anchor="middle"))
    return lines


def _row(bar: Bar, summary: Summary, axis: Axis, middle: int) -> list[str]:
    lines = [_text(LABELS - 10, middle + 4, bar.label, anchor="end")]
    if not summary.is_measured:
        return [*lines, _text(LABELS + 6, middle + 4, "not measured", "small")]
    low, median, high = (axis.at(v) for v in (summary.low, summary.median, summary.high))
    top = middle - BAR // 2
    lines += [
        (
            f'<rect class="{bar.kind}" x="{LABELS}" y="{top}" width="{median - LABELS:.1f}" '
            f'height="{BAR}" rx="2"/>'
        ),
        (
            f'<path class="range" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 5}v10'
            f'M{high:.1f} {middle - 5}v10"/>'
        ),
    ]
    right = high
    figure = summary.figure
    for goal in (figure.at_least, figure.at_most):
        if goal is not None:
            at = axis.at(goal)
            lines.append(f'<path class="goal" d="M{at:.1f} {top - 5}v{BAR + 10}"/>')
            # A number that would be crossed by the goal stands behind it.
            if right <= at <= right + 62:
                right = at
    lines.append(_text(right + 8, middle + 4, spell(summary.median)))
    return lines


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def _text(x: float, y: float, text: str, style: str = "", *, anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'
