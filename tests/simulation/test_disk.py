"""The simulation's store is a store: it keeps the whole contract, and a death tears nothing in it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from reactor.errors import StoreFullError, StoreStoppedError
from reactor.testing.store_contract import OpenStore, StoreContract, add, run_row
from tests.simulation.disk import Disk, SimulatedStore

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def disk() -> Disk:
    return Disk(random.Random(1))


@pytest.fixture
async def open_store(disk: Disk) -> AsyncIterator[OpenStore]:
    opened: list[SimulatedStore] = []

    async def open_again() -> SimulatedStore:
        if opened:
            await opened.pop().close()
        opened.append(SimulatedStore(disk))
        return opened[0]

    yield open_again
    if opened:
        await opened.pop().close()
    disk.close()


class TestSimulatedStore(StoreContract):
    @pytest.fixture
    def open_store(self, open_store: OpenStore) -> OpenStore:
        return open_store


async def test_a_full_disk_keeps_nothing_and_recovers(disk: Disk, open_store: OpenStore) -> None:
    store = await open_store()
    disk.is_full = lambda: True
    with pytest.raises(StoreFullError):
        await add(store, 1, run_row(2, 1))
    assert await store.event(1) is None
    disk.is_full = lambda: False
    assert await add(store, 1, run_row(2, 1))


@pytest.mark.parametrize("is_durable", [True, False])
async def test_a_broken_disk_answers_nobody_whatever_it_kept(
    disk: Disk, open_store: OpenStore, is_durable: bool
) -> None:
    store = await open_store()
    disk.breaks = is_durable
    with pytest.raises(StoreStoppedError):
        await add(store, 1)
    with pytest.raises(StoreStoppedError):
        await add(store, 2)
    assert (await store.event(1) is not None) == is_durable
    assert await store.event(2) is None
