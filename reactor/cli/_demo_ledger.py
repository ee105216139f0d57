"""What the demo reads from the daemon's database, while it runs, is dead, or has ended.

It shares no code with the engine on purpose: the exit code rests on this second opinion.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reactor.clock import from_micros

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

_EVENTS = "SELECT sensor, count(*) FROM event GROUP BY sensor"
_RUNS = "SELECT workflow, coalesce(outcome, state), count(*) FROM run GROUP BY 1, 2"
_DEAD = "SELECT workflow, count(*) FROM dead_letter WHERE workflow <> '' GROUP BY workflow"
_NO_EVENT = "SELECT sensor, count(*) FROM dead_letter WHERE workflow = '' GROUP BY sensor"
# A batch is a run of all events of its sensor from one to another.
_BATCHED = """
FROM run JOIN event AS first ON first.seq = run.event
JOIN event AS inside ON inside.seq BETWEEN run.event AND run.last_event
 AND inside.sensor = first.sensor
WHERE run.last_event IS NOT NULL
"""
_BATCHED_COUNTS = f"SELECT run.workflow, count(*) {_BATCHED} GROUP BY 1"
_BATCHED_IDS = f"SELECT inside.id {_BATCHED} AND run.workflow = ?"
_IDS = "SELECT id FROM event WHERE sensor = ?"
_SKIPPED = "SELECT sensor, count(*) FROM skipped GROUP BY sensor"
_IN_FLIGHT = "SELECT id, workflow FROM run WHERE state IN ('running', 'waiting')"
_FINISHED = """
SELECT run.id, run.workflow, run.outcome,
       CASE WHEN run.last_event IS NULL THEN event.subject END, run.error,
       (SELECT result FROM step WHERE step.run = run.id AND outcome = 'succeeded'
        ORDER BY finished_at DESC LIMIT 1)
FROM run JOIN event ON event.seq = run.event
WHERE run.state = 'finished' AND run.workflow NOT IN (SELECT value FROM json_each(?)) ORDER BY run.finished_at
"""
# A run's own `started_at` is when it was admitted; what people wait for is the first step's begin.
_LATENCIES = """
WITH begin (run, at) AS (
    SELECT run, min(started_at) FROM (
        SELECT run, started_at FROM step WHERE outcome <> 'skipped'
        UNION ALL SELECT run, started_at FROM attempt
    ) GROUP BY run
)
SELECT run.workflow, event.accepted_at - event.time, begin.at - event.accepted_at,
       run.finished_at - begin.at
