"""What an event costs over a journal of millions, beside one of ten thousand.

The journal is written by plain SQL into the product's own schema: events with identities in no order, as senders
choose them, each with its finished run of three steps. It was written just before, so the kernel may hold it.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvloop

from benchmarks.apart import apart, scratch
from benchmarks.bare_loop import STEPS
from benchmarks.engine_load import SENSOR, Probe, Source, engine_over, three_steps
from benchmarks.figures import Figure, MeasurementError, Result
from benchmarks.paired import Costs, Turns, compare
from reactor.store.sqlite.connection import DATABASE, open_for_writing
from reactor.store.sqlite.identities import SEGMENT_EVENTS
from reactor.store.sqlite.operations import BatchApplier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.figures import Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many events lie in the small journal and in the large one, how many come before the turns, and the turns."""

    small: int
    large: int
    before_small: int
    before_large: int
    together: Turns
    alone: Turns


# As many runs as there are identities in a segment, so that what is put off until there are so many is done just once.
A_SEGMENT = Turns(pairs=16, runs=SEGMENT_EVENTS // 16, in_flight=256)
SMALL_EVENTS = 10_000
# The large journal begins a segment with its first event, the small one only once it has as many events as one holds.
# To compare a turn in which identities move into a segment with one in which none do says nothing of how long the
# journal is: so many events come before that the segment is whole, and both sides begin the next with the same event.
BEFORE_LARGE = 3 * SEGMENT_EVENTS // 4
BEFORE_SMALL = BEFORE_LARGE - SMALL_EVENTS
SIZES: Mapping[Scale, Size] = {
    "tiny": Size(
        small=20,
        large=200,
        before_small=4,
        before_large=4,
        together=Turns(pairs=1, runs=8, in_flight=4),
        alone=Turns(pairs=1, runs=2, in_flight=1),
    ),
    "quick": Size(
        small=SMALL_EVENTS,
        large=200_000,
        before_small=BEFORE_SMALL,
        before_large=BEFORE_LARGE,
        together=Turns(pairs=6, runs=1000, in_flight=256),
        alone=Turns(pairs=6, runs=50, in_flight=1),
    ),
    "full": Size(
        small=SMALL_EVENTS,
        large=31 * SEGMENT_EVENTS,
        before_small=BEFORE_SMALL,
        before_large=BEFORE_LARGE,
        together=A_SEGMENT,
        alone=Turns(pairs=12, runs=100, in_flight=1),
    ),
}
HUGE = {
    **SIZES,
    "full": Size(
        small=SMALL_EVENTS,
        large=306 * SEGMENT_EVENTS,
        before_small=BEFORE_SMALL,
        before_large=BEFORE_LARGE,
        together=A_SEGMENT,
        alone=Turns(pairs=12, runs=100, in_flight=1),
    ),
}

EVENTS = Figure(name="events in the large journal", unit="events")
FILE = Figure(name="its file", unit="MB")
SMALL = Figure(name="over 10,000, 256 in flight, per event", unit="µs")
LARGE = Figure(name="over the large one, the same", unit="µs")
RATIO = Figure(name="large to small, 256 in flight", unit="×", at_most=1.2)
CPU_RATIO = Figure(name="the same, processor time", unit="×")
ALONE_SMALL = Figure(name="over 10,000, one run alone", unit="µs")
ALONE_LARGE = Figure(name="over the large one, one run alone", unit="µs")
ALONE_RATIO = Figure(name="large to small, one run alone", unit="×", at_most=1.2)
OPENED = Figure(name="the large one opened and recovered", unit="ms")

_INSTANT = 1_700_000_000_000_000
_EVENTS = f"""
WITH RECURSIVE number (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < :count)
INSERT INTO event_row (seq, source, id, sensor, type, time, accepted_at, data, decisions)
SELECT i, '{SENSOR}', lower(hex(randomblob(16))), '{SENSOR}', 'test', :instant + i, :instant + i,
       CAST('{{"k":"' || printf('%.192c', 'v') || '"}}' AS BLOB), '[["bench","fired","0000000000000",""]]'
FROM number
"""
_RUNS = """
INSERT INTO run (id, workflow, event, state, outcome, created_at, started_at, finished_at)
SELECT :count + seq, 'bench', seq, 'finished', 'succeeded', time, time, time FROM event_row
"""
_STEPS = """
INSERT INTO step (run, name, outcome, attempt, started_at, finished_at, result)
SELECT :count + event.seq, step.column1, 'succeeded', 1, event.time, event.time, CAST('1' AS BLOB)
FROM event_row AS event CROSS JOIN (VALUES ('first'), ('second'), ('third')) AS step
"""


def measure(size: Size) -> Result:
    """Write both journals, then let engines over them take turns."""
    with scratch() as small, scratch() as large:
        write_journal(small / DATABASE, size.small)
        write_journal(large / DATABASE, size.large)
        megabytes = (large / DATABASE).stat().st_size / 1e6
        together, alone, opened = apart(drive, small, large, size)
    return Result(
        values={
            EVENTS: size.large,
            FILE: megabytes,
            SMALL: together.base_micros,
            LARGE: together.other_micros,
            RATIO: together.ratio,
            CPU_RATIO: together.cpu_ratio,
            ALONE_SMALL: alone.base_micros,
            ALONE_LARGE: alone.other_micros,
            ALONE_RATIO: alone.ratio,
            OPENED: opened * 1e3,
        }
    )


def write_journal(path: Path, count: int) -> None:
    """Make a database of `count` events and all that they led to, some 650 bytes each."""
    with closing(open_for_writing(path)) as connection:
        # Nobody needs this file if the machine stops now.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        # Made after the rows, they are sorted once; made with them, identities in no order would be spread by hand.
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for statement in (_EVENTS, _RUNS, _STEPS):
            connection.execute(statement, {"count": count, "instant": _INSTANT})
        for _, text in indexes:
            connection.execute(text)
        connection.execute("COMMIT")
        # As after years of events: all identities but the newest are in segments, and nothing is left to be written.
        BatchApplier().load(connection)
    with path.open("rb") as database:
        os.fsync(database.fileno())


def drive(small: Path, large: Path, size: Size) -> tuple[Costs, Costs, float]:
    """Measure in this process: many in flight, one alone, and the seconds until the large one was open."""
    return uvloop.run(_drive(small, large, size))


async def _drive(small: Path, large: Path, size: Size) -> tuple[Costs, Costs, float]:
    async with AsyncExitStack() as engines:
        base = await _engine(engines, small)
        began = time.perf_counter()
        other = await _engine(engines, large)
        opened = time.perf_counter() - began
        await base.see_through(runs=size.before_small, in_flight=size.together.in_flight)
        await other.see_through(runs=size.before_large, in_flight=size.together.in_flight)
        together = await compare(base, other, size.together)
        alone = await compare(base, other, size.alone)
    # With the turn of each that warms up.
    turns = sum((turns.pairs + 1) * turns.runs for turns in (size.together, size.alone))
    _check(small / DATABASE, size.small, size.before_small + turns)
    _check(large / DATABASE, size.large, size.before_large + turns)
    return together, alone, opened


async def _engine(engines: AsyncExitStack, directory: Path) -> Source:
    sensor = Probe(name=SENSOR)
    graph = three_steps(sensor, concurrency=1024)
    engine = await engines.enter_async_context(engine_over(directory, [graph], [sensor]))
    # As senders choose them: each new one belongs somewhere else among those known.
    return Source(engine, id_of=lambda _: uuid.uuid4().hex)


def _check(path: Path, count: int, runs: int) -> None:
    """Raise MeasurementError unless so many runs are in the database, besides the `count` that were there."""
    with closing(sqlite3.connect(path)) as connection:
        done = connection.execute(
            "SELECT count(*) FROM run WHERE id > ? AND outcome = 'succeeded'", (2 * count,)
        ).fetchone()[0]
        steps = connection.execute(
            "SELECT count(*) FROM step WHERE run > ?", (2 * count,)
        ).fetchone()[0]
    if (done, steps) != (runs, STEPS * runs):
        raise MeasurementError(
            f"the engine left {done} runs and {steps} steps; expected {runs} and {STEPS * runs}"
        )
