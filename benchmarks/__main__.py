"""`python -m benchmarks`: measure, show, and with --write keep the figures in RESULTS.md."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks import machine, report
from benchmarks.catalogue import BENCHMARKS
from benchmarks.figures import MeasurementError, summarise
from benchmarks.plots import write_plots
from benchmarks.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.figures import Result, Scale, Summary

RESULTS = Path(__file__).with_name("RESULTS.md")
PLOTS = Path(__file__).with_name("plots")
DEFAULT_ROUNDS = 3
NARROWEST = 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or 1 when a benchmark could not be measured. A missed goal is shown, not an error."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    options = parser.parse_args(given)
    if options.tiny and options.write:
        parser.error("--tiny measures nothing worth keeping; leave --write out, or --tiny")
    scale: Scale = "tiny" if options.tiny else "quick" if options.quick else "full"
    if options.profile:
        PROFILES[options.profile](scale)
        return 0
    names = _chosen(options.only, everything=options.all)
    progress = Console(stderr=True)
    if machine.disk_is_memory():
        progress.print(
            "Temporary files lie in memory here, where a flush costs nothing: these figures say "
            "nothing of a disk. Set TMPDIR to a directory on one.",
            style="red",
        )
    found, troubles = _measure(names, scale, options.rounds, progress, peers=not options.no_peers)
    _show(found)
    for name, trouble in troubles.items():
        progress.print(f"{name}: {trouble}", style="red")
    if options.write and not troubles:
        _write(found, given, options.rounds)
        progress.print(f"wrote {RESULTS.name}")
    return 1 if troubles else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Reactor on this machine."
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[*BENCHMARKS],
        metavar="NAME",
        help=f"measure only this; may be repeated. One of: {', '.join(BENCHMARKS)}",
    )
    parser.add_argument(
        "--rounds",
        type=_positive,
        default=DEFAULT_ROUNDS,
        metavar="N",
        help=f"how often everything is measured, in turn (default {DEFAULT_ROUNDS})",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="smaller sizes: to look, not to publish")
    size.add_argument("--tiny", action="store_true", help="only to see that everything works")
    parser.add_argument(
        "--all", action="store_true", help="also what takes long: a journal of ten million events"
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="leave out the programs of others (no network)"
    )
    parser.add_argument(
        "--write", action="store_true", help="write benchmarks/RESULTS.md and benchmarks/plots"
    )
    parser.add_argument(
        "--profile", choices=[*PROFILES], help="show where the time goes instead of measuring"
    )
    return parser


def _chosen(only: Sequence[str] | None, *, everything: bool) -> list[str]:
    """Return the names of what is measured, in the order of the catalogue."""
    return [
        name
        for name, benchmark in BENCHMARKS.items()
        if (name in only if only else everything or not benchmark.takes_long)
    ]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return number


def _measure(
    names: Sequence[str], scale: Scale, rounds: int, progress: Console, *, peers: bool
) -> tuple[dict[str, list[Summary]], dict[str, MeasurementError]]:
    """Return the figures by benchmark, and what went wrong. Rounds go over all benchmarks in turn.

    What slows the machine down for a while then meets every side of every comparison, not one of them.
    """
    results: dict[str, list[Result]] = defaultdict(list)
    troubles: dict[str, MeasurementError] = {}
    for number in range(1, rounds + 1):
        for name in names:
            if name in troubles:
                continue
            with progress.status(f"round {number} of {rounds}: {name}"):
                try:
                    results[name].append(BENCHMARKS[name].measure(scale, peers))
                except MeasurementError as error:
                    troubles[name] = error
    return {name: summarise(some) for name, some in results.items() if some}, troubles


def _show(found: Mapping[str, Sequence[Summary]]) -> None:
    console = Console()
    if console.width < NARROWEST:
        # A table that wraps in a log is of no use.
        console = Console(width=NARROWEST)
    for name, summaries in found.items():
        console.print(report.table(name, summaries))
        for note in report.notes(summaries):
            console.print(note, style="red")


def _write(found: Mapping[str, Sequence[Summary]], given: Sequence[str], rounds: int) -> None:
    text = report.markdown(
        found,
        machine=machine.description(),
        day=datetime.now(UTC).date(),
        command=shlex.join(["python", "-m", "benchmarks", *given]),
        rounds=rounds,
        plots=write_plots(found, PLOTS),
    )
    RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
