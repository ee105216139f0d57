"""Steps that share tasks and writes are as far apart as if each had a task and a write of its own."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reactor import Event, Workflow
from reactor.api import Sensor
from reactor.engine import crew, engine
from reactor.errors import StoreError, StoreFullError
from reactor.model.graph import compile_workflow
from reactor.telemetry.facts import RunStarted
from reactor.testing.harness import Harness, harness

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from reactor.store.contract import StepRow

pytestmark = pytest.mark.virtual_time

SOURCE = Sensor(name="s")
MANY = 40


async def fire_together(h: Harness, count: int) -> None:
    """Accept so many events in one commit."""
    events = [
        Event(id=str(number), source="s", type="test", time=h.engine.clock.now(), data=number)
        for number in range(count)
    ]
    await h.engine.accept("s", events, {}, wait=True)


def counted_writes(h: Harness, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each write of results adds how many there were."""
    sizes: list[int] = []
    finish_steps = h.engine.store.finish_steps

    def counted(steps: Sequence[StepRow], *rest: Sequence[Any]) -> Awaitable[None]:
        sizes.append(len(steps))
        return finish_steps(steps, *rest)

    monkeypatch.setattr(h.engine.store, "finish_steps", counted)
    return sizes


async def test_steps_that_do_not_wait_share_a_task_and_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "TURN_SECONDS", 60.0)
    flow = Workflow("flow", on=SOURCE)
    tasks: set[Any] = set()

    @flow.step
    async def work(event: Event[int]) -> int:
        tasks.add(asyncio.current_task())
        return event.data

    async with harness(flow, state=tmp_path) as h:
        writes = counted_writes(h, monkeypatch)
        await fire_together(h, MANY)
        ends = await h.wait_for_ends(MANY)
    assert {end.outcome for end in ends} == {"succeeded"}
    assert (len(tasks), writes) == (1, [MANY])


async def test_a_step_begins_before_its_source_is_told(tmp_path: Path) -> None:
    """Both follow the same commit; the step is what somebody waits for."""
    flow = Workflow("flow", on=SOURCE)
    order: list[str] = []

    @flow.step
    async def work(event: Event[int]) -> None:
        order.append("step")

    async with harness(flow, state=tmp_path) as h:
        await fire_together(h, 1)
        order.append("told")
        await h.wait_for_ends(1)
    assert order == ["step", "told"]


async def test_a_step_that_waits_keeps_no_other_waiting(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    arrived = asyncio.Barrier(MANY)

    @flow.step
    async def work(event: Event[int]) -> int:
        # Nobody gets past this before all are here.
        await arrived.wait()
        return event.data

    async with harness(flow, state=tmp_path) as h:
        await fire_together(h, MANY)
        assert len(await h.wait_for_ends(MANY)) == MANY


async def test_a_step_that_waited_once_may_stop_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "TRIED_EACH", 3)
    monkeypatch.setattr(crew, "TURN_SECONDS", 60.0)
    flow = Workflow("flow", on=SOURCE)
    tasks: list[Any] = []
    cold = True

    @flow.step
    async def work(event: Event[int]) -> None:
        tasks.append(asyncio.current_task())
        if cold:
            await asyncio.sleep(1)

    async with harness(flow, state=tmp_path) as h:
        await fire_together(h, 1)
        await h.wait_for_ends(1)
        cold = False
        for number in range(5):
            await h.fire("s", number, id=f"warm-{number}")
            await h.wait_for_ends(2 + number)
        tasks.clear()
        await h.engine.accept(
            "s",
            [Event(id=f"last-{n}", source="s", type="t", time=h.engine.clock.now(), data=n) for n in range(MANY)],
            {},
            wait=True,
        )  # fmt: skip
        await h.wait_for_ends(6 + MANY)
    assert len(set(tasks)) == 1


