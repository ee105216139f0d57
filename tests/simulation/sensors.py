"""Sensors over the world's sources. A source is told that a message is taken when `accept` has returned, not before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from reactor.errors import OverloadedError, StoreFullError
from reactor.model.event import Event
from reactor.model.sensor import Rejected, Sensor

if TYPE_CHECKING:
    from reactor.model.sensor import Intake
    from tests.simulation.world import Source, World

FULL_SECONDS = 0.5
AGAIN_SECONDS = 0.05


class SimulatedSensor(Sensor):
    """What both have in common. `world` and `source` outlive it."""

    kind: ClassVar[str] = "simulated"

    world: Any
    source: Any

    def event(self, number: int) -> Event[Any]:
        source: Source = self.source
        return Event(
            id=source.id_of(number),
            source=f"simulated:{source.plan.name}",
            type="message",
            time=self.world.now(),
            data={"n": number},
        )

    def garbage(self, number: int) -> Rejected:
        return Rejected(
            event_id=self.source.id_of(number),
            raw=f"garbage {number}".encode(),
            reason="garbage",
            detail="as planned",
        )

    async def offer(
        self, intake: Intake, number: int, cursor: dict[str, bytes | None], *, wait: bool
    ) -> None:
        """Hand one message in, as what it is, and tell the source."""
        world: World = self.world
        source: Source = self.source
        since = len(world.loaded) - 1
        try:
            duplicate = await self._hand_in(intake, number, cursor, wait=wait)
        except BaseException:
            source.offered[number].append((since, len(world.loaded) - 1))
            raise
        world.acknowledge(source, number, since, duplicate=duplicate)

    async def _hand_in(
        self, intake: Intake, number: int, cursor: dict[str, bytes | None], *, wait: bool
    ) -> bool:
        source: Source = self.source
        name = source.id_of(number)
        if source.is_garbage(number):
            garbage = self.garbage(number)
            accepted = await intake.reject(
                garbage.raw,
                reason=garbage.reason,
                detail=garbage.detail,
                event_id=garbage.event_id,
                cursor=cursor,
            )
            return accepted.duplicate
        if source.is_skipped(number):
            await intake.skip(name, reason="planned", at=self.world.now(), cursor=cursor)
            return number in source.acknowledged
        accepted = await intake.accept(self.event(number), cursor=cursor, wait=wait)
        return accepted.duplicate


class PullSensor(SimulatedSensor):
    """Reads a source in order, like a Kafka partition: the position lies in the commit of the events."""

    async def run(self, intake: Intake) -> None:
        source: Source = self.source
        intake.up()
        while True:
            position = int((await intake.cursor()).get("at", b"0"))
            # Where the answer was cut off by a death, the position tells.
            source.acknowledged.update(range(position))
            if position >= source.plan.count:
                return
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(max(source.due_at(position) - now, 0.0))
            try:
                await self._take_some(intake, position)
            except StoreFullError:
                await asyncio.sleep(FULL_SECONDS)
            except OverloadedError:
                await asyncio.sleep(source.refused())

    async def _take_some(self, intake: Intake, position: int) -> None:
        source: Source = self.source
        now = asyncio.get_running_loop().time()
        ready: list[int] = []
        for number in range(position, min(position + source.plan.most, source.plan.count)):
            if source.due_at(number) > now or source.is_skipped(number):
                break
            ready.append(number)
        if len(ready) < 2:
            cursor: dict[str, bytes | None] = {"at": b"%d" % (position + 1)}
            await self.offer(intake, position, cursor, wait=source.plan.waits)
            return
        world: World = self.world
        since = len(world.loaded) - 1
        try:
            answers = await intake.accept_many(
                [self.event(number) for number in ready if not source.is_garbage(number)],
                cursor={"at": b"%d" % (ready[-1] + 1)},
                rejected=[self.garbage(number) for number in ready if source.is_garbage(number)],
            )
        except BaseException:
            for number in ready:
                source.offered[number].append((since, len(world.loaded) - 1))
            raise
        for number, accepted in zip(sorted(ready, key=source.is_garbage), answers, strict=True):
            world.acknowledge(source, number, since, duplicate=accepted.duplicate)


class PushSensor(SimulatedSensor):
    """Senders that deliver again until there is an answer, like those of webhooks. A storm cancels their requests."""

    async def run(self, intake: Intake) -> None:
        source: Source = self.source
        intake.up()
        left = [n for n in range(source.plan.count) if n not in source.acknowledged]
        async with asyncio.TaskGroup() as group:
            for lane in range(source.plan.most):
                mine = [number for number in left if number % source.plan.most == lane]
                if mine:
                    group.create_task(self._deliver(intake, mine), name=f"sender {lane}")

    async def _deliver(self, intake: Intake, numbers: list[int]) -> None:
        source: Source = self.source
        for number in numbers:
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(max(source.due_at(number) - now, 0.0))
            while not await self._request(intake, number):
                pass
            if source.plan.repeats and number % source.plan.repeats == 0:
                await self._request(intake, number)

    async def _request(self, intake: Intake, number: int) -> bool:
        """Make one request, which may be cut off; return whether it was answered."""
        world: World = self.world
        source: Source = self.source
        request = asyncio.get_running_loop().create_task(
            self.offer(intake, number, {}, wait=source.plan.waits), name="request"
        )
        world.requests.append(request)
        try:
            await asyncio.wait((request,))
        except asyncio.CancelledError:
            request.cancel()
            await asyncio.wait((request,))
            raise
        finally:
            if request in world.requests:
                world.requests.remove(request)
        if request.cancelled():
            await asyncio.sleep(world.luck.random() * AGAIN_SECONDS)
            return False
        error = request.exception()
        if isinstance(error, StoreFullError):
            await asyncio.sleep(FULL_SECONDS)
        elif isinstance(error, OverloadedError):
            await asyncio.sleep(source.refused())
        elif error is not None:
            raise error
        return error is None


def sensor_of(world: World, source: Source) -> SimulatedSensor:
    """Return the sensor of a source."""
    kind = PullSensor if source.plan.delivery == "pull" else PushSensor
    return kind(name=source.plan.name, world=world, source=source)
