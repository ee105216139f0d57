"""Whether what the daemon stored is what the demo sent in. Pure: everything is an argument."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reactor.cli._demo_plan import BATCH_WORKFLOW, TIMER_SENSOR, TIMER_WORKFLOW

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from reactor.cli._demo_ledger import Counts, StepKey, StepValue
    from reactor.cli._demo_plan import Expected

MOST_LISTED = 5


def count_differences(expected: Expected, counts: Counts, rows: Mapping[str, int]) -> list[str]:
    """Return one line for each count that is not what was sent in.

    The timer is left out, and how many batches succeeded: both depend on the clock.
    """
    events = {sensor: count for sensor, count in counts.events.items() if sensor != TIMER_SENSOR}
    runs = {
        f"{workflow}, {how}": count
        for (workflow, how), count in counts.runs.items()
        if workflow != TIMER_WORKFLOW and (workflow, how) != (BATCH_WORKFLOW, "succeeded")
    }
    wanted_runs = {f"{workflow}, {how}": n for (workflow, how), n in expected.runs.items()}
    return [
        *differences("events of sensor", expected.events, events),
        *differences("runs of", wanted_runs, runs),
        *differences("dead letters of", expected.dead_letters, counts.dead_letters),
        *differences("input without an event of sensor", expected.parked, counts.parked),
        *differences("events in batches of", expected.batched, counts.batched),
        *differences("rows in table", expected.rows, rows),
    ]


def differences(what: str, expected: Mapping[str, int], actual: Mapping[str, int]) -> list[str]:
    """Return one line for each name whose counts differ; a missing name counts as 0."""
    return [
        f"{what} {name}: expected {expected.get(name, 0)}, found {actual.get(name, 0)}"
        for name in sorted({*expected, *actual})
        if expected.get(name, 0) != actual.get(name, 0)
    ]


def id_differences(what: str, sent: Collection[str], found: Collection[str]) -> list[str]:
    """Return what is wrong unless `found` holds each id of `sent` once, and no other."""
    counts = Counter(found)
    faults = {
        "missing": {*sent} - {*found},
        "never sent": {*found} - {*sent},
        "there more than once": {name for name, count in counts.items() if count > 1},
    }
    return [
        f"{what}: {count} {fault}, such as {min(ids)}"
        for fault, ids in faults.items()
        if (count := len(ids))
    ]


def order_differences(
    sent: Mapping[str, Sequence[str]], followed: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return one line for each key whose records were not followed once each in the order sent."""
    faults = []
    for key in sorted({*sent, *followed}):
        wanted, found = [*sent.get(key, ())], [*followed.get(key, ())]
        if wanted == found:
            continue
        where = next(
            (i for i, (one, other) in enumerate(zip(wanted, found, strict=False)) if one != other),
            min(len(wanted), len(found)),
        )
        faults.append(
            f"records of key {key}: sent {len(wanted)}, followed {len(found)}; "
            f"they differ from number {where + 1} on"
        )
    return faults


def tick_differences(
    fired: Sequence[datetime], skipped: Sequence[datetime], *, period: timedelta
) -> list[str]:
    """Return what is wrong with a timer.

    Each due instant from the first to the last has one event or one skip row.
    """
    if not fired:
        return ["the timer never fired"]
    faults = []
    if len({*fired}) != len(fired):
        faults.append(f"the timer fired {len(fired)} times for {len({*fired})} instants")
    both = sorted({*fired} & {*skipped})
    if both:
        faults.append(f"the timer both fired and skipped {_listed(both)}")
    seen = {*fired, *skipped}
    first, last = min(seen), max(seen)
    due = {first + period * index for index in range((last - first) // period + 1)}
    if due - seen:
        faults.append(f"the timer neither fired nor skipped {_listed(sorted(due - seen))}")
    if seen - due:
        faults.append(f"the timer fired or skipped out of turn: {_listed(sorted(seen - due))}")
    return faults


def timer_run_differences(fired: int, counts: Counts) -> list[str]:
    """Return one line unless each tick that fired has one run of the timer's, succeeded."""
    runs = {how: n for (workflow, how), n in counts.runs.items() if workflow == TIMER_WORKFLOW}
    return differences(f"runs of {TIMER_WORKFLOW},", {"succeeded": fired}, runs)


def step_differences(
    at_kill: Mapping[StepKey, StepValue], at_end: Mapping[StepKey, StepValue]
) -> list[str]:
    """Return one line for each recorded end of a step that is no longer what it was."""
    return [
        f"step {name} of run {run}: its result was recorded before the kill and has changed since"
        for (run, name), value in at_kill.items()
        if at_end.get((run, name)) != value
    ]


def percentile(values: Sequence[int], share: float) -> int:
    """Return the smallest value that at least `share` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(rank, 1) - 1]


def _listed(instants: Sequence[datetime]) -> str:
    shown = ", ".join(f"{instant:%H:%M:%S.%f}" for instant in instants[:MOST_LISTED])
    more = len(instants) - MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown
