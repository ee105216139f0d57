"""What an event costs with a thousand workflows registered, beside ten: where one listens, and where all do."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvloop

from benchmarks.apart import apart, scratch
from benchmarks.engine_load import SENSOR, Probe, Source, engine_over, three_steps
from benchmarks.figures import Figure, Result
from benchmarks.paired import Costs, Turns, compare

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.figures import Scale
    from reactor import Event
    from reactor.model.graph import Graph
    from reactor.model.sensor import Sensor

FEW = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many workflows there are beside FEW, and the turns of each comparison."""

    workflows: int
    together: Turns
    alone: Turns
    listening: Turns


SIZES: Mapping[Scale, Size] = {
    "tiny": Size(
        workflows=20,
        together=Turns(pairs=1, runs=8, in_flight=4),
        alone=Turns(pairs=1, runs=2, in_flight=1),
        listening=Turns(pairs=1, runs=2, in_flight=2),
    ),
    "quick": Size(
        workflows=1000,
        together=Turns(pairs=6, runs=1000, in_flight=256),
        alone=Turns(pairs=6, runs=50, in_flight=1),
        listening=Turns(pairs=3, runs=50, in_flight=32),
    ),
    "full": Size(
        workflows=1000,
        together=Turns(pairs=12, runs=2000, in_flight=256),
        alone=Turns(pairs=12, runs=100, in_flight=1),
        listening=Turns(pairs=5, runs=100, in_flight=32),
    ),
}

TOGETHER_FEW = Figure(name="10 registered, one listens, 256 in flight, per event", unit="µs")
TOGETHER_MANY = Figure(name="1,000 registered, the same", unit="µs")
TOGETHER = Figure(name="1,000 to 10 registered, 256 in flight", unit="×", at_most=1.2)
TOGETHER_CPU = Figure(name="the same, processor time", unit="×")
ALONE_FEW = Figure(name="10 registered, one run alone", unit="µs")
ALONE_MANY = Figure(name="1,000 registered, one run alone", unit="µs")
ALONE = Figure(name="1,000 to 10 registered, one run alone", unit="×", at_most=1.2)
LISTENING_FEW = Figure(name="10 listen, nine of them refuse, per event", unit="µs")
LISTENING_MANY = Figure(name="1,000 listen, 999 of them refuse, per event", unit="µs")
REFUSAL = Figure(name="each workflow that refuses an event", unit="µs")


def measure(size: Size) -> Result:
    """Measure FEW workflows and many, in turns."""
    with scratch() as few, scratch() as many:
        together, alone = apart(drive_one_listening, few, many, size)
    with scratch() as few, scratch() as many:
        listening = apart(drive_all_listening, few, many, size)
    added = listening.other_micros - listening.base_micros
    return Result(
        values={
            TOGETHER_FEW: together.base_micros,
            TOGETHER_MANY: together.other_micros,
            TOGETHER: together.ratio,
            TOGETHER_CPU: together.cpu_ratio,
            ALONE_FEW: alone.base_micros,
            ALONE_MANY: alone.other_micros,
            ALONE: alone.ratio,
            LISTENING_FEW: listening.base_micros,
            LISTENING_MANY: listening.other_micros,
            # Where it is lost in noise it is nothing, not less.
            REFUSAL: max(0.0, added / (size.workflows - FEW)),
        }
    )


def drive_one_listening(few: Path, many: Path, size: Size) -> tuple[Costs, Costs]:
    """Measure, in this process, workflows of which all but one wait for other sensors: many in flight, then one."""
    return uvloop.run(_one_listening(few, many, size))


def drive_all_listening(few: Path, many: Path, size: Size) -> Costs:
    """Measure, in this process, workflows that all listen, and all but one refuse."""
    return uvloop.run(_all_listening(few, many, size))


async def _one_listening(few: Path, many: Path, size: Size) -> tuple[Costs, Costs]:
    async with AsyncExitStack() as engines:
        base = await _engine(engines, few, FEW, are_all_listening=False)
        other = await _engine(engines, many, size.workflows, are_all_listening=False)
        together = await compare(base, other, size.together)
        return together, await compare(base, other, size.alone)


async def _all_listening(few: Path, many: Path, size: Size) -> Costs:
    async with AsyncExitStack() as engines:
        base = await _engine(engines, few, FEW, are_all_listening=True)
        other = await _engine(engines, many, size.workflows, are_all_listening=True)
        return await compare(base, other, size.listening)


async def _engine(
    engines: AsyncExitStack, directory: Path, workflows: int, *, are_all_listening: bool
) -> Source:
    sensor = Probe(name=SENSOR)
    sensors: list[Sensor] = [sensor]
    graphs: list[Graph] = [three_steps(sensor, concurrency=1024)]
    for number in range(1, workflows):
        name = f"other{number}"
        if are_all_listening:
            graphs.append(three_steps(sensor.where(is_for_others), concurrency=4, name=name))
        else:
            sensors.append(Probe(name=name))
            graphs.append(three_steps(sensors[-1], concurrency=4, name=name))
    return Source(await engines.enter_async_context(engine_over(directory, graphs, sensors)))


def is_for_others(event: Event[Any]) -> bool:
    """Return False: no event of this benchmark is."""
    return bool(event.data["k"] == "other")
