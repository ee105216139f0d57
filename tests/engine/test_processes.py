"""Steps with `executor="process"`, in real processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from reactor import Workflow
from reactor.daemon.project import load_project
from reactor.testing.harness import harness

PROCESS_FILE = """
import os
from reactor import Context, Event, Workflow
from reactor.api import Sensor

class Source(Sensor):
    kind = "source"

flow = Workflow("flow", on=Source(name="s"))

@flow.step(executor="process")
def where(event: Event[int], ctx: Context) -> dict[str, int]:
    return {"pid": os.getpid(), "data": event.data, "attempt": ctx.attempt}

@flow.step(executor="process")
def die(where: dict[str, int]) -> int:
    os._exit(7)
"""


@pytest.mark.real_time
async def test_a_process_step_runs_elsewhere_and_may_die_there(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(PROCESS_FILE)
    project = load_project([tmp_path / "flow.py"])
    assert project.faults == []
    workflow = _workflow_of(project.files[0])
    async with harness(workflow, state=tmp_path / "state") as h:
        await h.fire("s", 5)
        (end,) = await h.wait_for_ends(1)
        stored = await h.stored(end.run_id)
    results = {step.name: step.result for step in stored.steps}
    assert b'"data":5' in (results["where"] or b"")
    assert str(os.getpid()).encode() not in (results["where"] or b"")
    assert "ended without an answer" in (end.error or "")


EMITTING_FILE = """
from reactor import Context, Event, Workflow
from reactor.api import Outgoing, Sensor

class Source(Sensor):
    kind = "source"

flow = Workflow("flow", on=Source(name="s"))

@flow.step(executor="process")
def send(event: Event[int], ctx: Context) -> int:
    made = Outgoing(outlet="o", options="{}", target="t", payload=bytes([255, 0]), key=b"k")
    ctx.emit(made)
    return event.data
"""


@pytest.mark.real_time
async def test_what_a_process_step_emits_comes_back_with_its_result(tmp_path: Path) -> None:
    (tmp_path / "emitting.py").write_text(EMITTING_FILE)
    project = load_project([tmp_path / "emitting.py"])
    workflow = _workflow_of(project.files[0])
    async with harness(workflow, state=tmp_path / "state") as h:
        await h.fire("s", 5)
        (end,) = await h.wait_for_ends(1)
        (outgoing,) = await h.wait_for_delivered(1)
    assert (outgoing.target, outgoing.payload, outgoing.key) == ("t", b"\xff\x00", b"k")
    assert h.delivered_keys == [f"{end.run_id}/send/1"]


def _workflow_of(path: Path) -> Workflow:
    modules = [m for m in sys.modules.values() if getattr(m, "__file__", None) == str(path)]
    workflow = modules[-1].flow
    assert isinstance(workflow, Workflow)
    return workflow
