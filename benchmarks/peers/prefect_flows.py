"""Prefect, async flows of three async tasks with persisted results, over its own server on its default store, SQLite.

Prints flow runs per second or, with one in flight, the median time of one in milliseconds. Arguments: a directory for
all state, a free port, flow runs, flow runs in flight. Runs in an environment of its own (prefect.txt), so it imports
nothing of Reactor. Source: https://docs.prefect.io/v3/how-to-guides/self-hosted/server-cli
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

PAYLOAD = {"k": "v" * 192}
START_SECONDS = 90.0
LOOK_SECONDS = 0.2


def configure(directory: Path, port: str) -> str:
    """Set what both processes read when Prefect is imported; return the URL of the server."""
    url = f"http://127.0.0.1:{port}/api"
    os.environ.update(
        {
            "PREFECT_HOME": str(directory),
            "PREFECT_API_URL": url,
            "PREFECT_SERVER_API_PORT": port,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "DO_NOT_TRACK": "1",
        }
    )
    return url


@contextmanager
def server(url: str):
    """Run the server for a block; it is ended after it."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        await_server(url, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def await_server(url: str, process: subprocess.Popen) -> None:
    """Return once the server answers."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url + "/health", timeout=5).close()
        except OSError:
            time.sleep(LOOK_SECONDS)
        else:
            return
    raise SystemExit(f"Prefect's server did not answer at {url} in {START_SECONDS:.0f} s")


async def drive(flow, runs: int, in_flight: int) -> tuple[float, list[float]]:
    """Return the seconds that all flow runs took together, and the milliseconds of each."""
    numbers = iter(range(runs))
    latencies = []

    async def work() -> None:
        for _ in numbers:
            began = time.perf_counter()
            await flow(PAYLOAD)
            latencies.append((time.perf_counter() - began) * 1e3)

    # The first one also connects.
    await flow(PAYLOAD)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(in_flight):
            group.create_task(work(), name=f"source {number}")
    return time.perf_counter() - began, latencies


def three_tasks():
    """Return the flow; Prefect reads its settings when it is imported, so it is imported here."""
    from prefect import flow, task

    @task(persist_result=True)
    async def first(event: dict) -> int:
        return 1

    @task(persist_result=True)
    async def following(value: int) -> int:
        return value + 1

    @flow
    async def bench(event: dict) -> int:
        return await following(await following(await first(event)))

    return bench


def main() -> None:
    """Drive Prefect over a new database."""
    runs, in_flight = int(sys.argv[3]), int(sys.argv[4])
    url = configure(Path(sys.argv[1]), sys.argv[2])
    with server(url):
        seconds, latencies = asyncio.run(drive(three_tasks(), runs, in_flight))
    print(statistics.median(latencies) if in_flight == 1 else runs / seconds)


if __name__ == "__main__":
    main()
