"""Judges a simulation by its rows and by what the world saw. It shares no code with the engine.

It asks what tests/torture/checker.py asks of a real daemon: nothing acknowledged is lost, one run for each event and
matching workflow, no completed step again, every repetition explained by a death or a recorded failure, one idempotency
key for each step, runs of a key in order, sums that agree.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.simulation.world import matches, number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.simulation.plan import WorkflowPlan
    from tests.simulation.world import Effect, Source, World

DEATHS_OF_A_DEAD_RUN = 3


def check(world: World) -> list[str]:
    """Return every promise that was broken, in words."""
    findings: list[str] = []
    for look in (_check_sources, _check_runs, _check_batches, _check_ends, _check_effects):
        findings += look(world)
    for look in (_check_keys, _check_references, _check_sums, _check_parked):
        findings += look(world)
    return findings


def _check_sources(world: World) -> Iterable[str]:
    """G1: what was acknowledged is there, as what it is; nothing is there that no source ever held."""
    names = Counter(name for (name,) in world.disk.rows("SELECT id FROM event"))
    events = names.keys()
    rejected = [
        name for (name,) in world.disk.rows("SELECT event_id FROM dead_letter WHERE event IS NULL")
    ]
    skipped = {name for (name,) in world.disk.rows("SELECT occurrence FROM skipped")}
    wanted: dict[str, set[str]] = {"event": set(), "dead letter": set(), "skip": set()}
    for source in world.sources.values():
        if not source.is_done:
            yield f"stuck: {source.plan.name} has {len(source.acknowledged)} of {source.plan.count} acknowledged"
        for number in range(source.plan.count):
            kind = (
                "dead letter"
                if source.is_garbage(number)
                else "skip"
                if source.is_skipped(number)
                else "event"
            )
            wanted[kind].add(source.id_of(number))
    for kind, found in (("event", events), ("dead letter", set(rejected)), ("skip", skipped)):
        for name in sorted(wanted[kind] - found):
            yield f"G1: {name} has no {kind}"
        for name in sorted(found - wanted[kind]):
            yield f"G3: there is a {kind} of {name}, which is none"
    for what, counts in (("taken for an event", names), ("parked", Counter(rejected))):
        for name, count in counts.items():
            if count > 1:
                yield f"G3: {name} was {what} {count} times"


def _events(world: World) -> dict[int, tuple[Source, int]]:
    """Return where each event comes from: its source and its number there."""
    rows = world.disk.rows("SELECT seq, sensor, data FROM event ORDER BY seq")
    return {seq: (world.sources[sensor], json.loads(data)["n"]) for seq, sensor, data in rows}


def _verdicts(world: World, workflow: WorkflowPlan, source: Source, number: int) -> set[str]:
    """Return what the workflow may have made of a message, by which definitions were loaded while it was offered."""
    if source.plan.name not in workflow.sensors:
        return {"refuses"}
    verdicts = set()
    for first, last in source.offered[number]:
        for loaded in world.loaded[first : last + 1]:
            verdicts.add(matches(workflow, number) if workflow.name in loaded else "refuses")
    return verdicts


def _check_runs(world: World) -> Iterable[str]:
    """G3: one run for each event and matching workflow; a letter where its predicate raised."""
    runs = Counter(world.disk.rows("SELECT event, workflow FROM run WHERE last_event IS NULL"))
    letters = Counter(
        world.disk.rows(
            "SELECT event, workflow FROM dead_letter WHERE run IS NULL AND event IS NOT NULL"
        )
    )
    singles = [plan for plan in world.plan.workflows if plan.batch_size is None]
    for seq, (source, number) in _events(world).items():
        for workflow in world.plan.workflows:
            verdicts = _verdicts(world, workflow, source, number)
            found = letters.pop((seq, workflow.name), 0)
            if (
                found > 1
                or ("chokes" not in verdicts and found)
                or (verdicts == {"chokes"} and not found)
            ):
                yield f"G3: event {source.id_of(number)} has {found} letters of {workflow.name}; it {verdicts}"
        for workflow in singles:
            verdicts = _verdicts(world, workflow, source, number)
            found = runs.pop((seq, workflow.name), 0)
            if (
                found > 1
                or ("fires" not in verdicts and found)
                or (verdicts == {"fires"} and not found)
            ):
                yield f"G3: event {source.id_of(number)} has {found} runs of {workflow.name}; it {verdicts}"
    for (seq, name), count in (runs + letters).items():
        yield f"G3: {count} runs or letters of {name} for event {seq}, which is not there"


def _check_batches(world: World) -> Iterable[str]:
    """G3: each event of a workflow that gathers is in one batch, and no batch is larger than it may be."""
    events = _events(world)
    for workflow in world.plan.workflows:
        if workflow.batch_size is None:
            continue
        batches = world.disk.rows(
            "SELECT id, event, last_event FROM run WHERE workflow = ? ORDER BY id", workflow.name
        )
        members: Counter[int] = Counter()
        gathered = {
            seq
            for seq, decisions in world.disk.rows("SELECT seq, decisions FROM event")
            if any(row[:2] == [workflow.name, "gathered"] for row in json.loads(decisions))
        }
        for run, first, last in batches:
            inside = [seq for seq in gathered if first <= seq <= last]
            members.update(inside)
            if not 1 <= len(inside) <= workflow.batch_size:
                yield f"G3: batch {run} of {workflow.name} holds {len(inside)} events of at most {workflow.batch_size}"
        for seq, (source, number) in events.items():
            verdicts = _verdicts(world, workflow, source, number)
            name = source.id_of(number)
            if (seq in gathered and "fires" not in verdicts) or (
                seq not in gathered and verdicts == {"fires"}
            ):
                yield f"G3: event {name} was gathered for {workflow.name}: {seq in gathered}; it {verdicts}"
            if seq in gathered and members[seq] != 1:
                yield f"G3: event {name} is in {members[seq]} batches of {workflow.name}"


def _check_ends(world: World) -> Iterable[str]:
    """Every run has an end, every step of it has one, and they agree."""
    plans = {plan.name: plan for plan in world.plan.workflows}
    steps: defaultdict[int, dict[str, tuple[str, Any]]] = defaultdict(dict)
    for run, name, outcome, result in world.disk.rows(
        "SELECT run, name, outcome, result FROM step"
    ):
        steps[run][name] = (outcome, result)
    for run, workflow, state, outcome in world.disk.rows(
        "SELECT id, workflow, state, outcome FROM run"
    ):
        if state != "finished":
            yield f"stuck: run {run} of {workflow} is {state} at the end"
            continue
        ends = steps[run]
        missing = {step.name for step in plans[workflow].steps} - ends.keys()
        if missing:
            yield f"G4: run {run} of {workflow} is {outcome}, and {sorted(missing)} have no end"
        is_good = all(end == "succeeded" for end, _ in ends.values())
        if is_good != (outcome == "succeeded"):
            yield f"G4: run {run} of {workflow} is {outcome}, its steps are {ends}"
        yield from _check_skipped(plans[workflow], run, ends)


def _check_skipped(
    plan: WorkflowPlan, run: int, ends: Mapping[str, tuple[str, Any]]
) -> Iterable[str]:
    for step in plan.steps:
        outcome = ends.get(step.name, ("", None))[0]
        upstream = {ends.get(name, ("", None))[0] for name in (*step.takes, *step.after)}
        if (outcome == "skipped") != bool(upstream - {"succeeded"}):
            yield f"G4: step {step.name} of run {run} is {outcome} behind {sorted(upstream)}"


def _check_effects(world: World) -> Iterable[str]:
    calls: defaultdict[tuple[int, str], list[Effect]] = defaultdict(list)
    for effect in world.effects:
        calls[number_of(effect.run), effect.step].append(effect)
    rows = {
        (run, name): (outcome, attempt, result)
        for run, name, outcome, attempt, result in world.disk.rows(
            "SELECT run, name, outcome, attempt, result FROM step"
        )
    }
    attempts = set(world.disk.rows("SELECT run, step, attempt FROM attempt"))
    events = _events_of_runs(world)
    keys: dict[str, tuple[int, str]] = {}
    for call, effects in calls.items():
        for key in {effect.key for effect in effects}:
            if keys.setdefault(key, call) != call:
                yield f"G5: {call} and {keys[key]} have one idempotency key"
        if len({effect.key for effect in effects}) > 1:
            yield f"G5: {call} was called with several idempotency keys"
        if any(list(effect.events) != events.get(call[0]) for effect in effects):
            yield f"G3: {call} was given {effects[0].events}; its run is for {events.get(call[0])}"
        yield from _check_repeats(world, call, effects, attempts)
        yield from _check_last(call, effects, rows.get(call))
    for call, (outcome, attempt, _) in rows.items():
        if call not in calls and outcome == "succeeded":
            yield f"G4: {call} succeeded in attempt {attempt} and was never called"


def _check_repeats(
    world: World,
    call: tuple[int, str],
    effects: Sequence[Effect],
    attempts: set[tuple[int, str, int]],
) -> Iterable[str]:
    """G4, G5: a call is repeated after a recorded failure, or after a death that found its run in flight."""
    for before, after in pairwise(effects):
        if after.attempt > before.attempt:
            missing = [
                attempt
                for attempt in range(before.attempt, after.attempt)
                if (*call, attempt) not in attempts
            ]
            if missing:
                yield f"G4: {call} was tried again, and attempts {missing} are not recorded"
        elif after.attempt < before.attempt:
            yield f"G5: {call}: attempt {after.attempt} followed {before.attempt}"
        elif after.life == before.life:
            yield f"G4: {call} was called twice in life {after.life}, without a death in between"
        elif call[0] not in world.in_flight_at_end[before.life]:
            yield f"G5: {call} was called again, and was not in flight at the end of life {before.life}"


def _check_last(
    call: tuple[int, str], effects: Sequence[Effect], row: tuple[str, int, bytes | None] | None
) -> Iterable[str]:
    last = effects[-1]
    if row is None:
        yield f"G4: {call} was called, and has no end"
        return
    outcome, attempt, result = row
    if outcome == "skipped":
        yield f"G4: {call} was called, and was skipped"
    wanted = ("ok", attempt, f'"{last.token}"'.encode())
    if outcome == "succeeded" and (last.ended, last.attempt, result) != wanted:
        yield f"G4: {call} succeeded with {result!r}; its last call was {last}"


def _events_of_runs(world: World) -> dict[int, list[str]]:
    """Return the ids of the events that each run is for, in the order of acceptance."""
    found: dict[int, list[str]] = {}
    rows = world.disk.rows("SELECT seq, id, decisions FROM event ORDER BY seq")
    names = {seq: name for seq, name, _ in rows}
    for run, workflow, first, last in world.disk.rows(
        "SELECT id, workflow, event, last_event FROM run"
    ):
        if last is None:
            found[run] = [names[first]]
        else:
            found[run] = [
                name
                for seq, name, decisions in rows
                if first <= seq <= last
                and any(row[:2] == [workflow, "gathered"] for row in json.loads(decisions))
            ]
    return found


def _check_keys(world: World) -> Iterable[str]:
    """Runs of one key go one at a time and in order: none begins before the one before it has made its last call."""
    rows = world.disk.rows("SELECT id, workflow, key FROM run WHERE key IS NOT NULL")
    keys = {run: (workflow, key) for run, workflow, key in rows}
    # A run that was parked goes on when it is redriven, behind others of its key.
    parked = {
        run for (run,) in world.disk.rows("SELECT run FROM dead_letter WHERE run IS NOT NULL")
    }
    latest: dict[tuple[str, str], int] = {}
    for effect in world.effects:
        run = number_of(effect.run)
        lane = keys.get(run)
        if lane is None or run in parked:
            continue
        if run < latest.get(lane, 0):
            yield f"key order: run {run} of {lane} was called after {latest[lane]}"
        latest[lane] = run


def _check_references(world: World) -> Iterable[str]:
    """What the database cannot check by itself, since an event may be part of a block."""
    for table in ("run", "dead_letter"):
        for row, event in world.disk.rows(
            f"SELECT id, event FROM {table} WHERE event NOT IN (SELECT seq FROM event)"  # of constants
        ):
            yield f"G33: {table} {row} refers to event {event}, which is not there"


def _check_sums(world: World) -> Iterable[str]:
    """G33: what is counted apart agrees with the rows."""
    counted = {
        tuple(row[:3]): row[3]
        for row in world.disk.rows("SELECT subject, name, kind, count FROM tally WHERE count <> 0")
    }
    rows = world.disk.rows(
        "SELECT 'sensor', sensor, 'accepted', count(*) FROM event GROUP BY sensor"
        " UNION ALL SELECT 'sensor', sensor, 'rejected', count(*) FROM dead_letter"
        " WHERE event IS NULL AND run IS NULL GROUP BY sensor"
        " UNION ALL SELECT 'sensor', sensor, 'skipped', count(*) FROM skipped GROUP BY sensor"
        " UNION ALL SELECT 'workflow', workflow, 'fired', count(*) FROM run GROUP BY workflow"
    )
    there = {tuple(row[:3]): row[3] for row in rows}
    for subject in sorted(counted.keys() | there.keys()):
        if counted.get(subject, 0) != there.get(subject, 0):
            yield f"G33: {subject} counts {counted.get(subject, 0)}, and there are {there.get(subject, 0)}"


def _check_parked(world: World) -> Iterable[str]:
    """G33: a run is parked only after it was in flight at three deaths in a row."""
    rows = world.disk.rows("SELECT run, reason FROM dead_letter WHERE run IS NOT NULL")
    for run, reason in rows:
        deaths = sum(run in life for life in world.in_flight_at_end)
        if reason != "process_died" or deaths < DEATHS_OF_A_DEAD_RUN:
            yield f"G33: run {run} was parked for {reason} after {deaths} deaths"
