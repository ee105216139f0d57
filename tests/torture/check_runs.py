"""G3, G4: one run per event and matching workflow, ended well; nothing durable at a death went or changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.torture.evidence import EventRow, Evidence, RunRow

# The checker's own rule of what `victim.py` listens to.
MOST_IN_BATCH = 20
LARGE_BYTES = 1000
DEATHS_OF_A_DEAD_RUN = 3


def workflows_of(event: EventRow) -> set[str]:
    """Return the workflows that an event fires by itself; batches are looked at apart."""
    if event.sensor == "orders":
        return {"order", "keyed"} if event.data["n"] % 2 else {"order"}
    if event.sensor == "inbox":
        return {"arrival", "large"} if event.data["size_bytes"] > LARGE_BYTES else {"arrival"}
    return {event.sensor}


def check_runs(evidence: Evidence) -> Iterable[str]:
    """G3, and that every run has ended well."""
    fired: Counter[tuple[int, str]] = Counter(
        (run.event, run.workflow) for run in evidence.runs if run.workflow != "bulk"
    )
    expected = {(event.seq, name) for event in evidence.events for name in workflows_of(event)}
    for seq, workflow in expected - fired.keys():
        yield f"G3: event {seq} has no run of {workflow}"
    for seq, workflow in fired.keys() - expected:
        yield f"G3: event {seq} has a run of {workflow}, which it does not match"
    for (seq, workflow), count in fired.items():
        if count > 1:
            yield f"G3: event {seq} has {count} runs of {workflow}"
    yield from _check_batches(evidence)
    for run in evidence.runs:
        if run.outcome != "succeeded":
            yield f"G1: run {run.id} of {run.workflow} is {run.outcome or run.state} at the end"


def _check_batches(evidence: Evidence) -> Iterable[str]:
    members: defaultdict[int, list[RunRow]] = defaultdict(list)
    events = [event.seq for event in evidence.by_sensor("orders")]
    for run in evidence.runs:
        if run.workflow != "bulk":
            continue
        inside = [seq for seq in events if run.event <= seq <= (run.last_event or run.event)]
        if not 1 <= len(inside) <= MOST_IN_BATCH:
            yield f"G3: batch {run.id} holds {len(inside)} events"
        for seq in inside:
            members[seq].append(run)
    for seq in events:
        if len(members[seq]) != 1:
            yield f"G3: event {seq} is in {len(members[seq])} batches"


def check_deaths(evidence: Evidence) -> Iterable[str]:
    """G4, G33: what was durable at a death stayed as it was, and the sums agreed.

    Only a run that was in flight at three deaths in a row was parked.
    """
    in_a_row: dict[int, int] = {}
    longest: Counter[int] = Counter()
    for death in evidence.deaths:
        for what in death["changed"]:
            yield f"G4: {what} changed after death {death['death']} had found it durable"
        for what in death["gone"]:
            yield f"G1: {what} was durable, and gone at death {death['death']}"
        for what in death["unbalanced"]:
            yield f"G33: at death {death['death']}, {what}"
        in_a_row = {run: in_a_row.get(run, 0) + 1 for run in death["in_flight"]}
        for run, count in in_a_row.items():
            longest[run] = max(longest[run], count)
    for parked, reason in evidence.dead_letters:
        if parked is None or reason != "process_died" or longest[parked] < DEATHS_OF_A_DEAD_RUN:
            yield f"G33: a dead letter of run {parked} for {reason}, after {longest[parked or 0]} deaths"
