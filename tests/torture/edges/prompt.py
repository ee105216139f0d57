"""G17: how soon a webhook is answered, beside an endpoint that does nothing but sync, at the same time.

A machine that is busy with other things makes both late; what counts is by how much the daemon is later.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.torture.edges.load import Load, percentile
from tests.torture.edges.overload import TRIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.torture.edges.hooks import HookStage

# G17.
PROMISED_SECONDS = 0.05
# Of what the machine takes for the least that must be done; noise meets who does more a little more often.
TIMES_BARE = 2.0
RATE = 100.0
BODY = {"n": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The p99 of the same deliveries in seconds: to the daemon, and to the bare endpoint meanwhile."""

    daemon: float
    bare: float

    @property
    def are_late(self) -> bool:
        return self.daemon > PROMISED_SECONDS + TIMES_BARE * self.bare

    def __str__(self) -> str:
        return f"{1000 * self.daemon:.0f} ms, where the machine takes {1000 * self.bare:.0f} ms"


def judge_answers(stage: HookStage, seconds: float) -> dict[str, int]:
    """Deliver for so long, and again where it was late: noise makes a try worse, a slow daemon all of them."""
    tried: list[Answers] = []
    with bare_endpoint(stage.folder / "bare") as port:
        while len(tried) < TRIES and all(answers.are_late for answers in tried):
            tried.append(asyncio.run(_deliver(stage, port, seconds, f"prompt-{len(tried)}")))
    last = tried[-1]
    stage.expect(not last.are_late, f"G17: p99 of unstalled answers: {'; '.join(map(str, tried))}")
    return {
        "p99 ms unstalled": round(1000 * last.daemon),
        "p99 ms of the machine": round(1000 * last.bare),
    }


@contextmanager
def bare_endpoint(file: Path) -> Iterator[int]:
    """Yield the port of a bare endpoint in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("bare.py")), str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        # Leaving the context closes its standard input, and waits for its end.


async def _deliver(stage: HookStage, bare: int, seconds: float, name: str) -> Answers:
    loads = [
        Load(port=port, path="/open", rate=RATE, body=lambda _: BODY, name=name)
        for port in (stage.port, bare)
    ]
    async with asyncio.TaskGroup() as group:
        for load in loads:
            group.create_task(load.run(seconds), name="load")
    for shot in loads[0].shots:
        stage.expect(shot.status == 202, f"unstalled: {shot.status}")
        stage.answers.new[shot.delivery] += shot.status == 202
    took = ([shot.read_at - shot.sent_at for shot in load.shots] for load in loads)
    daemon, machine = (percentile(all_of_one, 0.99) for all_of_one in took)
    return Answers(daemon=daemon, bare=machine)
