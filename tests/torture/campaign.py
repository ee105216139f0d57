"""Many rounds under one seed, with a file that tells which are done: an interrupted campaign goes on."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# kill, terminate: how the lives of a daemon end (round.py); age: like kill, but one database sees them all. worker: of
# a daemon whose steps run in processes (worker_round.py). The others: what its disk does (disk_rounds.py), or what
# befalls its Kafka topics (kafka_rounds.py).
Kind = Literal[
    "kill",
    "terminate",
    "age",
    "worker",
    "cut",
    "fail",
    "ail",
    "fill",
    "flood",
    "kafka",
    "slow",
    "poison",
]

LIVES_IN_ROUND = 25
# What an interruption costs at most, where that is not a round of lives.
IN_ROUND: Mapping[Kind, int] = {
    "age": 10_000,
    "cut": 2000,
    "fail": 1,
    "ail": 1,
    "fill": 10,
    "flood": 60,
    "slow": 1,
    "poison": 1,
}
STATE_FILE = "campaign.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One round of a campaign."""

    ending: Kind
    seed: int
    lives: int

    @property
    def name(self) -> str:
        return f"{self.ending}-{self.seed}"

    @property
    def command(self) -> str:
        """What a person types to have the same lives again. Which instruction each death hits stays luck."""
        return (
            f".venv/bin/python -m tests.torture round --seed {self.seed} --lives {self.lives}"
            f" --ending {self.ending}"
        )


class Campaign:
    """Use `Campaign.resume`. Progress is written after each round."""

    def __init__(self, folder: Path, seed: int, sizes: Mapping[Kind, int]) -> None:
        self.seed = seed
        self.figures: Counter[str] = Counter()
        self._folder = folder
        self._sizes = dict(sizes)
        self._done: list[str] = []

    @classmethod
    def resume(cls, folder: Path, *, seed: int | None, sizes: Mapping[Kind, int]) -> Campaign:
        """Return the campaign of these sizes that was interrupted; else, or with a seed of another, a new one."""
        path = folder / STATE_FILE
        known = json.loads(path.read_bytes()) if path.exists() else {}
        if known.get("sizes") == dict(sizes) and seed in (None, known["seed"]):
            campaign = cls(folder, known["seed"], sizes)
            campaign.figures.update(known["figures"])
            campaign._done = known["done"]
            if campaign.lives_done < campaign.lives:
                return campaign
        return cls(folder, secrets.randbelow(1_000_000) if seed is None else seed, sizes)

    @property
    def lives(self) -> int:
        return sum(self._sizes.values())

    @property
    def lives_done(self) -> int:
        return sum(task.lives for task in self._tasks() if task.name in self._done)

    def left(self) -> Iterator[Task]:
        """Yield the rounds that are not done."""
        done = frozenset(self._done)
        return (task for task in self._tasks() if task.name not in done)

    def finish(self, task: Task, figures: Mapping[str, int]) -> None:
        """Note that a round kept every promise."""
        self._done.append(task.name)
        for name, figure in figures.items():
            is_most = name.startswith(("longest", "largest"))
            self.figures[name] = (
                max(self.figures[name], figure) if is_most else self.figures[name] + figure
            )
        state = {
            "seed": self.seed,
            "sizes": self._sizes,
            "done": self._done,
            "figures": self.figures,
        }
        path = self._folder / STATE_FILE
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(state))
        draft.replace(path)

    def folder_of(self, task: Task) -> Path:
        return self._folder / task.name

    def _tasks(self) -> Iterator[Task]:
        for ending, size in self._sizes.items():
            most = IN_ROUND.get(ending, LIVES_IN_ROUND)
            for number, first in enumerate(range(0, size, most)):
                lives = min(most, size - first)
                yield Task(ending=ending, seed=self.seed * 1000 + number, lives=lives)
