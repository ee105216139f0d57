"""What every sensor must do, whatever its source. A plug-in's tests inherit `SensorContract`."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING

import pytest

from reactor.errors import StoreFullError
from reactor.testing.intake import RecordingIntake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reactor.model.sensor import Sensor


@contextlib.asynccontextmanager
async def running(sensor: Sensor, intake: RecordingIntake) -> AsyncIterator[asyncio.Task[None]]:
    """Run the sensor until the block ends, then cancel it and wait for its end."""
    task = asyncio.create_task(sensor.run(intake), name=f"sensor {sensor.sensor_name}")
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class SensorContract:
    """Inherit, define the fixtures `sensor` and `intake` and the method `happen`, and run pytest."""

    @pytest.fixture
    @abstractmethod
    def sensor(self) -> Sensor: ...

    @pytest.fixture
    @abstractmethod
    def intake(self) -> RecordingIntake: ...

    @abstractmethod
    async def happen(self, intake: RecordingIntake, number: int) -> None:
        """Make the source produce its occurrence `number` (1, 2, …); each is another one."""

    async def test_it_says_when_it_is_up(self, sensor: Sensor, intake: RecordingIntake) -> None:
        async with running(sensor, intake):
            await intake.wait_until(lambda: intake.state == "up")

    async def test_an_occurrence_becomes_one_event(
        self, sensor: Sensor, intake: RecordingIntake
    ) -> None:
        async with running(sensor, intake):
            await intake.wait_until(lambda: intake.state == "up")
            await self.happen(intake, 1)
            await intake.wait_for_events(1)
        assert len(intake.events) == 1

    async def test_a_restart_repeats_no_event_and_misses_none(
        self, sensor: Sensor, intake: RecordingIntake
    ) -> None:
        for number in (1, 2, 3):
            intake.state = "starting"
            async with running(sensor, intake):
                await intake.wait_until(lambda: intake.state == "up")
                await self.happen(intake, number)
                await intake.wait_for_events(number)
        identities = [(event.source, event.id) for event in intake.events]
        assert len(identities) == len(set(identities)) == 3

    async def test_an_event_is_offered_again_when_the_store_refused_it(
        self, sensor: Sensor, intake: RecordingIntake
    ) -> None:
        async with running(sensor, intake) as task:
            await intake.wait_until(lambda: intake.state == "up")
            intake.fail_next(StoreFullError("no space left on the device"))
            with contextlib.suppress(StoreFullError):
                await self.happen(intake, 1)
            if not await self.survives_refusal(task):
                return
            await intake.wait_for_events(1)
        assert len(intake.events) == 1

    async def survives_refusal(self, task: asyncio.Task[None]) -> bool:
        """Return whether the sensor retries by itself; one whose client retries (HTTP) overrides this with False."""
        return not task.done()

    async def test_cancelling_ends_it(self, sensor: Sensor, intake: RecordingIntake) -> None:
        async with running(sensor, intake) as task:
            await intake.wait_until(lambda: intake.state == "up")
        assert task.cancelled() or task.done()

    async def test_its_name_is_fit_for_a_label(self, sensor: Sensor) -> None:
        assert 0 < len(sensor.sensor_name) <= 200
        assert sensor.sensor_name.isprintable()