async def test_what_a_step_sets_in_its_context_no_other_step_sees(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    tenant: ContextVar[int | None] = ContextVar("tenant", default=None)
    seen: list[int | None] = []

    @flow.step
    async def work(event: Event[int]) -> None:
        seen.append(tenant.get())
        tenant.set(event.data)

    async with harness(flow, state=tmp_path) as h:
        await fire_together(h, MANY)
        await h.wait_for_ends(MANY)
    assert seen == [None] * MANY


async def test_a_step_that_cancels_its_task_and_returns_harms_no_other(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step
    async def work(event: Event[int]) -> int:
        if event.data == 0:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        else:
            await asyncio.sleep(0)
        return event.data

    async with harness(flow, state=tmp_path) as h:
        await fire_together(h, MANY)
        ends = await h.wait_for_ends(MANY)
    assert {end.outcome for end in ends} == {"succeeded"}


async def test_the_loop_gets_its_turn_among_many_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "TURN_SECONDS", 0.0)
    flow = Workflow("flow", on=SOURCE)
    order: list[str] = []

    @flow.step
    async def work(event: Event[int]) -> None:
        order.append("step")
        asyncio.get_running_loop().call_soon(order.append, "loop")

    async with harness(flow, state=tmp_path) as h:
        await fire_together(h, 3)
        await h.wait_for_ends(3)
    assert order == ["step", "loop"] * 3


async def test_results_wait_for_space_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = Workflow("flow", on=SOURCE)
    calls: list[int] = []

    @flow.step
    async def work(event: Event[int]) -> None:
        calls.append(event.data)

    async with harness(flow, state=tmp_path) as h:
        finish_steps = h.engine.store.finish_steps
        refusals = iter([StoreFullError("no space"), StoreFullError("no space")])

        async def refused(error: Exception) -> None:
            raise error

        def finish(steps: Sequence[StepRow], *rest: Sequence[Any]) -> Awaitable[None]:
            error = next(refusals, None)
            return finish_steps(steps, *rest) if error is None else refused(error)

        monkeypatch.setattr(h.engine.store, "finish_steps", finish)
        await fire_together(h, 3)
        ends = await h.wait_for_ends(3)
    assert {end.outcome for end in ends} == {"succeeded"}
    assert sorted(calls) == [0, 1, 2]


async def test_a_result_that_cannot_be_stored_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = Workflow("flow", on=SOURCE)
    troubles: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: troubles.append(context["exception"])
    )

    @flow.step
    async def work(event: Event[int]) -> int:
        return event.data

    async with harness(flow, state=tmp_path, drain_seconds=0.0) as h:
        finish_steps = h.engine.store.finish_steps

        async def refused() -> None:
            raise StoreError("this row is wrong")

        def finish(steps: Sequence[StepRow], *rest: Sequence[Any]) -> Awaitable[None]:
            if any(step.result == b"1" for step in steps):
                return refused()
            return finish_steps(steps, *rest)

        monkeypatch.setattr(h.engine.store, "finish_steps", finish)
        await fire_together(h, 3)
        assert len(await h.wait_for_ends(2)) == 2
        await h.wait_until(lambda: h.engine.running == 0)
    assert [str(error) for error in troubles] == ["this row is wrong"]


async def test_a_run_that_waited_behind_others_begins_with_the_event_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = Workflow("flow", on=SOURCE, concurrency=1)
    read: list[int] = []

    @flow.step
    async def work(event: Event[int]) -> int:
        return event.data

    async with harness(flow, state=tmp_path) as h:
        load_runs = h.engine.store.load_runs

        async def loaded(runs: Sequence[int]) -> Any:
            read.extend(runs)
            return await load_runs(runs)

        monkeypatch.setattr(h.engine.store, "load_runs", loaded)
        await fire_together(h, MANY)
        ends = await h.wait_for_ends(MANY)
        started = [fact for fact in h.facts if isinstance(fact, RunStarted)]
    assert len(ends) == len(started) == MANY
    assert read == []


async def test_a_reload_loses_no_run_whose_event_was_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = Workflow("flow", on=SOURCE, concurrency=2)
    gate = asyncio.Event()

    @flow.step
    async def work(event: Event[int]) -> int:
        await gate.wait()
        return event.data

    graph, _ = compile_workflow(flow)
    assert graph is not None
    async with harness(flow, state=tmp_path) as h:
        start_runs = h.engine.store.start_runs

        async def started(runs: Sequence[int], at: int) -> None:
            await start_runs(runs, at)
            h.engine.define([graph], {"s": SOURCE})

        monkeypatch.setattr(h.engine.store, "start_runs", started)
        await fire_together(h, MANY)
        gate.set()
        ends = await h.wait_for_ends(MANY)
    assert {end.outcome for end in ends} == {"succeeded"}


async def test_runs_that_cannot_be_read_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MOST_FRESH", 0)
    flow = Workflow("flow", on=SOURCE, concurrency=1)

    @flow.step
    async def work(event: Event[int]) -> int:
        return event.data

    async with harness(flow, state=tmp_path) as h:
        load_runs = h.engine.store.load_runs
        troubles = iter([StoreError("the database could not be read")] * 2)

        async def loaded(runs: Sequence[int]) -> Any:
            if (trouble := next(troubles, None)) is not None:
                raise trouble
            return await load_runs(runs)

        monkeypatch.setattr(h.engine.store, "load_runs", loaded)
        await fire_together(h, 4)
        ends = await h.wait_for_ends(4)
    assert {end.outcome for end in ends} == {"succeeded"}
