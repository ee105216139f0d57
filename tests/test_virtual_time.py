"""The event loop for tests: its clock jumps, but never over a thread at work."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from reactor.testing import VirtualTimeLoop

LONG_SECONDS = 300.0


def test_the_end_of_a_loop_waits_for_its_threads() -> None:
    """From Python 3.12 on, asyncio gives them five minutes for that, which were over at once."""
    goes_on = threading.Event()

    async def end() -> bool:
        loop = asyncio.get_running_loop()
        executor = ThreadPoolExecutor()
        loop.set_default_executor(executor)
        waits = executor.submit(goes_on.wait, 20)
        ends = asyncio.create_task(loop.shutdown_default_executor())
        await asyncio.sleep(0)
        # By then there is nothing to do but to wait for the thread.
        loop.call_soon(goes_on.set)
        async with asyncio.timeout(LONG_SECONDS):
            await ends
        return waits.result()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(end())
        assert runner.get_loop().time() < LONG_SECONDS
