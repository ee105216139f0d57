"""The figures for people: a table on the terminal, and RESULTS.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.catalogue import BENCHMARKS
from benchmarks.figures import spell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from benchmarks.figures import Summary
    from benchmarks.plots import Plot

COLUMNS = ("figure", "median", "range", "unit", "goal", "")


def table(name: str, summaries: Sequence[Summary]) -> Table:
    """Return one benchmark as a table for a terminal."""
    shown = Table(title=BENCHMARKS[name].title, title_justify="left", title_style="bold")
    for column in COLUMNS:
        shown.add_column(column, justify="right" if column in ("median", "range") else "left")
    for summary in summaries:
        style = "" if summary.is_reached and not summary.missing else "red"
        shown.add_row(*cells(summary), style=style)
    return shown


def cells(summary: Summary) -> tuple[str, ...]:
    """Return one row: what was measured, its median and range, and how it stands to its goal."""
    figure = summary.figure
    if not summary.is_measured:
        return (figure.name, "–", "–", figure.unit, figure.goal, "not measured")
    verdict = "" if not figure.goal else "reached" if summary.is_reached else "MISSED"
    return (
        figure.name,
        spell(summary.median),
        f"{spell(summary.low)} – {spell(summary.high)}",
        figure.unit,
        figure.goal,
        verdict,
    )


def notes(summaries: Sequence[Summary]) -> list[str]:
    """Return a line for each figure that was not measured in every round, with the reason."""
    return [
        f"{summary.figure.name}: not measured{' in every round' if summary.is_measured else ''}, "
        f"{summary.missing}"
        for summary in summaries
        if summary.missing
    ]


def markdown(
    found: Mapping[str, Sequence[Summary]],
    *,
    machine: Mapping[str, str],
    day: date,
    command: str,
    rounds: int,
    plots: Mapping[str, Plot],
) -> str:
    """Return RESULTS.md; `plots` are the pictures that lie beside it, by benchmark."""
    how = (
        f"Measured on {day.isoformat()} with `{command}`: medians and ranges of {rounds} "
        f"round{'s' if rounds > 1 else ''}, in which all that is compared takes turns. What each "
        "figure means is in [docs/performance.md](../docs/performance.md)."
    )
    lines = [
        "# Results",
        "",
        how,
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {text} |" for name, text in machine.items()),
    ]
    for name, summaries in found.items():
        lines += ["", f"## {BENCHMARKS[name].title}", ""]
        if name in plots:
            lines += [f"![{plots[name].title}](plots/{plots[name].file})", ""]
        lines += [_row(COLUMNS), "|---|---:|---:|---|---|---|"]
        lines += [_row(cells(summary)) for summary in summaries]
        lines += [f"\n{note}." for note in notes(summaries)]
    return "\n".join(lines) + "\n"


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(texts) + " |"
