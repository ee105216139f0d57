"""Keeps sensors running: starts them, starts them again after an error, ends them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from reactor.clock import monotonic
from reactor.engine.intake import STARTING, SensorIntake
from reactor.errors import StoreStoppedError
from reactor.model.trigger import spell_error
from reactor.telemetry.facts import SensorFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reactor.engine.engine import Engine
    from reactor.engine.intake import Routes
    from reactor.model.sensor import Sensor

FIRST_RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 60.0
# A sensor that ran for so long before it failed begins again with the shortest delay.
STEADY_SECONDS = 60.0


class Supervisor:
    """Runs each sensor in a task of its own."""

    def __init__(self, engine: Engine, routes: Routes, directory: Path) -> None:
        self._engine = engine
        self._routes = routes
        self._directory = directory
        self._changed = asyncio.Event()
        self._running: dict[str, tuple[Sensor, SensorIntake, asyncio.Task[None]]] = {}

    def troubles(self) -> dict[str, str]:
        """Return why each sensor that does not watch its source does not."""
        return {
            name: intake.trouble
            for name, (_, intake, _) in self._running.items()
            if intake.trouble is not None
        }

    def sensors_up(self) -> dict[str, bool]:
        """Return for each sensor whether it watches its source."""
        return {name: intake.trouble is None for name, (_, intake, _) in self._running.items()}

    def lags(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return how far sensors are behind their sources, those that say so: in records, and in seconds."""
        intakes = [(name, intake) for name, (_, intake, _) in self._running.items()]
        return (
            {name: one.lag_records for name, one in intakes if one.lag_records is not None},
            {name: one.lag_seconds for name, one in intakes if one.lag_seconds is not None},
        )

    def paused_partitions(self) -> dict[str, int]:
        """Return how many partitions are held back for want of credit, of those sensors that say so."""
        return {
            name: intake.paused_partitions
            for name, (_, intake, _) in self._running.items()
            if intake.paused_partitions is not None
        }

    async def next_change(self) -> None:
        """Return when a sensor has said something about itself."""
        self._changed.clear()
        await self._changed.wait()

    async def all_tried(self) -> None:
        """Return once every sensor has said whether it watches its source."""
        while STARTING in self.troubles().values():
            await self.next_change()

    def sensor(self, name: str) -> Sensor | None:
        """Return a running sensor."""
        found = self._running.get(name)
        return None if found is None else found[0]

    async def seek(self, name: str, where: str, to: str) -> str:
        """Let a running sensor move its cursor; return in words what was done. Raises KeyError or ValueError."""
        sensor, intake, _ = self._running[name]
        return await sensor.seek(intake, where, to)

    async def run_only(self, sensors: Mapping[str, Sensor]) -> None:
        """Make these sensors run and no others; one that is unchanged goes on undisturbed."""
        gone = [
            name
            for name, (sensor, _, _) in self._running.items()
            if name not in sensors or sensors[name] != sensor
        ]
        await self._stop(gone)
        for name, sensor in sensors.items():
            if name not in self._running:
                intake = SensorIntake(
                    self._engine, name, self._routes, self._directory, self._changed.set
                )
                task = asyncio.get_running_loop().create_task(
                    self._keep_running(sensor, intake), name=f"sensor {name}"
                )
                self._running[name] = (sensor, intake, task)

    async def stop(self) -> None:
        """End all sensors and wait for their end."""
        await self._stop([*self._running])

    async def _stop(self, names: list[str]) -> None:
        tasks = [self._running.pop(name)[2] for name in names]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _keep_running(self, sensor: Sensor, intake: SensorIntake) -> None:
        delay = FIRST_RESTART_SECONDS
        while True:
            started = monotonic()
            try:
                await sensor.run(intake)
            except StoreStoppedError:
                return
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Nobody asked for it: a library awaited something of its own that it had cancelled.
                reason = "a cancellation that nobody asked for came out of the sensor"
            except Exception as error:  # noqa: BLE001  # the supervisor is one of three places that catch all
                reason = spell_error(error)
            else:
                # A sensor may come to its end: an instant that is past, a source that is closed.
                return
            if monotonic() - started > STEADY_SECONDS:
                delay = FIRST_RESTART_SECONDS
            intake.trouble = reason
            self._changed.set()
            self._engine.telemetry.emit(
                SensorFailed(
                    sensor=intake.sensor, error=reason, restart_in=timedelta(seconds=delay)
                )
            )
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_RESTART_SECONDS)
