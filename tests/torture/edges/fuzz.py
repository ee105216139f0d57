"""G20: whatever is sent to either listener, there is no 5xx but the documented 503, no dead task and no traceback."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from tests.torture.edges.fuzz_input import Shot, shot
from tests.torture.edges.hooks import HookStage, connected

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.edges.catalogue import Outcome

AT_ONCE = 32
# How long to listen where the daemon waits for more, which it may do for longer than anybody wants to.
PATIENCE_SECONDS = 0.05
WHOLE_SECONDS = 15.0
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n")


def fuzz(folder: Path, size: int, luck: Random) -> Outcome:
    """Fuzzed methods, paths, headers and bodies to both listeners; some are signed, or carry the token."""
    with HookStage(folder) as stage:
        token = (stage.state / "admin-token").read_text(encoding="ascii").strip()
        seen = asyncio.run(_shoot(stage, size, luck.randrange(2**32), token))
        with connected(stage.port) as client:
            answer = client.deliver("after the storm", {"n": 1})
            stage.expect(answer.status == 202, f"afterwards a good delivery got {answer.status}")
        health = stage.daemon.get("/healthz")
        stage.expect(health.status_code == 200, f"afterwards /healthz says {health.text}")
        stage.settle()
        stage.expect(seen[202] > 0 and seen[401] > 0, f"it was not fuzzed in depth: {seen}")
    figures = {f"status {status}": count for status, count in sorted(seen.items()) if status}
    return stage.findings, {"requests": size, **figures}


async def _shoot(stage: HookStage, size: int, seed: int, token: str) -> Counter[int]:
    seen: Counter[int] = Counter()
    numbers = iter(range(size))
    hooks, admin = stage.port, stage.admin_port

    async def gunner() -> None:
        for number in numbers:
            # Each has luck of its own, so that a finding can be told apart from what was sent beside it.
            luck = Random(f"{seed} {number}")
            is_admin = number % 3 == 0
            port = admin if is_admin else hooks
            fired = shot(
                luck, is_admin=is_admin, host=f"127.0.0.1:{port}", token=token, now=int(time.time())
            )
            answer = await _answer(port, fired)
            _judge(stage, fired, answer, seen)

    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(gunner(), name=f"gunner {number}")
    return seen


async def _answer(port: int, fired: Shot) -> bytes:
    """Return all that comes back until the daemon closes, or until it has said nothing for a moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(WHOLE_SECONDS if fired.is_whole else PATIENCE_SECONDS):
            writer.write(fired.raw)
            while part := await reader.read(65_536):
                parts.append(part)
                if fired.is_whole and _is_answered(b"".join(parts)):
                    break
    except (OSError, TimeoutError):
        # Reset while it was still sending, or left waiting.
        pass
    finally:
        writer.transport.abort()
    return b"".join(parts)


def _is_answered(answer: bytes) -> bool:
    """Return whether a final answer has begun; 100 Continue is none."""
    return any(int(found[1]) >= 200 for found in _STATUS.finditer(answer))


def _judge(stage: HookStage, fired: Shot, answer: bytes, seen: Counter[int]) -> None:
    found = _STATUS.match(answer)
    status = int(found[1]) if found else 0
    seen[status] += 1
    if status < 500 or found is None:
        return
    is_documented = status == 503 and b"retry-after:" in found[2].lower()
    # `/healthz` and `/readyz` say 503 by design, when something is wrong.
    is_verdict = status == 503 and answer.partition(b"\r\n\r\n")[2].startswith(b'{"ok":')
    stage.expect(is_documented or is_verdict, f"{status} for {fired.raw[:1500]!r}: {answer!r}")
