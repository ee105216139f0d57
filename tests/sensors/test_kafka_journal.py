"""Records in hand that are settled at the same moment as they come, as when a partition is revoked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

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
    """A journal whose task waits for records."""
    journal = Journal(intake, Decoder("json", None, largest_bytes=1000), may_write=at_once)
    writing = asyncio.create_task(journal.run(), name="journal")
    await asyncio.sleep(0)
    yield journal
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing


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
