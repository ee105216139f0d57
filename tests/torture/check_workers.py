"""G4, G5 for `executor="process"`: what workers did, those that outlived their daemon or were killed included."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.torture.check_effects import check_effects
from tests.torture.check_intake import check_deliveries
from tests.torture.check_runs import check_deaths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.torture.evidence import Evidence
    from tests.torture.journal import Line

# A line of the log of effects: the driver killed this worker.
KILLED = "killed"
PROCESS_STEPS = ("crunch", "polish")


def check_workers(evidence: Evidence, lines: Sequence[Line]) -> list[str]:
    """Return all findings; `lines` is the log of effects, whole."""
    called = {(effect.run, effect.step, effect.attempt) for effect in evidence.effects}
    # A worker was killed before it had an effect: it had its order, or was about to get it.
    unseen = frozenset(evidence.attempts.keys() - called)
    return [
        *evidence.failures,
        *check_deliveries(evidence),
        *check_deaths(evidence),
        *check_effects(replace(evidence, unseen=unseen)),
        *_check_runs(evidence),
        *_check_survivors(evidence.deaths, lines),
        *_check_calls(evidence, lines),
    ]


def _check_runs(evidence: Evidence) -> Iterable[str]:
    fired = Counter(run.event for run in evidence.runs if run.workflow == "job")
    for event in evidence.by_sensor("orders"):
        if fired[event.seq] != 1:
            yield f"G3: event {event.seq} has {fired[event.seq]} runs of job"
    for run in evidence.runs:
        if run.outcome != "succeeded":
            yield f"G1: run {run.id} of {run.workflow} is {run.outcome or run.state} at the end"


def _check_survivors(deaths: Sequence[Line], lines: Sequence[Line]) -> Iterable[str]:
    """After its daemon's death a worker does no more than to end one call."""
    died_at = {death["daemon"]: death["at"] for death in deaths}
    after: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for line in lines:
        if "at" in line and "worker" in line and line["at"] > died_at[line["daemon"]]:
            after[line["daemon"], line["worker"]].add(line.get("ended") or line["token"])
    for (daemon, worker), calls in after.items():
        if len(calls) > 1:
            yield f"G5: worker {worker} made {len(calls)} calls after the death of its daemon {daemon}"


def _check_calls(evidence: Evidence, lines: Sequence[Line]) -> Iterable[str]:
    kills = sum(KILLED in line for line in lines)
    if len(evidence.attempts) > kills:
        yield f"G4: {len(evidence.attempts)} attempts failed; {kills} workers were killed"
    for line in lines:
        if line.get("step") in PROCESS_STEPS and str(line["worker"]) == line["daemon"]:
            yield f"G4: {line['step']} of run {line['run']} was called in the daemon itself"
