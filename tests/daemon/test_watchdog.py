"""The watchdog names the line that holds the loop. Blocking a real loop is the subject."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import FrameType

import pytest
import uvloop

from reactor.daemon.watchdog import Watchdog
from reactor.telemetry import Metrics, Telemetry
from reactor.telemetry.facts import Fact, LoopBlocked, LoopUnblocked, SensorUp

pytestmark = pytest.mark.real_time


Run = Callable[[Callable[[], Awaitable[None]]], None]


class Recorder:
    """Keeps what the watchdog says and when, and lets a test wait for it."""

    def __init__(self) -> None:
        self.told: list[tuple[float, LoopBlocked | LoopUnblocked]] = []
        self._enough = threading.Semaphore(0)

    def take(self, fact: Fact) -> None:
        if isinstance(fact, LoopBlocked | LoopUnblocked):
            self.told.append((time.monotonic(), fact))
            self._enough.release()

    async def wait_for(self, count: int) -> list[LoopBlocked | LoopUnblocked]:
        for _ in range(count):
            assert await asyncio.to_thread(self._enough.acquire, timeout=10)
        return [fact for _, fact in self.told]


def block(seconds: float) -> None:
    time.sleep(seconds)  # the line that is named


BLOCKING_LINE = inspect.getsourcelines(block)[1] + 1


def run_both(main: Callable[[], Awaitable[None]], factory: object) -> None:
    async def entry() -> None:
        await main()

    with asyncio.Runner(loop_factory=factory) as runner:  # type: ignore[arg-type]  # a parameter
        runner.run(entry())


@pytest.fixture(
    params=[asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def run(request: pytest.FixtureRequest) -> Run:
    return lambda main: run_both(main, request.param)


def watched(recorder: Recorder) -> Telemetry:
    return Telemetry(Metrics(), [recorder])


def test_a_blocked_loop_is_named_with_file_and_line_within_200_ms(run: Run) -> None:
    async def main() -> None:
        recorder = Recorder()
        telemetry = watched(recorder)
        with Watchdog(telemetry):
            await asyncio.sleep(0)
            began = time.monotonic()
            telemetry.emit(SensorUp(sensor="s"))
            block(0.4)
            blocked, unblocked = await recorder.wait_for(2)
        assert recorder.told[0][0] - began <= 0.2
        assert isinstance(blocked, LoopBlocked)
        assert (blocked.file, blocked.line, blocked.function) == (__file__, BLOCKING_LINE, "block")
        assert isinstance(unblocked, LoopUnblocked)
        assert timedelta(seconds=0.4) <= unblocked.blocked_for < timedelta(seconds=0.6)

    run(main)


def test_a_blockage_that_no_fact_announced_is_named_within_200_ms(run: Run) -> None:
    async def main() -> None:
        recorder = Recorder()
        with Watchdog(watched(recorder)) as watchdog:
            await asyncio.sleep(0.4)
            assert watchdog.is_resting
            began = time.monotonic()
            block(0.4)
            await recorder.wait_for(2)
        assert recorder.told[0][0] - began <= 0.2
        assert recorder.told[0][1].line == BLOCKING_LINE

    run(main)


def test_a_fact_ends_the_rest_and_a_blockage_of_the_threshold_is_seen(run: Run) -> None:
    async def main() -> None:
        recorder = Recorder()
        telemetry = watched(recorder)
        with Watchdog(telemetry) as watchdog:
            await asyncio.sleep(0.4)
            rested = watchdog.is_resting
            telemetry.emit(SensorUp(sensor="s"))
            assert (rested, watchdog.is_resting) == (True, False)
            block(0.12)
            await recorder.wait_for(2)

    run(main)


def test_each_blockage_is_told_once(run: Run) -> None:
    async def main() -> None:
        recorder = Recorder()
        with Watchdog(watched(recorder)):
            for _ in range(2):
                await asyncio.sleep(0)
                block(0.3)
                await recorder.wait_for(2)
        kinds = [type(fact) for _, fact in recorder.told]
        assert kinds == [LoopBlocked, LoopUnblocked] * 2

    run(main)


def test_a_loop_that_only_waits_is_not_reported(run: Run) -> None:
    async def main() -> None:
        recorder = Recorder()
        telemetry = watched(recorder)
        with Watchdog(telemetry):
            for _ in range(4):
                telemetry.emit(SensorUp(sensor="s"))
                await asyncio.sleep(0.1)
        assert recorder.told == []
        lag = telemetry.metrics.registry.get_sample_value("reactor_loop_lag_seconds_count")
        assert lag is not None
        assert lag >= 5

    run(main)


async def test_the_step_is_told_by_whoever_knows_the_frames() -> None:
    def step_of(frame: FrameType) -> str | None:
        return frame.f_locals.get("step_name") if frame.f_code.co_name == "attempt" else None

    async def attempt(step_name: str) -> None:
        block(0.3)

    recorder = Recorder()
    with Watchdog(watched(recorder), describe=step_of):
        await asyncio.sleep(0)
        await attempt("load")
        told = await recorder.wait_for(2)
    assert [fact.step for fact in told] == ["load", "load"]


async def test_stopping_while_blocked_closes_the_report() -> None:
    recorder = Recorder()
    watchdog = Watchdog(watched(recorder))
    watchdog.start()
    await asyncio.sleep(0)
    block(0.3)
    watchdog.stop()
    watchdog.stop()
    assert [type(fact) for _, fact in recorder.told] == [LoopBlocked, LoopUnblocked]
    assert all(thread.name != "watchdog" for thread in threading.enumerate())


async def test_starting_twice_is_refused() -> None:
    with Watchdog(watched(Recorder())) as watchdog, pytest.raises(RuntimeError, match="already"):
        watchdog.start()
