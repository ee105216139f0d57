"""Finds the offsets at which to read on: asks group, log and clock, and lets the pure decision decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reactor_sensors._kafka_positions import (
    LATEST,
    Halt,
    cursor_key,
    generations_in,
    offset_in,
    resume_at,
    source_of,
    start_timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from reactor_sensors._kafka_client import Client
    from reactor_sensors._kafka_positions import Bounds, Partition, Start


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where to read on, what not to read and why, and what of it the cursor does not hold yet."""

    offsets: dict[Partition, int] = field(default_factory=dict)
    halted: dict[Partition, str] = field(default_factory=dict)
    to_keep: dict[str, bytes | None] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


async def find_positions(
    client: Client,
    partitions: Sequence[Partition],
    *,
    cluster: str,
    generations: Mapping[str, str],
    start: Start,
    cursor: Mapping[str, bytes],
    now: datetime,
) -> Placement:
    """Return where to read on. `generations` is the id of each topic. Raises TroubleError."""
    placement = Placement()
    if not partitions:
        return placement
    bounds = await client.bounds(partitions)
    committed = await client.committed(partitions)
    starts = await _starts(client, partitions, bounds, start, now)
    for partition in partitions:
        topic, generation = partition.topic, generations[partition.topic]
        key = cursor_key(cluster, topic, generation, partition.number)
        known = generations_in(cursor, cluster, topic)
        decision = resume_at(
            own=offset_in(cursor, key),
            committed=committed.get(partition),
            others=known - {generation},
            bounds=bounds[partition],
            # A partition added to a topic that is read already: whatever it holds is new.
            start=bounds[partition].first if generation in known else starts[partition],
        )
        if isinstance(decision, Halt):
            placement.halted[partition] = decision.why
            continue
        placement.offsets[partition] = decision.offset
        placement.sources[topic] = source_of(cluster, topic, generation)
        if decision.is_new:
            placement.to_keep[key] = b"%d" % decision.offset
    return placement


async def _starts(
    client: Client,
    partitions: Sequence[Partition],
    bounds: Mapping[Partition, Bounds],
    start: Start,
    now: datetime,
) -> dict[Partition, int]:
    timestamp = start_timestamp(start, now)
    if timestamp is None:
        return {p: bounds[p].end if start == LATEST else bounds[p].first for p in partitions}
    found = await client.offsets_at(partitions, timestamp)
    starts = {}
    for partition in partitions:
        offset = found.get(partition)
        starts[partition] = bounds[partition].end if offset is None else offset
    return starts
