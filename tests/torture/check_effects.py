"""G4, G5: the effect log against the result rows and the deaths."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.torture.evidence import Effect, Evidence

    Execution = tuple[int, str]

# What each step of a victim waits for; a step that is not here waits for nothing.
UPSTREAM = {
    ("order", "left"): ("take",),
    ("order", "right"): ("take",),
    ("order", "join"): ("left", "right"),
    ("arrival", "report"): ("read",),
    ("job", "polish"): ("crunch",),
    ("job", "close"): ("polish",),
}


def check_effects(evidence: Evidence) -> Iterable[str]:
    """Return each execution that should not have been, or was not what its result row says."""
    executions: defaultdict[Execution, list[Effect]] = defaultdict(list)
    for effect in evidence.effects:
        executions[effect.run, effect.step].append(effect)
    durable_at = _durable_at(evidence)
    keys: dict[str, Execution] = {}
    for execution, effects in executions.items():
        for key in {effect.key for effect in effects}:
            if keys.setdefault(key, execution) != execution:
                yield f"G5: {_name(execution)} and {_name(keys[key])} have one idempotency key"
        if len({effect.key for effect in effects}) > 1:
            yield f"G5: {_name(execution)} was called with several idempotency keys"
        yield from _check_repeats(execution, effects, evidence, durable_at)
        yield from _check_end(execution, effects, evidence)
    for execution, row in evidence.steps.items():
        if row.attempt and execution not in executions:
            yield f"G4: {_name(execution)} has a result and was never called"
    yield from _check_upstream(executions, evidence)
    yield from _check_events(evidence)
    yield from _check_keys(evidence)


def _durable_at(evidence: Evidence) -> dict[Execution, int]:
    """Return for each step the life after which its result was found durable."""
    found: dict[Execution, int] = {}
    for life, death in enumerate(evidence.deaths):
        for key in death["new"].get("steps", ()):
            run, _, step = key.partition(" ")
            found[int(run), step] = life
    return found


def _check_repeats(
    execution: Execution,
    effects: Sequence[Effect],
    evidence: Evidence,
    durable_at: Mapping[Execution, int],
) -> Iterable[str]:
    name = _name(execution)
    if effects[0].attempt != _next_attempt(execution, 0, evidence):
        yield f"G5: {name} began with attempt {effects[0].attempt}"
    for before, after in pairwise(effects):
        if durable_at.get(execution, after.life) < after.life:
            yield f"G4: {name} was called in life {after.life}, its result was durable before"
        if after.attempt == _next_attempt(execution, before.attempt, evidence):
            if (*execution, before.attempt) not in evidence.attempts:
                yield f"G4: {name} was tried again, and attempt {before.attempt} is not recorded"
        elif after.attempt != before.attempt:
            yield f"G5: {name}: attempt {after.attempt} followed {before.attempt}"
        elif after.life == before.life:
            yield f"G4: {name} was called twice in life {after.life}, without a death in between"
        elif before.run not in _in_flight(evidence, before.life):
            yield f"G5: {name} was called again, and was not in flight at the death of life {before.life}"


def _next_attempt(execution: Execution, attempt: int, evidence: Evidence) -> int:
    """Return the attempt after `attempt` that can have had an effect."""
    attempt += 1
    while (*execution, attempt) in evidence.unseen:
        attempt += 1
    return attempt


def _in_flight(evidence: Evidence, life: int) -> set[int]:
    # An orderly end puts back what it could not finish, so nothing is in flight there.
    return set(evidence.deaths[life]["in_flight"])


def _check_end(
    execution: Execution, effects: Sequence[Effect], evidence: Evidence
) -> Iterable[str]:
    name = _name(execution)
    row = evidence.steps.get(execution)
    last = effects[-1]
    if row is None:
        yield f"G4: {name} was called, and its result is not recorded"
    elif row.attempt != last.attempt or row.outcome != "succeeded":
        yield f"G4: {name} ended with attempt {last.attempt}; recorded is {row.outcome}, {row.attempt}"
    elif row.result != last.token:
        yield f"G4: {name} returned {last.token} and {row.result} is recorded"


def _check_upstream(
    executions: Mapping[Execution, Sequence[Effect]], evidence: Evidence
) -> Iterable[str]:
    for (run, step), effects in executions.items():
        for upstream in UPSTREAM.get((effects[0].workflow, step), ()):
            earlier = executions.get((run, upstream))
            if earlier is None or earlier[-1].place > effects[0].place:
                yield f"G4: {upstream} of run {run} was called after {step}, which waits for its result"
            row = evidence.steps.get((run, upstream))
            if any(effect.got.get(upstream) != (row and row.result) for effect in effects):
                yield f"G4: {step} of run {run} got another result of {upstream} than is recorded"


def _check_events(evidence: Evidence) -> Iterable[str]:
    """G3: each execution was given the events that its run is for, in the order of acceptance."""
    runs = {run.id: run for run in evidence.runs}
    events = [(event.seq, event.sensor, event.id) for event in evidence.events]
    single = {seq: event_id for seq, _, event_id in events}
    for effect in evidence.effects:
        run = runs.get(effect.run)
        if run is None:
            yield f"G3: step {effect.step} was called for run {effect.run}, which is not there"
            continue
        if run.last_event is None:
            wanted = [single.get(run.event, "")]
        else:
            wanted = [
                event_id
                for seq, sensor, event_id in events
                if sensor == "orders" and run.event <= seq <= run.last_event
            ]
        if effect.events != wanted:
            yield f"G3: run {run.id} is for {wanted}, and {effect.step} was given {effect.events}"


def _check_keys(evidence: Evidence) -> Iterable[str]:
    """Runs of one key go one at a time and in order: none begins before the one before it has made its last call."""
    parked = {run for run, _ in evidence.dead_letters}
    keys = {run.id: run.key for run in evidence.runs}
    latest: dict[str | None, int] = {}
    for effect in evidence.effects:
        # A run that was parked went on when it was redriven, behind others of its key.
        if effect.workflow != "keyed" or effect.run in parked:
            continue
        key = keys.get(effect.run)
        if effect.run < latest.get(key, 0):
            yield f"key order: run {effect.run} of key {key} was called after {latest[key]}"
        latest[key] = effect.run


def _name(execution: Execution) -> str:
    return f"step {execution[1]} of run {execution[0]}"
