"""Every hostile scenario, with its size in `make test` and in `make torture`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.torture.edges import (
    blocked,
    canaries,
    clocks,
    crowd,
    fuzz,
    hooks_cases,
    misfits,
    noisy,
    overload,
    restarts,
    series,
    soak,
    stalls,
    tables,
    tree_cases,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    # Findings, and figures for people.
    Outcome = tuple[list[str], dict[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A scenario. `quick` is its size in the test command, `long` in the long run, taken in portions of `portion`."""

    promises: str
    play: Callable[[Path, int, Random], Outcome]
    quick: int
    long: int
    portion: int
    # A layer in C under the daemon.
    needs_compiler: bool = False

    @property
    def name(self) -> str:
        return self.play.__name__

    def run(self, folder: Path, *, size: int, seed: int) -> Outcome:
        """Play it in `folder`, which is made; an AssertionError of the daemon's process is a finding too."""
        folder.mkdir(parents=True)
        try:
            return self.play(folder, size, Random(f"{self.name} {seed}"))
        except AssertionError as error:
            return [f"it could not go on: {error}"], {}


CASES = {
    case.name: case
    for case in (
        Case(promises="G13", play=tree_cases.races, quick=400, long=10_000, portion=2_500),
        Case(promises="G13", play=tree_cases.names, quick=100, long=5_000, portion=1_000),
        Case(promises="G10", play=tree_cases.storms, quick=2_000, long=10_000, portion=5_000),
        Case(promises="G11", play=tree_cases.writers, quick=100, long=1_000, portion=500),
        Case(promises="G12", play=restarts.restarts, quick=1, long=100, portion=25),
        Case(promises="G1", play=hooks_cases.network, quick=200, long=5_000, portion=2_500),
        Case(
            promises="G18", play=hooks_cases.forgeries, quick=10_000, long=100_000, portion=25_000
        ),
        Case(promises="G18", play=hooks_cases.duplicates, quick=100, long=2_000, portion=1_000),
        Case(promises="G16", play=hooks_cases.poison, quick=2_000, long=100_000, portion=25_000),
        Case(promises="G16", play=misfits.misfits, quick=500, long=20_000, portion=10_000),
        Case(
            promises="G17",
            play=stalls.stalls,
            quick=10,
            long=500,
            portion=100,
            needs_compiler=True,
        ),
        Case(promises="G19", play=crowd.crowd, quick=500, long=8_000, portion=2_000),
        Case(promises="G20", play=fuzz.fuzz, quick=3_000, long=1_000_000, portion=50_000),
        Case(promises="G21", play=tables.tables, quick=20, long=100_000, portion=5_000),
        Case(
            promises="G22",
            play=clocks.clocks,
            quick=3,
            long=200,
            portion=50,
            needs_compiler=True,
        ),
        # In seconds.
        Case(promises="G24", play=soak.soak, quick=40, long=3_600, portion=3_600),
        Case(promises="G25", play=overload.overload, quick=1, long=20, portion=5),
        Case(promises="G26", play=noisy.noisy, quick=1, long=20, portion=5),
        # In seconds.
        Case(promises="G27", play=blocked.blocked, quick=2, long=240, portion=60),
        Case(promises="G30", play=canaries.canaries, quick=2, long=20, portion=10),
        Case(promises="G32", play=series.series, quick=20_000, long=1_000_000, portion=1_000_000),
    )
}
