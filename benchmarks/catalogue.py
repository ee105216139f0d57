"""Every benchmark by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import (
    files,
    idle,
    journal,
    kafka,
    many_files,
    pending,
    runs,
    webhooks,
    workflows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.figures import Result, Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """`measure` is one round: it measures all sides, one after the other, and takes nothing from earlier rounds.

    Its second argument tells whether programs of others are among the sides. One that `takes_long` is measured
    only when it is asked for.
    """

    name: str
    title: str
    measure: Callable[[Scale, bool], Result]
    takes_long: bool = False


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            name="runs",
            title="Durable runs of 3 steps, 256 in flight, 200 bytes of data (engine in process)",
            measure=lambda scale, peers: runs.measure_many(runs.MANY[scale], peers=peers),
        ),
        Benchmark(
            name="alone",
            title="One run of 3 steps alone, accept to last step durable (engine in process)",
            measure=lambda scale, peers: runs.measure_alone(runs.ALONE[scale], peers=peers),
        ),
        Benchmark(
            name="files",
            title="File renamed to first line of a step (real daemon)",
            measure=lambda scale, peers: files.measure(files.SIZES[scale], peers=peers),
        ),
        Benchmark(
            name="many-files",
            title="2,000 files at once (real daemon)",
            measure=lambda scale, peers: many_files.measure(many_files.SIZES[scale], peers=peers),
        ),
        Benchmark(
            name="webhooks",
            title="Signed webhooks accepted durably, 32 connections (real daemon)",
            measure=lambda scale, peers: webhooks.measure(webhooks.SIZES[scale], peers=peers),
        ),
        Benchmark(
            name="kafka",
            title="Kafka records of 200 bytes, 4 partitions (real daemon, real broker)",
            measure=lambda scale, peers: kafka.measure(kafka.SIZES[scale], peers=peers),
        ),
        Benchmark(
            name="idle",
            title="Cold start and idling, three kinds of sensors (real daemon)",
            measure=lambda scale, _: idle.measure(idle.SIZES[scale]),
        ),
        Benchmark(
            name="pending",
            title="A backlog of pending runs, each of 3 steps (engine, then real daemon)",
            measure=lambda scale, _: pending.measure(pending.SIZES[scale]),
        ),
        Benchmark(
            name="journal",
            title="Runs of 3 steps over a long journal (engine in process)",
            measure=lambda scale, _: journal.measure(journal.SIZES[scale]),
        ),
        Benchmark(
            name="journal-huge",
            title="Runs of 3 steps over a very long journal (engine in process)",
            measure=lambda scale, _: journal.measure(journal.HUGE[scale]),
            takes_long=True,
        ),
        Benchmark(
            name="workflows",
            title="1,000 workflows registered (engine in process)",
            measure=lambda scale, _: workflows.measure(workflows.SIZES[scale]),
        ),
    )
}
