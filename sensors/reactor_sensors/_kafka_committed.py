"""The offsets of a group: told to it, and asked for so that "cannot be told now" is never taken for "there are none".

aiokafka 0.14.0 looks only at what the answer says of each partition. A coordinator that still loads its groups, after a
restart of its broker, answers with an error for all and no partition at all; read so, the group had committed nothing,
and a member would begin at the start of the topic, or at its end. (Kafka protocol, OffsetFetch from version 2 on:
https://kafka.apache.org/protocol.html) Its public `commit` goes on when it is cancelled, and complains in the log when
it then fails.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from reactor_sensors._kafka_positions import Partition

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

RETRY_SECONDS = 0.1
MOVED_ON = (IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)


def pair_of(partition: Partition) -> Any:
    """Return a partition as aiokafka names it: equal to ours, but for the names of its parts."""
    return TopicPartition(partition.topic, partition.number)


async def commit_offsets(coordinator: Any, offsets: Mapping[Partition, int]) -> bool:
    """Tell the group how far its members are. False when it has moved on meanwhile. Raises KafkaError."""
    wanted = {pair_of(p): OffsetAndMetadata(offset, "") for p, offset in offsets.items()}
    while True:
        await coordinator.ensure_coordinator_known()
        try:
            await coordinator._do_commit_offsets(None, wanted)
        except MOVED_ON:
            return False
        except KafkaError as error:
            if not error.retriable:
                raise
        else:
            return True
        await asyncio.sleep(RETRY_SECONDS)


async def committed_offsets(
    coordinator: Any, group: str, partitions: Collection[Partition]
) -> dict[Partition, int]:
    """Return the offsets of those partitions that have one, as soon as the coordinator can tell. Raises KafkaError."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for partition in partitions:
        numbers[partition.topic].append(partition.number)
    request = OffsetFetchRequest(group, [*numbers.items()])
    while partitions:
        await coordinator.ensure_coordinator_known()
        try:
            return offsets_in(await coordinator._send_req(request), partitions)
        except NotCoordinatorForGroupError:
            coordinator.coordinator_dead()
        except KafkaError as error:
            if not error.retriable:
                raise
        await asyncio.sleep(RETRY_SECONDS)
    return {}


def offsets_in(answer: Any, partitions: Collection[Partition]) -> dict[Partition, int]:
    """Return the offsets that an answer tells. Raises the first error that is in it, and KafkaError for a gap."""
    # Version 1, of brokers before 0.10.2, has none for the whole.
    _check(getattr(answer, "error_code", 0))
    offsets = {}
    for topic, told in answer.topics:
        for number, offset, _, code in told:
            _check(code)
            offsets[Partition(topic, number)] = offset
    for partition in partitions:
        if partition not in offsets:
            raise KafkaError(f"the coordinator of the group says nothing of partition {partition}")
    return {partition: offset for partition, offset in offsets.items() if offset >= 0}


def _check(code: int) -> None:
    if code:
        raise for_code(code)
