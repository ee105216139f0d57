"""Records on their way to the store: how many commits they take, and what is settled at the moment it comes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from reactor.testing import RecordingIntake
from reactor_sensors._kafka_hand import place_of
from reactor_sensors._kafka_journal import Journal
from reactor_sensors._kafka_positions import Partition
from reactor_sensors._kafka_record import Decoder, Origin
from tests.sensors.raw_record import Raw, at_once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PLACE = place_of(
    Partition("orders", 0),
    Origin(source="kafka://c/orders@g1", topic="orders", partition=0, generation="g1"),
    "c",
)


@pytest.fixture
def intake() -> RecordingIntake:
    return RecordingIntake("kafka")


@pytest.fixture
async def journal(intake: RecordingIntake) -> AsyncIterator[Journal]:
    async with writing(intake) as journal:
        yield journal


@asynccontextmanager
async def writing(intake: RecordingIntake) -> AsyncIterator[Journal]:
    """A journal whose task waits for records."""
    journal = Journal(intake, Decoder("json", None, largest_bytes=1000), may_write=at_once)
    task = asyncio.create_task(journal.run(), name="journal")
    await asyncio.sleep(0)
    yield journal
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_records_that_are_forgotten_as_soon_as_they_came_are_not_written(
    journal: Journal, intake: RecordingIntake
) -> None:
    journal.offer(PLACE, [Raw(offset=7)])
    # In the same turn of the loop: the journal has been told that there is something to write.
    await journal.settle(grace_seconds=10)
    assert not journal.holds(PLACE.partition)
    # Its task has its turn, and finds nothing.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    journal.offer(PLACE, [Raw(offset=8)])
    await intake.wait_for_events(1)
    await journal.settle(grace_seconds=10)
    assert [event.id for event in intake.events] == ["orders/0/8"]
    assert journal.written == {PLACE.partition: 9}


async def test_poison_takes_no_commit_of_its_own() -> None:
    class Counting(RecordingIntake):
        commits = 0

        async def accept_many(self, *arguments: Any, **options: Any) -> Any:
            self.commits += 1
            return await super().accept_many(*arguments, **options)

    intake = Counting("kafka")
    values = [b"{" if number % 10 == 9 else b"%d" % number for number in range(100)]
    async with writing(intake) as journal:
        journal.offer(PLACE, [Raw(offset=at, value=value) for at, value in enumerate(values)])
        await intake.wait_until(lambda: intake.durable_cursor == {PLACE.key: b"100"})
    assert (len(intake.events), len(intake.rejected), intake.commits) == (90, 10, 1)
