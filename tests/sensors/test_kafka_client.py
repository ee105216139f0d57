"""The end of a Kafka client, whatever the library does at it."""

from __future__ import annotations

import asyncio
import math
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
        self._sync_task: Any = None

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
        self._coordinator: Any = None
        self.stop = stop.close

    async def start(self) -> None:
        """There is nobody to connect to."""

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[Any, Any]:
        return {}

    def assignment(self) -> set[Any]:
        return set()


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


class Coordinator:
    """Answers heartbeats as it is told to."""

    def __init__(self) -> None:
        self.member_id = ""
        self.is_heard = True

    async def _do_heartbeat(self) -> bool:
        await asyncio.sleep(1)
        return self.is_heard


async def started_client() -> tuple[GroupClient, Coordinator, Any]:
    """Return a client that has started, its coordinator, and the task that keeps its metadata fresh."""
    consumer, coordinator = Consumer(Part()), Coordinator()
    consumer._coordinator = coordinator
    consumer._client._sync_task = asyncio.get_running_loop().create_future()
    client = client_with(consumer)
    await client.open()
    return client, coordinator, consumer._client._sync_task


async def test_a_silence_lasts_since_the_last_heartbeat_that_was_answered_well_was_sent() -> None:
    client, coordinator, _ = await started_client()
    assert client.silence() == math.inf
    coordinator.member_id = "m"
    assert client.silence() == 0
    await asyncio.sleep(10)
    assert client.silence() == pytest.approx(10)
    assert await coordinator._do_heartbeat()
    assert client.silence() == pytest.approx(1)
    coordinator.is_heard = False
    assert not await coordinator._do_heartbeat()
    assert client.silence() == pytest.approx(2)
    client.heard()
    assert client.silence() == 0
    coordinator.member_id = ""
    assert client.silence() == math.inf


async def test_a_client_that_has_ceased_to_look_at_the_metadata_is_trouble() -> None:
    """It would wait for ever as soon as it needs them; its task tells nobody that it has ended."""
    client, _, refreshing = await started_client()
    assert await client.poll(seconds=0, most=1) == {}
    refreshing.set_exception(ValueError("unexpected"))
    with pytest.raises(TroubleError, match="ceased to look"):
        await client.poll(seconds=0, most=1)
    refreshing.exception()
