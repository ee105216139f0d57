"""A sensor that ends is begun again, however it ended, unless it was told to end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from reactor.engine.supervisor import Supervisor
from reactor.model.sensor import Sensor
from reactor.telemetry.facts import SensorFailed
from reactor.testing import LoopClock

if TYPE_CHECKING:
    from reactor.engine.engine import Engine
    from reactor.engine.intake import Routes
    from reactor.model.sensor import Intake

pytestmark = pytest.mark.virtual_time


class Failing(Sensor):
    """Fails the first time it runs, by `how`, and then runs on."""

    kind: ClassVar[str] = "failing"

    how: str

    def label(self) -> str:
        return self.how

    async def run(self, intake: Intake) -> None:
        starts.append(self.how)
        if len(starts) == 1 and self.how == "error":
            raise ConnectionError("the source is away")
        if len(starts) == 1:
            awaited = asyncio.get_running_loop().create_task(asyncio.sleep(1), name="its own")
            awaited.cancel()
            # As libraries do; CancelledError comes out of it although nobody cancelled the sensor.
            await awaited
        intake.up()
        await asyncio.Event().wait()


starts: list[str] = []


@pytest.mark.parametrize("how", ["error", "cancellation"])
async def test_a_sensor_that_failed_is_begun_again_and_said_to_have_failed(how: str) -> None:
    starts.clear()
    facts: list[Any] = []
    engine = SimpleNamespace(clock=LoopClock(), telemetry=SimpleNamespace(emit=facts.append))
    supervisor = Supervisor(cast("Engine", engine), cast("Routes", None), Path())
    await supervisor.run_only({how: Failing(how=how)})
    async with asyncio.timeout(60):
        while not supervisor.sensors_up()[how]:
            await supervisor.next_change()
    assert starts == [how, how]
    assert [type(fact) for fact in facts][:1] == [SensorFailed]
    async with asyncio.timeout(60):
        await supervisor.stop()
    assert starts == [how, how]
