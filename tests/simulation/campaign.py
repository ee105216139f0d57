"""Seed after seed, with a file that tells how far it came; a seed that fails is minimised, and can be repeated."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.minimise import minimise
from tests.simulation.plan import PLAN, draw_plan, draw_storm
from tests.simulation.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.simulation.plan import Plan

STATE_FILE = "simulation.json"
# Progress is written after so many seeds.
CHUNK = 100
# Happenings that cancel, in one simulation of a storm.
STORMS = 120


@dataclass(slots=True)
class Campaign:
    """How far it is: seeds `first` to `first + done`, and cancellations, each seed's plan first and then its storm."""

    folder: Path
    first: int
    seeds: int
    cancels: int
    done: int = 0
    storms_done: int = 0
    figures: Counter[str] = field(default_factory=Counter)

    @classmethod
    def resume(cls, folder: Path, *, seed: int | None, seeds: int, cancels: int) -> Campaign:
        """Return the campaign of this size that was interrupted; else, or with another seed, a new one."""
        path = folder / STATE_FILE
        if path.exists():
            kept = json.loads(path.read_bytes())
            figures = Counter(kept.pop("figures"))
            known = cls(folder=folder, figures=figures, **kept)
            is_same = (known.seeds, known.cancels) == (seeds, cancels)
            if is_same and seed in (None, known.first) and not known.is_done:
                return known
        first = secrets.randbelow(1_000_000) * 1000 if seed is None else seed
        return cls(folder=folder, first=first, seeds=seeds, cancels=cancels)

    @property
    def is_done(self) -> bool:
        return self.done >= self.seeds and self.figures["storm cancels"] >= self.cancels

    def run(self, tell: Callable[[str], None]) -> list[str]:
        """Do what is left; return the findings of the first seed that has any, with how to repeat it."""
        while not self.is_done:
            is_storm = self.done >= self.seeds
            number = self.first + (self.storms_done if is_storm else self.done)
            plan = draw_storm(number, storms=STORMS) if is_storm else draw_plan(number)
            outcome = simulate(plan)
            if outcome.findings:
                return self._tell_of(plan, number, is_storm=is_storm, findings=outcome.findings)
            self.figures.update(outcome.figures)
            if is_storm:
                self.figures["storm cancels"] += outcome.figures["cancels"]
                self.storms_done += 1
            else:
                self.done += 1
            if (self.done + self.storms_done) % CHUNK == 0 or self.is_done:
                self.write()
                tell(f"{self.done} seeds, {self.figures['storm cancels']} cancels of storms")
        return []

    def _tell_of(
        self, plan: Plan, number: int, *, is_storm: bool, findings: list[str]
    ) -> list[str]:
        self.write()
        path = self.folder / f"{'storm' if is_storm else 'plan'}-{number}.json"
        path.write_bytes(PLAN.dump_json(minimise(plan), indent=1))
        return [*findings, repeat_command(number, is_storm=is_storm), f"minimised: {path}"]

    def write(self) -> None:
        """Keep how far it is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "first": self.first,
            "seeds": self.seeds,
            "cancels": self.cancels,
            "done": self.done,
            "storms_done": self.storms_done,
            "figures": self.figures,
        }
        draft = self.folder / f"{STATE_FILE}.new"
        draft.write_text(json.dumps(state))
        draft.replace(self.folder / STATE_FILE)


def repeat_command(seed: int, *, is_storm: bool = False) -> str:
    """Return what a person types to see a seed's simulation again, step by step."""
    return f".venv/bin/python -m tests.simulation again {seed}{' --storm' if is_storm else ''}"
