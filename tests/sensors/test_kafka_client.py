"""The end of a Kafka client, whatever the library does at it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from reactor_sensors import _kafka_client
from reactor_sensors._kafka_client import STOP_SECONDS, GroupClient, GroupOptions, TroubleError

pytestmark = pytest.mark.virtual_time


class Part:
    """A part of a consumer whose end is as it is told to be: `closes` counts how often it was asked for."""

    def __init__(self, *, hangs: bool = False, error: BaseException | None = None) -> None:
        self.closes = 0
        self._hangs, self._error = hangs, error

    async def close(self) -> None:
        self.closes += 1
        if self._hangs:
            await asyncio.Event().wait()
        if self._error is not None:
            raise self._error


class Stubborn(Part):
    """Goes on after it was cancelled."""

    async def close(self) -> None:
        self.closes += 1
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if self.closes > 1:
                    raise
                self.closes += 1


class Consumer:
    """As much of aiokafka's consumer as an end needs."""

    def __init__(self, stop: Part, fetcher: Part | None = None) -> None:
        self._fetcher, self._client = fetcher or Part(), Part()
        self.stop = stop.close

    def assignment(self) -> set[Any]:
        return set()

    async def commit(self, offsets: Any) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>")


def client_with(consumer: Consumer) -> GroupClient:
    options = GroupOptions(
        servers=("127.0.0.1:1",),
        group="g",
        client_id="c",
        isolation="read_committed",
        session_timeout=timedelta(seconds=10),
        max_poll_interval=timedelta(minutes=5),
        most_bytes=1000,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kafka_client, "AIOKafkaConsumer", lambda **_: consumer)
        return GroupClient(options, {})


async def test_a_client_that_ends_in_order_is_not_torn_down() -> None:
    consumer = Consumer(Part())
    await client_with(consumer).close()
    assert consumer._client.closes == 0


async def test_a_client_that_does_not_end_is_torn_down() -> None:
    consumer = Consumer(Part(hangs=True))
    async with asyncio.timeout(2 * STOP_SECONDS):
        await client_with(consumer).close()
    assert (consumer._fetcher.closes, consumer._client.closes) == (1, 1)


async def test_a_cancellation_out_of_the_client_does_not_become_ours() -> None:
    """aiokafka's fetcher awaits the tasks that it has cancelled; it once ended a sensor without a word."""
    consumer = Consumer(Part(hangs=True), Part(error=asyncio.CancelledError()))
    await client_with(consumer).close()
    assert consumer._client.closes == 1


async def test_an_end_that_does_not_heed_a_cancellation_is_not_waited_for_for_ever() -> None:
    stubborn = Stubborn()
    async with asyncio.timeout(5 * STOP_SECONDS):
        await client_with(Consumer(stubborn)).close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.wait(others)


async def test_a_connection_lost_at_a_write_is_trouble_and_no_crash() -> None:
    """uvloop says RuntimeError there, and aiokafka lets it pass."""
    with pytest.raises(TroubleError, match="closed=True"):
        await client_with(Consumer(Part())).commit({})
