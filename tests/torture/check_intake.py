"""G1, G11, G12, G22: what was acknowledged or published became one event, and nothing else did."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tests.torture.evidence import micros_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.torture.evidence import EventRow, Evidence

# Path, inode, size and mtime in nanoseconds: a version of a file as the writer knows it.
FileVersion = tuple[str, int, int, int]

PERIODS = {"beat": 50_000, "pulse": 200_000}
MOST_LISTED = 5


def check_deliveries(evidence: Evidence) -> Iterable[str]:
    """G1: each delivery that had a 2xx is one event with the body that was sent, and says truly if it was known."""
    stored: defaultdict[str, list[EventRow]] = defaultdict(list)
    for event in evidence.by_sensor("orders"):
        stored[event.id].append(event)
    acknowledged: set[str] = set()
    for line in evidence.deliveries:
        delivery = line["id"]
        if delivery in acknowledged and not line["duplicate"]:
            yield f"G18: delivery {delivery} was acknowledged before, and then taken as new"
        if line["answer"] != delivery:
            yield f"G1: delivery {delivery} was acknowledged as {line['answer']}"
        acknowledged.add(delivery)
        body = {"n": line["n"], "who": line["who"]}
        if delivery not in stored:
            yield f"G1: delivery {delivery} was acknowledged and is lost"
        elif stored[delivery][0].data != body:
            yield f"G1: delivery {delivery} was {body} and is stored as {stored[delivery][0].data}"
    for delivery, events in stored.items():
        if len(events) > 1:
            yield f"G12: delivery {delivery} became {len(events)} events"
        if delivery not in acknowledged:
            yield f"G1: an event {delivery} that nobody delivered"


def missing_files(evidence: Evidence) -> list[FileVersion]:
    """Return the last versions of files that have no event."""
    last: dict[str, FileVersion] = {version[0]: version for version in _published(evidence)}
    seen = _arrived(evidence)
    return [version for version in last.values() if version not in seen]


def check_files(evidence: Evidence) -> Iterable[str]:
    """G1, G12: the last version of each file is one event, an earlier one at most one. G11: halves are none."""
    seen = _arrived(evidence)
    for version in missing_files(evidence):
        yield f"G1: the complete file {version} has no event"
    for version, count in seen.items():
        if count > 1:
            yield f"G12: the file version {version} became {count} events"
    for version in seen.keys() - set(_published(evidence)):
        yield f"G11: an event of the file version {version}, which was never complete"


def check_timers(evidence: Evidence) -> Iterable[str]:
    """G1, G22: each instant from the first start to the end fired once, not early, or has a row that says why not."""
    for timer, period in PERIODS.items():
        events = evidence.by_sensor(timer)
        for event in events:
            if event.accepted_at < event.time:
                yield f"G22: {event.id} fired {event.time - event.accepted_at} µs early"
        fired = [event.time for event in events]
        skipped = [
            micros_of(occurrence.rpartition("@")[2])
            for sensor, occurrence, _ in evidence.skips
            if sensor == timer
        ]
        if not fired:
            yield f"G1: {timer} never fired"
            continue
        counts = Counter([*fired, *skipped])
        due = {*range(min(counts), max(max(counts), evidence.until) + 1, period)}
        yield from _listed(f"G1: {timer} neither fired nor skipped", due - counts.keys())
        yield from _listed(f"G22: {timer} fired out of turn at", counts.keys() - due)
        twice = {instant for instant, count in counts.items() if count > 1}
        yield from _listed(f"G22: {timer} fired twice, or fired and skipped", twice)


def _listed(what: str, instants: Iterable[int]) -> Iterable[str]:
    ordered = sorted(instants)
    if ordered:
        shown = ", ".join(map(str, ordered[:MOST_LISTED]))
        yield f"{what} {shown} ({len(ordered)} instants)"


def _published(evidence: Evidence) -> list[FileVersion]:
    return [(line["path"], line["inode"], line["size"], line["mtime"]) for line in evidence.files]


def _arrived(evidence: Evidence) -> Counter[FileVersion]:
    counts: Counter[FileVersion] = Counter()
    for event in evidence.by_sensor("inbox"):
        _, inode, size, mtime, _ = (int(part, 16) for part in event.data["version"].split("-"))
        counts[event.data["path"], inode, size, mtime] += 1
    return counts
