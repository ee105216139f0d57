"""DBOS, async workflows of three async steps on its default store, SQLite: each result is stored before the next step.

Prints runs per second or, with one run in flight, the median time of a run in milliseconds. Arguments: a directory for
the database, its journal mode (`delete`, as DBOS leaves it, or `wal`), runs, runs in flight. Runs in an environment of
its own (dbos.txt), so it imports nothing of Reactor. Source: https://docs.dbos.dev/python/programming-guide
"""

import asyncio
import sqlite3
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path

from dbos import DBOS, DBOSConfig

PAYLOAD = {"k": "v" * 192}
STEPS = 3


@DBOS.step()
async def first(event: dict) -> int:
    """Return a first result."""
    return 1


@DBOS.step()
async def following(value: int) -> int:
    """Return the result after that."""
    return value + 1


@DBOS.workflow()
async def bench(event: dict) -> int:
    """Call three steps, each with the result of the one before."""
    return await following(await following(await first(event)))


async def drive(runs: int, in_flight: int) -> tuple[float, list[float]]:
    """Return the seconds that all runs took together, and the milliseconds of each."""
    numbers = iter(range(runs))
    latencies = []

    async def work() -> None:
        for _ in numbers:
            began = time.perf_counter()
            await bench(PAYLOAD)
            latencies.append((time.perf_counter() - began) * 1e3)

    # The first run also opens connections and starts threads.
    await bench(PAYLOAD)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(in_flight):
            group.create_task(work(), name=f"source {number}")
    return time.perf_counter() - began, latencies


def check(path: Path, runs: int) -> None:
    """End with an error unless every run and every step is in the database."""
    with closing(sqlite3.connect(path)) as connection:
        done = connection.execute(
            "SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS'"
        ).fetchone()[0]
        steps = connection.execute("SELECT count(*) FROM operation_outputs").fetchone()[0]
    if (done, steps) != (runs, STEPS * runs):
        raise SystemExit(
            f"DBOS left {done} runs and {steps} steps; expected {runs} and {STEPS * runs}"
        )


def main() -> None:
    """Drive DBOS over a new database."""
    path, mode = Path(sys.argv[1]) / "dbos.sqlite", sys.argv[2]
    runs, in_flight = int(sys.argv[3]), int(sys.argv[4])
    with closing(sqlite3.connect(path)) as connection:
        # The file keeps this, whoever opens it.
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE keeps_the_mode (x)")
        connection.execute("DROP TABLE keeps_the_mode")
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{path}",
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    seconds, latencies = asyncio.run(drive(runs, in_flight))
    DBOS.destroy()
    check(path, runs + 1)
    print(statistics.median(latencies) if in_flight == 1 else runs / seconds)


if __name__ == "__main__":
    main()
