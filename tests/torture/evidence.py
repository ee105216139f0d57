"""All that is known about a round after its end: the final database, and the logs that were kept outside the victim.

Nothing here or in the checker comes from the engine; ids, tables and rules are read a second time, on purpose.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.torture.deaths import reading
from tests.torture.journal import read_lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.journal import Line

EFFECTS = "effects.jsonl"
DELIVERIES = "deliveries.jsonl"
FILES = "files.jsonl"
END = "end.json"
STATE = "state"

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH = datetime.fromtimestamp(0, UTC)


class EventRow(NamedTuple):
    seq: int
    sensor: str
    id: str
    time: int
    accepted_at: int
    data: Any


class RunRow(NamedTuple):
    id: int
    workflow: str
    event: int
    last_event: int | None
    key: str | None
    state: str
    outcome: str | None
    created_at: int


class StepRow(NamedTuple):
    run: int
    name: str
    outcome: str
    attempt: int
    result: Any


class Effect(NamedTuple):
    """One execution of a step. `life` counts the lives of the daemon, from 0; `place` is its line in the log."""

    place: int
    life: int
    run: int
    workflow: str
    step: str
    attempt: int
    key: str
    events: list[str]
    got: dict[str, str]
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Rows of the final database, effects in order, and what was seen between the lives. Instants are microseconds.

    `until` is an instant before the last life was told to end; `failures` is what the driver itself saw go wrong;
    `unseen` are attempts that failed before their step could have an effect.
    """

    events: list[EventRow]
    runs: list[RunRow]
    steps: dict[tuple[int, str], StepRow]
    attempts: dict[tuple[int, str, int], str]
    skips: list[tuple[str, str, str]]
    dead_letters: list[tuple[int | None, str]]
    effects: list[Effect]
    deaths: list[Line]
    deliveries: list[Line]
    files: list[Line]
    until: int
    failures: list[str] = field(default_factory=list)
    unseen: frozenset[tuple[int, str, int]] = frozenset()

    def by_sensor(self, sensor: str) -> list[EventRow]:
        return [event for event in self.events if event.sensor == sensor]


def load_evidence(folder: Path) -> Evidence:
    """Return the evidence of a round that has ended."""
    end = json.loads((folder / END).read_bytes())
    effects, deaths = _effects(folder / EFFECTS)
    with reading(folder / STATE) as database:
        database.execute("BEGIN")
        return Evidence(
            events=[
                EventRow(seq, sensor, event, time, accepted_at, json.loads(data))
                for seq, sensor, event, time, accepted_at, data in database.execute(
                    "SELECT seq, sensor, id, time, accepted_at, data FROM event ORDER BY seq"
                )
            ],
            runs=[
                RunRow(*row)
                for row in database.execute(
                    "SELECT id, workflow, event, last_event, key, state, outcome, created_at FROM run ORDER BY id"
                )
            ],
            steps={
                (run, name): StepRow(run, name, outcome, attempt, json.loads(result or b"null"))
                for run, name, outcome, attempt, result in database.execute(
                    "SELECT run, name, outcome, attempt, result FROM step"
                )
            },
            attempts={
                (run, step, attempt): outcome
                for run, step, attempt, outcome in database.execute(
                    "SELECT run, step, attempt, outcome FROM attempt"
                )
            },
            skips=database.execute("SELECT sensor, occurrence, reason FROM skipped").fetchall(),
            dead_letters=database.execute("SELECT run, reason FROM dead_letter").fetchall(),
            effects=effects,
            deaths=deaths,
            deliveries=read_lines(folder / DELIVERIES),
            files=read_lines(folder / FILES),
            until=end["until"],
            failures=end["failures"],
        )


def number_of(spelled: str) -> int:
    """Return the integer of an id as people see it: 13 digits of Crockford's base 32."""
    number = 0
    for character in spelled:
        number = number * 32 + _ALPHABET.index(character)
    return number


def micros_of(text: str) -> int:
    """Return an instant in ISO 8601 as microseconds since 1970."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def _effects(path: Path) -> tuple[list[Effect], list[Line]]:
    """Return the executions, life by life, and the deaths that lie between the lives."""
    effects: list[Effect] = []
    deaths: list[Line] = []
    lines = read_lines(path)
    # What a worker process does may come after the death of its daemon, and belongs to that daemon's life.
    lives = {
        death.get("daemon"): life
        for life, death in enumerate(line for line in lines if "death" in line)
    }
    for place, line in enumerate(lines):
        if "death" in line:
            deaths.append(line)
        elif "run" in line:
            life = lives[line["daemon"]] if "daemon" in line else len(deaths)
            rest = {name: line[name] for name in Effect._fields if name in line}
            effects.append(
                Effect(**{**rest, "place": place, "life": life, "run": number_of(line["run"])})
            )
    return sorted(effects, key=lambda effect: effect.life), deaths
