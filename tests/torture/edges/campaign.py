"""The long form of every hostile scenario, in portions, with a file that tells which are done."""

from __future__ import annotations

import json
import secrets
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.torture.edges.catalogue import CASES, Case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

__all__ = ["CASES", "Portion", "Progress", "once", "run"]

STATE_FILE = "edges.json"
# What a portion may list; the rest is told by playing it again.
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """A part of a scenario's long form, on a daemon and with a seed of its own."""

    case: Case
    seed: int
    size: int

    @property
    def name(self) -> str:
        return f"{self.case.name}-{self.seed}-{self.size}"

    @property
    def command(self) -> str:
        """What a person types to have the same hostility again; how it races with the daemon stays luck."""
        return (
            f".venv/bin/python -m tests.torture edge {self.case.name}"
            f" --seed {self.seed} --size {self.size}"
        )


class Progress:
    """Which portions are done, under one seed. Kept in a file that is replaced after each."""

    def __init__(self, folder: Path, seed: int | None) -> None:
        path = folder / STATE_FILE
        known = json.loads(path.read_bytes()) if path.exists() else {}
        if not known or (seed is not None and seed != known["seed"]):
            known = {"seed": secrets.randbelow(1_000_000) if seed is None else seed, "done": {}}
        self.seed: int = known["seed"]
        self._path = path
        self._done: dict[str, Mapping[str, int]] = known["done"]

    def left(self, cases: Sequence[Case]) -> list[Portion]:
        """Return what is not done of these; all of it when everything is done: a new campaign with the next seed."""
        left = [portion for portion in self._portions(cases) if portion.name not in self._done]
        if left:
            return left
        self.seed += 1
        self._done = {}
        return [*self._portions(cases)]

    def finish(self, portion: Portion, figures: Mapping[str, int]) -> None:
        """Note that a portion kept every promise."""
        self._done[portion.name] = figures
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps({"seed": self.seed, "done": self._done}))
        draft.replace(self._path)

    def figures(self, case: Case) -> Counter[str]:
        """Return the sum of all that was done for a case; of what is the longest, the longest."""
        total: Counter[str] = Counter()
        for portion in self._portions([case]):
            for name, figure in self._done.get(portion.name, {}).items():
                if name.startswith(("longest", "p99")):
                    total[name] = max(total[name], figure)
                elif name.startswith("lowest"):
                    total[name] = min(total.get(name, figure), figure)
                else:
                    total[name] += figure
        return total

    def _portions(self, cases: Sequence[Case]) -> Iterator[Portion]:
        for case in cases:
            for number, first in enumerate(range(0, case.long, case.portion)):
                size = min(case.portion, case.long - first)
                yield Portion(case=case, seed=self.seed * 1000 + number, size=size)


def run(
    console: Console,
    folder: Path,
    seed: int | None,
    *,
    names: Sequence[str] = (),
    size: int | None = None,
) -> int:
    """Play what is left of the scenarios `names`, or of all. Return 1 at the first portion with findings.

    `size` is taken in place of the long form's, in one portion.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cases = [case for case in CASES.values() if not names or case.name in names]
    if size is not None:
        cases = [replace(case, long=size, portion=size) for case in cases]
    progress = Progress(folder, seed)
    left = progress.left(cases)
    console.print(f"seed {progress.seed}, {len(left)} portions left")
    for portion in left:
        place = folder / portion.name
        findings, figures = _play(portion, place)
        console.print(_spell(portion, findings, figures))
        if findings:
            console.print(f"kept in {place}; again: {portion.command}")
            return _show(console, findings)
        shutil.rmtree(place)
        progress.finish(portion, figures)
    for case in cases:
        figures = progress.figures(case)
        console.print(f"{case.promises} {case.name}: {_spell_figures(figures)}")
    console.print("every promise kept")
    return 0


def once(console: Console, folder: Path, name: str, seed: int, *, size: int) -> int:
    """Play one portion again, and keep its folder."""
    portion = Portion(case=CASES[name], seed=seed, size=size)
    findings, figures = _play(portion, folder / portion.name)
    console.print(_spell(portion, findings, figures))
    return _show(console, findings)


def _play(portion: Portion, place: Path) -> tuple[list[str], dict[str, int]]:
    shutil.rmtree(place, ignore_errors=True)
    return portion.case.run(place, size=portion.size, seed=portion.seed)


def _show(console: Console, findings: Sequence[str]) -> int:
    for finding in findings[:MOST_SHOWN]:
        console.print(finding, markup=False)
    return 1 if findings else 0


def _spell(portion: Portion, findings: Sequence[str], figures: Mapping[str, int]) -> str:
    case = portion.case
    return (
        f"{case.promises} {case.name}, seed {portion.seed}: {len(findings)} findings;"
        f" {_spell_figures(figures)}"
    )


def _spell_figures(figures: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in figures.items())
