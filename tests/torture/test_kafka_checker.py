"""The checker of the Kafka rounds can fail: each fault that is put into the evidence of a good round is found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.torture.kafka_check import (
    EVERYBODY,
    MOST_IN_A_WRITE,
    STALE_MICROS,
    KafkaEvidence,
    StoreEvidence,
    check_kafka,
    load_kafka_evidence,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.torture.round import Report

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(400)]

Events = list[tuple[int, int, int, int]]
LONG_AGO = 1


@pytest.fixture(scope="session")
def evidence(disturbed: tuple[Path, Report, str]) -> KafkaEvidence:
    return load_kafka_evidence(disturbed[0])


def fullest(evidence: KafkaEvidence) -> StoreEvidence:
    return max(evidence.stores, key=lambda store: len(store.events))


def spoiled(evidence: KafkaEvidence, store: StoreEvidence, events: Events) -> list[str]:
    """Return what the checker says when a store holds these events instead of its own."""
    changed = replace(store, events=events)
    stores = [changed if each is store else each for each in evidence.stores]
    return check_kafka(replace(evidence, stores=stores))


def only_here(evidence: KafkaEvidence, store: StoreEvidence) -> int:
    """Return the place of an event that no other store holds, in the middle of a store."""
    elsewhere = {
        event[:2] for other in evidence.stores if other is not store for event in other.events
    }
    places = [place for place, event in enumerate(store.events) if event[:2] not in elsewhere]
    return places[len(places) // 2]


def copied(
    evidence: KafkaEvidence,
) -> tuple[StoreEvidence, tuple[int, int, int, int], KafkaEvidence]:
    """Return a store, one event of it, and the evidence with a later copy of that event in a store of its own."""
    store = fullest(evidence)
    event = store.events[only_here(evidence, store)]
    late = (*event[:3], max(each[3] for each in store.events) + 1)
    other = StoreEvidence(
        name="store-9", events=[late], cursor={event[0]: event[1] + 1}, unfinished=0
    )
    return store, event, replace(evidence, stores=[*evidence.stores, other])


def has(findings: Sequence[str], text: str) -> bool:
    return any(text in finding for finding in findings)


def test_the_evidence_itself_is_sound(evidence: KafkaEvidence) -> None:
    assert check_kafka(evidence) == []


def test_a_record_that_no_store_holds_is_missed(evidence: KafkaEvidence) -> None:
    store = fullest(evidence)
    place = only_here(evidence, store)
    findings = spoiled(evidence, store, [*store.events[:place], *store.events[place + 1 :]])
    assert has(findings, "was acknowledged to the producer and is in no store")


def test_an_offset_that_a_store_holds_twice_is_seen(evidence: KafkaEvidence) -> None:
    store = fullest(evidence)
    findings = spoiled(evidence, store, [store.events[0], *store.events])
    assert has(findings, f"is 2 times in {store.name}")


def test_a_record_that_nobody_produced_is_seen(evidence: KafkaEvidence) -> None:
    store = fullest(evidence)
    findings = spoiled(evidence, store, [*store.events, (0, 10**9, 0, LONG_AGO)])
    assert has(findings, "which nobody produced")


def test_a_record_with_the_content_of_another_is_seen(evidence: KafkaEvidence) -> None:
    store = fullest(evidence)
    (partition, offset, number, at), *others = store.events
    findings = spoiled(evidence, store, [(partition, offset, number + 1, at), *others])
    assert has(findings, f"holds {number + 1} for {number}")


def test_records_of_a_partition_out_of_order_are_seen(evidence: KafkaEvidence) -> None:
    store = fullest(evidence)
    findings = spoiled(evidence, store, [*reversed(store.events)])
    assert has(findings, "after a later one")


def test_a_cursor_behind_its_events_is_seen(evidence: KafkaEvidence) -> None:
    store = fullest(evidence)
    behind = replace(store, cursor=dict.fromkeys(store.cursor, 0))
    stores = [behind if each is store else each for each in evidence.stores]
    assert has(check_kafka(replace(evidence, stores=stores)), "the cursor of")


def test_a_run_that_failed_is_seen(evidence: KafkaEvidence) -> None:
    first, *others = evidence.stores
    stores = [replace(first, unfinished=1), *others]
    assert has(check_kafka(replace(evidence, stores=stores)), "did not succeed")


def test_a_record_in_two_stores_is_seen_where_nothing_happened(evidence: KafkaEvidence) -> None:
    store, _, doubled = copied(evidence)
    findings = check_kafka(replace(doubled, disturbances=[]))
    assert has(findings, f"nothing happened to {store.name} before")


def test_what_a_member_had_committed_before_it_was_killed_may_not_come_twice(
    evidence: KafkaEvidence,
) -> None:
    store, event, doubled = copied(evidence)
    killed = {
        "kind": "kill",
        "member": store.name,
        "until": event[3],
        "committed": {str(event[0]): event[1] + 1},
    }
    findings = check_kafka(replace(doubled, disturbances=[killed]))
    assert has(findings, f"{event[0]}/{event[1]} is in {store.name} and store-9")


def test_what_a_member_had_not_committed_before_it_was_killed_may_come_twice(
    evidence: KafkaEvidence,
) -> None:
    store, event, doubled = copied(evidence)
    killed = {
        "kind": "kill",
        "member": store.name,
        "until": event[3],
        "committed": {str(event[0]): event[1]},
    }
    findings = check_kafka(replace(doubled, disturbances=[*evidence.disturbances, killed]))
    assert findings == []


@pytest.mark.parametrize(
    ("since", "is_explained"),
    [(0, True), (STALE_MICROS, True), (STALE_MICROS + 1, False), (-1, False)],
)
def test_the_write_in_which_a_member_was_frozen_may_come_once_it_thaws(
    evidence: KafkaEvidence, since: int, is_explained: bool
) -> None:
    store, event, doubled = copied(evidence)
    late = doubled.stores[-1].events[0][3]
    frozen = {"kind": "freeze", "member": "store-9", "until": LONG_AGO, "thawed": late - since}
    # Alone: what else befell the round may explain any copy.
    findings = check_kafka(replace(doubled, disturbances=[frozen]))
    assert has(findings, f"offset {event[0]}/{event[1]} is in {store.name}") != is_explained


def test_more_than_one_write_after_a_thaw_is_seen(evidence: KafkaEvidence) -> None:
    store = fullest(evidence)
    late = max(each[3] for each in store.events) + 1
    events = [(*event[:3], late) for event in store.events]
    frozen = {"kind": "freeze", "member": "store-9", "until": LONG_AGO, "thawed": late}
    other = StoreEvidence(name="store-9", events=events, cursor=store.cursor, unfinished=0)
    disturbances = [*evidence.disturbances, frozen]
    findings = check_kafka(
        replace(evidence, stores=[*evidence.stores, other], disturbances=disturbances)
    )
    assert len(events) > MOST_IN_A_WRITE
    assert has(findings, f"store-9 wrote {len(events)} records of others after it had thawed")


@pytest.mark.parametrize("member", ["store-0", EVERYBODY])
def test_what_is_journaled_after_a_loss_is_not_explained_by_it(
    evidence: KafkaEvidence, member: str
) -> None:
    _, event, doubled = copied(evidence)
    lost = {"kind": "kill", "member": member, "until": event[3] - 1, "committed": {}}
    findings = check_kafka(replace(doubled, disturbances=[lost]))
    assert has(findings, f"{event[0]}/{event[1]} is in ")
