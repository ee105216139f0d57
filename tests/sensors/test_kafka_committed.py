"""What a group has committed: told, none, or not to be told now, and never one for the other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupLoadInProgressError,
    IllegalGenerationError,
    KafkaError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    RequestTimedOutError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from reactor_sensors._kafka_committed import commit_offsets, committed_offsets, offsets_in
from reactor_sensors._kafka_positions import Partition

pytestmark = pytest.mark.virtual_time
P0, P1, OTHER = Partition("a", 0), Partition("a", 1), Partition("b", 0)


def answer(*told: tuple[Partition, int], error: int = 0, each: int = 0) -> Any:
    """Return an answer as the library reads it: `error` for the whole, `each` for every partition."""
    topics = [(partition.topic, [(partition.number, at, "", each)]) for partition, at in told]
    return SimpleNamespace(error_code=error, topics=topics)


class Coordinator:
    """Gives one answer after the other, or raises it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []
        self.deaths = self.looked_for = 0

    async def ensure_coordinator_known(self) -> None:
        self.looked_for += 1

    def coordinator_dead(self) -> None:
        self.deaths += 1

    async def _send_req(self, request: Any) -> Any:
        self.requests.append((request._consumer_group, request._partitions))
        return self._next()

    async def _do_commit_offsets(self, assignment: None, offsets: Any) -> None:
        self.requests.append(offsets)
        self._next()

    def _next(self) -> Any:
        made = self.answers.pop(0)
        if isinstance(made, Exception):
            raise made
        return made


async def test_offsets_are_told_and_a_partition_without_one_is_left_out() -> None:
    coordinator = Coordinator(answer((P0, 7), (P1, -1), (OTHER, 0)))
    assert await committed_offsets(coordinator, "g", [P0, P1, OTHER]) == {P0: 7, OTHER: 0}
    assert coordinator.requests == [("g", [("a", [0, 1]), ("b", [0])])]


async def test_nothing_is_asked_of_no_partition() -> None:
    assert await committed_offsets(Coordinator(), "g", []) == {}


async def test_a_coordinator_that_still_loads_is_asked_again() -> None:
    loading = GroupLoadInProgressError.errno
    coordinator = Coordinator(
        answer(error=loading),
        answer((P0, -1), each=loading),
        RequestTimedOutError(),
        answer((P0, 7)),
    )
    assert await committed_offsets(coordinator, "g", [P0]) == {P0: 7}
    assert (coordinator.looked_for, coordinator.deaths) == (4, 0)


async def test_another_coordinator_is_looked_for_where_this_one_no_longer_is() -> None:
    coordinator = Coordinator(answer(error=NotCoordinatorForGroupError.errno), answer((P0, 7)))
    assert await committed_offsets(coordinator, "g", [P0]) == {P0: 7}
    assert (coordinator.looked_for, coordinator.deaths) == (2, 1)


async def test_a_refusal_is_raised() -> None:
    coordinator = Coordinator(answer(error=GroupAuthorizationFailedError.errno))
    with pytest.raises(GroupAuthorizationFailedError):
        await committed_offsets(coordinator, "g", [P0])


def test_an_answer_without_a_partition_says_nothing_of_it() -> None:
    with pytest.raises(KafkaError, match="says nothing of partition a/1"):
        offsets_in(answer((P0, 7)), [P0, P1])


def test_an_answer_of_the_first_versions_has_no_error_for_the_whole() -> None:
    old = SimpleNamespace(topics=[("a", [(0, 7, "", 0)])])
    assert offsets_in(old, [P0]) == {P0: 7}


async def test_the_group_is_told_until_it_has_understood() -> None:
    coordinator = Coordinator(GroupLoadInProgressError(), RequestTimedOutError(), None)
    assert await commit_offsets(coordinator, {P0: 7, OTHER: 3})
    told = {
        TopicPartition("a", 0): OffsetAndMetadata(7, ""),
        TopicPartition("b", 0): OffsetAndMetadata(3, ""),
    }
    assert coordinator.requests == [told] * 3
    assert coordinator.looked_for == 3


@pytest.mark.parametrize(
    "error", [IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError]
)
async def test_a_group_that_has_moved_on_is_not_told(error: type[KafkaError]) -> None:
    assert not await commit_offsets(Coordinator(error("g")), {P0: 7})


async def test_a_refused_commit_is_raised() -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        await commit_offsets(Coordinator(GroupAuthorizationFailedError("g")), {P0: 7})
