"""Whether each Kafka offset was journaled once a store. Plain sqlite3 and the producer's log, nothing of the engine."""

from __future__ import annotations

import contextlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.torture.deaths import reading
from tests.torture.journal import Line, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ACKNOWLEDGED = "acknowledged.jsonl"
DISTURBANCES = "disturbances.jsonl"
FAILURES = "failures.json"
STORES = "store-*"
# What no member can be blamed for: an outage of the broker, during which nobody can commit to Kafka.
EVERYBODY = "broker"
# How long after it thawed a member may take to finish the one write that it was frozen in, and what one may hold.
STALE_MICROS = 2_000_000
MOST_IN_A_WRITE = 1000
Offset = tuple[int, int]


class Copy(NamedTuple):
    """An event in a store; the instant is microseconds since 1970."""

    store: str
    accepted_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreEvidence:
    """What a store holds. `events` are (partition, offset, number, accepted_at) in the order of their journal."""

    name: str
    events: Sequence[tuple[int, int, int, int]]
    cursor: Mapping[int, int]
    unfinished: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaEvidence:
    """All that a judgement rests on."""

    acknowledged: Mapping[Offset, int]
    stores: Sequence[StoreEvidence]
    disturbances: Sequence[Line]
    failures: Sequence[str]


def load_kafka_evidence(folder: Path) -> KafkaEvidence:
    """Return the evidence in the folder of a round that has ended."""
    acknowledged: dict[Offset, int] = {}
    for line in read_lines(folder / ACKNOWLEDGED):
        acknowledged[line["partition"], line["offset"]] = line["n"]
    failures = folder / FAILURES
    return KafkaEvidence(
        acknowledged=acknowledged,
        stores=[_load_store(path) for path in sorted(folder.glob(STORES)) if path.is_dir()],
        disturbances=read_lines(folder / DISTURBANCES),
        failures=json.loads(failures.read_bytes()) if failures.exists() else [],
    )


def cursor_of(state: Path) -> dict[int, int]:
    """Return the offset to be read next of each partition, as a store has it; nothing where there is no store."""
    if not (state / "reactor.db").exists():
        return {}
    with contextlib.suppress(Exception), reading(state) as database:
        return _cursor(database)
    return {}


def _cursor(database: Any) -> dict[int, int]:
    rows = database.execute("SELECT key, value FROM cursor WHERE sensor = 'records'")
    return {int(key.rpartition("/")[2]): int(value) for key, value in rows}


def _load_store(state: Path) -> StoreEvidence:
    with reading(state) as database:
        rows = database.execute(
            "SELECT id, json_extract(data, '$.value.n'), accepted_at FROM event ORDER BY seq"
        )
        events = []
        for identity, number, accepted_at in rows:
            _, partition, offset = identity.rsplit("/", 2)
            events.append((int(partition), int(offset), number, accepted_at))
        (unfinished,) = database.execute(
            "SELECT count(*) FROM run WHERE outcome <> 'succeeded'"
        ).fetchone()
        return StoreEvidence(
            name=state.name, events=events, cursor=_cursor(database), unfinished=unfinished
        )


def check_kafka(evidence: KafkaEvidence) -> list[str]:
    """Return all findings; none means that the round kept the promise."""
    return [
        *evidence.failures,
        *_check_gaps(evidence),
        *(finding for store in evidence.stores for finding in _check_store(evidence, store)),
        *_check_doubles(evidence),
        *_check_stale(evidence),
    ]


def _check_gaps(evidence: KafkaEvidence) -> Iterator[str]:
    journaled = {(event[0], event[1]) for store in evidence.stores for event in store.events}
    for partition, offset in sorted(evidence.acknowledged.keys() - journaled):
        yield f"G14: offset {partition}/{offset} was acknowledged to the producer and is in no store"


