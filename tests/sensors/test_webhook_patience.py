"""One timer for many waits: each ends when it should, and a cancellation from elsewhere is not taken for lateness."""

from __future__ import annotations

import asyncio

import pytest

from reactor_sensors._webhook_patience import Patience

pytestmark = pytest.mark.virtual_time


async def _late_after(patience: Patience) -> float:
    """Wait for what never comes; return how long it was waited for."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError), patience.wait():
        await loop.create_future()
    return loop.time() - began


async def test_each_of_many_waits_is_given_up_in_its_own_time() -> None:
    patience = Patience(2.5)
    async with asyncio.TaskGroup() as group:
        waits = []
        for _ in range(3):
            waits.append(group.create_task(_late_after(patience), name="wait"))
            await asyncio.sleep(1.0)
    assert [wait.result() for wait in waits] == [pytest.approx(2.5)] * 3


async def test_a_wait_that_ended_in_time_does_not_shorten_the_next() -> None:
    patience = Patience(2.5)
    with patience.wait():
        await asyncio.sleep(2.0)
    assert await _late_after(patience) == pytest.approx(2.5)


async def test_what_ends_in_time_gives_its_result_and_raises_what_it_raised() -> None:
    patience = Patience(2.5)
    with pytest.raises(LookupError), patience.wait():
        raise LookupError
    with patience.wait():
        assert await asyncio.sleep(2.4, "result") == "result"
    await asyncio.sleep(10.0)


async def test_a_cancellation_from_elsewhere_passes() -> None:
    wait = asyncio.create_task(_late_after(Patience(2.5)), name="wait")
    await asyncio.sleep(1.0)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait


async def test_a_cancellation_in_the_moment_of_lateness_is_heard() -> None:
    patience = Patience(2.5)
    loop = asyncio.get_running_loop()
    wait = asyncio.create_task(_late_after(patience), name="wait")
    # Set before the wait's own timer, for the same instant: both cancel in one turn of the loop.
    loop.call_later(2.5, wait.cancel)
    with pytest.raises(asyncio.CancelledError):
        await wait
