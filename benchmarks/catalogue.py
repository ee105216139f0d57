"""Every benchmark by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import files, idle, kafka, pending, runs, webhooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.figures import Result, Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """`measure` is one round: it measures all sides, one after the other, and takes nothing from earlier rounds."""

    name: str
    title: str
    measure: Callable[[Scale], Result]


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            name="runs",
            title="Durable runs of 3 steps, 256 in flight, 200 bytes of data (engine in process)",
            measure=lambda scale: runs.measure_many(runs.MANY[scale]),
        ),
        Benchmark(
            name="alone",
            title="One run of 3 steps alone, accept to last step durable (engine in process)",
            measure=lambda scale: runs.measure_alone(runs.ALONE[scale]),
        ),
        Benchmark(
            name="files",
            title="File renamed to first line of a step (real daemon)",
            measure=lambda scale: files.measure(files.SIZES[scale]),
        ),
        Benchmark(
            name="webhooks",
            title="Signed webhooks accepted durably, 32 connections (real daemon)",
            measure=lambda scale: webhooks.measure(webhooks.SIZES[scale]),
        ),
        Benchmark(
            name="kafka",
            title="Kafka records of 200 bytes, 4 partitions (real daemon, real broker)",
            measure=lambda scale: kafka.measure(kafka.SIZES[scale]),
        ),
        Benchmark(
            name="idle",
            title="Cold start and idling, three kinds of sensors (real daemon)",
            measure=lambda scale: idle.measure(idle.SIZES[scale]),
        ),
        Benchmark(
            name="pending",
            title="A backlog of pending runs, each of 3 steps (engine, then real daemon)",
            measure=lambda scale: pending.measure(pending.SIZES[scale]),
        ),
    )
}