def _check_store(evidence: KafkaEvidence, store: StoreEvidence) -> Iterator[str]:
    counts = Counter((partition, offset) for partition, offset, _, _ in store.events)
    for (partition, offset), count in counts.items():
        if count > 1:
            yield f"G14: offset {partition}/{offset} is {count} times in {store.name}"
    reached: dict[int, int] = {}
    for partition, offset, number, _ in store.events:
        if (known := evidence.acknowledged.get((partition, offset))) is None:
            yield f"G14: {store.name} holds offset {partition}/{offset}, which nobody produced"
        elif known != number:
            yield f"G14: {store.name} holds {number} for {known} at offset {partition}/{offset}"
        if offset < reached.get(partition, -1):
            yield f"G14: {store.name} journaled offset {partition}/{offset} after a later one"
        reached[partition] = max(offset, reached.get(partition, -1))
    for partition, offset in reached.items():
        if store.cursor.get(partition, -1) <= offset:
            yield f"G14: the cursor of {store.name} is behind its offset {partition}/{offset}"
    if store.unfinished:
        yield f"G3: {store.unfinished} runs of {store.name} did not succeed"


def doubles(evidence: KafkaEvidence) -> dict[Offset, list[Copy]]:
    """Return the offsets that are in more than one store, with their copies, the oldest first."""
    copies: dict[Offset, list[Copy]] = defaultdict(list)
    for store in evidence.stores:
        for partition, offset, _, accepted_at in store.events:
            copies[partition, offset].append(Copy(store.name, accepted_at))
    return {
        offset: sorted(found, key=lambda copy: copy.accepted_at)
        for offset, found in copies.items()
        if len({copy.store for copy in found}) > 1
    }


def _check_doubles(evidence: KafkaEvidence) -> Iterator[str]:
    for offset, copies in sorted(doubles(evidence).items()):
        # All but the last came from members that were lost before they told the group, or the rest from one that was
        # frozen in the middle of its write.
        stale = [copy for copy in copies[1:] if _is_stale(evidence, copy)]
        for copy in [one for one in copies if one not in stale][:-1]:
            if not any(_explains(line, offset, copy) for line in evidence.disturbances):
                yield (
                    f"G14: offset {offset[0]}/{offset[1]} is in {' and '.join(c.store for c in copies)}, "
                    f"and nothing happened to {copy.store} before it was committed to Kafka"
                )


def _explains(line: Line, offset: Offset, copy: Copy) -> bool:
    """Whether a copy was journaled and not yet committed to Kafka when its member was lost."""
    if "committed" not in line or line["member"] not in (copy.store, EVERYBODY):
        return False
    partition, number = offset
    # Instants of an outage reach until the group was whole again.
    is_uncommitted = number >= int(line["committed"].get(str(partition), 0))
    return is_uncommitted and copy.accepted_at <= int(line["until"])


def _is_stale(evidence: KafkaEvidence, copy: Copy) -> bool:
    """Whether a copy is what its member was writing when it was frozen, and finished once it thawed."""
    return any(
        line["member"] == copy.store
        and "thawed" in line
        and int(line["thawed"]) <= copy.accepted_at <= int(line["thawed"]) + STALE_MICROS
        for line in evidence.disturbances
    )


def _check_stale(evidence: KafkaEvidence) -> Iterator[str]:
    """A frozen member looks at its pulse before each write, so what it finishes is one write and no more."""
    counts = Counter(
        copy.store
        for copies in doubles(evidence).values()
        for copy in copies[1:]
        if _is_stale(evidence, copy)
    )
    freezes = Counter(line["member"] for line in evidence.disturbances if "thawed" in line)
    for store, count in counts.items():
        if count > MOST_IN_A_WRITE * freezes[store]:
            yield (
                f"G14: {store} wrote {count} records of others after it had thawed; "
                f"expected at most {MOST_IN_A_WRITE} for each of {freezes[store]} freezes"
            )


def kafka_figures(evidence: KafkaEvidence) -> dict[str, int]:
    """Return how much a round did, for people."""
    kinds = Counter(line["kind"] for line in evidence.disturbances)
    return {
        "disturbances": sum(kinds.values()),
        **{f"of them {kind}": count for kind, count in sorted(kinds.items())},
        "records acknowledged": len(evidence.acknowledged),
        "events journaled": sum(len(store.events) for store in evidence.stores),
        "in two stores after a loss": len(doubles(evidence)),
    }