FROM run JOIN event ON event.seq = run.event JOIN begin ON begin.run = run.id
WHERE run.state = 'finished'
"""
_PARKED = "SELECT workflow, sensor, reason, detail FROM dead_letter ORDER BY id"
_STEPS = "SELECT run, name, outcome, attempt, started_at, finished_at, result, error FROM step"
_TICKS = "SELECT time FROM event WHERE sensor = ?"
_SKIPPED_TICKS = "SELECT at FROM skipped WHERE sensor = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many rows there are; runs by workflow and outcome, or state while they have none."""

    events: dict[str, int] = field(default_factory=dict)
    runs: dict[tuple[str, str], int] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    # By sensor: what could not become an event. By workflow: events that lie in one of its batches.
    parked: dict[str, int] = field(default_factory=dict)
    batched: dict[str, int] = field(default_factory=dict)

    def unfinished(self, *, leave_out: str = "") -> int:
        """Return how many runs have no outcome yet, one workflow left out."""
        return sum(
            count
            for (workflow, state), count in self.runs.items()
            if state in ("pending", "running", "waiting") and workflow != leave_out
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run that ended; `last_result` is the JSON of the step that ended last."""

    id: int
    workflow: str
    outcome: str
    subject: str
    error: str
    last_result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Microseconds from one stage to the next, one of each per finished run.

    `started` is the begin of the first step, so the commit lies between `accepted` and it.
    """

    occurred_to_accepted: list[int] = field(default_factory=list)
    accepted_to_started: list[int] = field(default_factory=list)
    started_to_finished: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A dead letter; `workflow` is empty when what came in could not become an event."""

    workflow: str
    sensor: str
    reason: str
    detail: str


StepKey = tuple[int, str]
StepValue = tuple[object, ...]


class Ledger:
    """Reads `reactor.db`, and cannot write it. Before there is one, everything is empty."""

    def __init__(self, state: Path) -> None:
        self._path = state / "reactor.db"

    def counts(self) -> Counts:
        """Return all counts as of one moment."""
        with self._reading() as database:
            if database is None:
                return Counts()
            database.execute("BEGIN")
            return Counts(
                events=dict(database.execute(_EVENTS).fetchall()),
                runs={(workflow, how): n for workflow, how, n in database.execute(_RUNS)},
                dead_letters=dict(database.execute(_DEAD).fetchall()),
                skipped=dict(database.execute(_SKIPPED).fetchall()),
                parked=dict(database.execute(_NO_EVENT).fetchall()),
                batched=dict(database.execute(_BATCHED_COUNTS).fetchall()),
            )

    def in_flight(self) -> dict[int, str]:
        """Return the workflow of each run that has begun and not ended, by run id."""
        with self._reading() as database:
            return {} if database is None else dict(database.execute(_IN_FLIGHT).fetchall())

    def finished(self, *, leave_out: Sequence[str]) -> list[FinishedRun]:
        """Return the runs that ended, in the order in which they did, some workflows left out."""
        silent = json.dumps([*leave_out])
        with self._reading() as database:
            rows = [] if database is None else database.execute(_FINISHED, (silent,)).fetchall()
        return [
            FinishedRun(
                id=run,
                workflow=workflow,
                outcome=outcome,
                subject=subject or "",
                error=error or "",
                last_result=(result or b"").decode(),
            )
            for run, workflow, outcome, subject, error, result in rows
        ]

    def steps(self) -> dict[StepKey, StepValue]:
        """Return every recorded end of a step."""
        with self._reading() as database:
            rows = [] if database is None else database.execute(_STEPS).fetchall()
        return {(run, name): tuple(rest) for run, name, *rest in rows}

    def latencies(self) -> dict[str, Latencies]:
        """Return the latencies of all finished runs by workflow."""
        found: defaultdict[str, Latencies] = defaultdict(Latencies)
        with self._reading() as database:
            rows = [] if database is None else database.execute(_LATENCIES).fetchall()
        for workflow, accepted, started, finished in rows:
            found[workflow].occurred_to_accepted.append(accepted)
            found[workflow].accepted_to_started.append(started)
            found[workflow].started_to_finished.append(finished)
        return dict(found)

    def dead_letters(self) -> list[Parked]:
        """Return what was parked, the oldest first."""
        with self._reading() as database:
            rows = [] if database is None else database.execute(_PARKED).fetchall()
        return [
            Parked(workflow=workflow, sensor=sensor, reason=reason, detail=detail)
            for workflow, sensor, reason, detail in rows
        ]

    def event_ids(self, sensor: str) -> list[str]:
        """Return the id of every event of a sensor."""
        return self._ids(_IDS, sensor)

    def batched_ids(self, workflow: str) -> list[str]:
        """Return the id of each event once for every batch of a workflow that it lies in."""
        return self._ids(_BATCHED_IDS, workflow)

    def _ids(self, statement: str, about: str) -> list[str]:
        with self._reading() as database:
            rows = [] if database is None else database.execute(statement, (about,)).fetchall()
        return [id_ for (id_,) in rows]

    def ticks(self, sensor: str) -> tuple[list[datetime], list[datetime]]:
        """Return the instants of a timer that became events, and those that were skipped."""
        with self._reading() as database:
            if database is None:
                return [], []
            fired = [from_micros(time) for (time,) in database.execute(_TICKS, (sensor,))]
            skipped = [from_micros(at) for (at,) in database.execute(_SKIPPED_TICKS, (sensor,))]
        return sorted(fired), sorted(skipped)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """Yield a connection, or None before the daemon has made its tables."""
        try:
            database = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None
            )
        except sqlite3.OperationalError:
            if self._path.exists():
                raise
            yield None
            return
        with contextlib.closing(database):
            made = database.execute("PRAGMA user_version").fetchone()[0]
            yield database if made else None
