"""A real Prometheus scrapes the page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from reactor.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

HOW_TO_GET = "prometheus is not installed; on Debian and Ubuntu: apt install prometheus"
LISTENING = re.compile(rb'address="?127\.0\.0\.1:(\d+)')


class ScrapedServer(ThreadingHTTPServer):
    """Serves the metrics, and lets a test wait for the answers it gave."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(("127.0.0.1", 0), ScrapeHandler)
        self.metrics = metrics
        self.answered = threading.Semaphore(0)
        self.content_type = ""


class ScrapeHandler(BaseHTTPRequestHandler):
    server: ScrapedServer

    def do_GET(self) -> None:
        page, content_type = self.server.metrics.render(self.headers.get("Accept"))
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
        self.server.content_type = content_type
        self.server.answered.release()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(metrics: Metrics) -> Iterator[ScrapedServer]:
    server = ScrapedServer(metrics)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.asynccontextmanager
async def prometheus(binary: str, directory: Path, target: str) -> AsyncIterator[str]:
    """Run Prometheus against `target` until the block ends; gives its address."""
    config = directory / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: reactor, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    process = await asyncio.create_subprocess_exec(
        binary,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    drain = None
    try:
        async with asyncio.timeout(20):
            address = await listening_address(process.stderr)
        drain = asyncio.create_task(process.stderr.read(), name="rest of the log")
        yield address
    finally:
        process.kill()
        await process.wait()
        if drain is not None:
            await drain


async def listening_address(log: asyncio.StreamReader) -> str:
    seen = []
    async for line in log:
        seen.append(line)
        if b"istening on" in line and (found := LISTENING.search(line)) and found[1] != b"0":
            return f"http://127.0.0.1:{int(found[1])}"
    raise AssertionError(b"".join(seen).decode())


def ask(address: str, query: str) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"{address}/api/v1/query?query={query}", timeout=5) as answer:
        result: list[dict[str, object]] = json.load(answer)["data"]["result"]
    return result


@pytest.mark.real_time
async def test_a_real_prometheus_reads_the_counts(tmp_path: Path) -> None:
    binary = shutil.which("prometheus")
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail(HOW_TO_GET)
        pytest.skip(HOW_TO_GET)
    metrics = Metrics()
    metrics.runs.add(("rates", "succeeded"), 41)
    metrics.step_duration.observe(("rates", "load"), 0.2)
    with serving(metrics) as server:
        target = f"127.0.0.1:{server.server_port}"
        async with prometheus(binary, tmp_path, target) as address, asyncio.timeout(20):
            result: list[dict[str, object]] = []
            while not result:
                # An answer is stored a moment after it was given, so the first query may be early.
                await asyncio.to_thread(server.answered.acquire)
                result = await asyncio.to_thread(ask, address, "reactor_runs_total")
            up = await asyncio.to_thread(ask, address, "up")
    [runs] = result
    assert isinstance(runs["value"], list)
    assert runs["value"][1] == "41"
    assert runs["metric"] == {
        "__name__": "reactor_runs_total",
        "instance": target,
        "job": "reactor",
        "outcome": "succeeded",
        "workflow": "rates",
    }
    assert isinstance(up[0]["value"], list)
    assert up[0]["value"][1] == "1"
    assert server.content_type.startswith("application/openmetrics-text")
