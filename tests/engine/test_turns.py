"""Workflows take turns for the worker, for threads and for processes; none waits for all that another has lined up."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from reactor import Event, Workflow
from reactor.api import Sensor
from reactor.engine.executors import Executors
from reactor.engine.turns import Places, Turns
from reactor.model.graph import compile_workflow
from reactor.testing.harness import harness
from reactor.testing.process import PATIENCE_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = Sensor(name="s")
FLOOD = 40


def test_workflows_take_turns_and_each_keeps_its_order() -> None:
    turns: Turns[str] = Turns()
    for workflow, item in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1")):
        turns.add(workflow, item)
    taken = [turns.take(), turns.take()]
    turns.add("b", "b2")
    while turns:
        taken.append(turns.take())
    assert taken == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_nothing_is_left_of_what_is_cleared() -> None:
    turns: Turns[int] = Turns()
    turns.add("a", 1)
    turns.clear()
    assert not turns
    turns.add("a", 2)
    assert turns.take() == 2


@pytest.mark.virtual_time
async def test_a_quiet_workflow_gets_the_next_place_that_is_free() -> None:
    places = Places(2)
    order: list[str] = []

    async def work(workflow: str) -> None:
        async with places.place(workflow):
            order.append(workflow)
            await asyncio.sleep(1)

    async with asyncio.TaskGroup() as group:
        for number in range(FLOOD):
            group.create_task(work("noisy"), name=f"noisy {number}")
        await asyncio.sleep(0.5)
        group.create_task(work("quiet"), name="quiet")
    # Two hold the places when it comes, and one that waited for longer has its turn before it.
    assert order.index("quiet") == 3
    assert len(order) == FLOOD + 1


@pytest.mark.virtual_time
async def test_a_quiet_workflow_finds_a_place_where_another_would_hold_all_of_them() -> None:
    places = Places(16)
    begun: list[tuple[str, float]] = []
    loop = asyncio.get_running_loop()
    started_at = loop.time()

    async def work(workflow: str) -> None:
        async with places.place(workflow):
            begun.append((workflow, loop.time() - started_at))
            await asyncio.sleep(10)

    async with asyncio.TaskGroup() as group:
        for number in range(FLOOD):
            group.create_task(work("noisy"), name=f"noisy {number}")
        await asyncio.sleep(1)
        for number in range(2):
            group.create_task(work("quiet"), name=f"quiet {number}")
    assert [workflow for workflow, at in begun if at < 1] == ["noisy"] * 14
    assert [at for workflow, at in begun if workflow == "quiet"] == [1, 1]
    assert len(begun) == FLOOD + 2


@pytest.mark.virtual_time
async def test_a_place_that_nobody_waits_for_any_more_goes_to_the_next() -> None:
    places = Places(1)
    order: list[str] = []

    async def work(name: str, seconds: float) -> None:
        async with places.place(name):
            order.append(name)
            await asyncio.sleep(seconds)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(name, 1.0), name=name) for name in ("one", "two", "three")]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
    assert order == ["one", "three"]


@pytest.mark.virtual_time
async def test_a_place_is_not_lost_where_it_comes_together_with_a_cancellation() -> None:
    places = Places(1)
    entered = asyncio.Event()

    async def work() -> None:
        async with places.place("w"):
            entered.set()

    async with asyncio.TaskGroup() as group:
        async with places.place("w"):
            waiting = group.create_task(work(), name="waiting")
            await asyncio.sleep(0)
        # The place was handed on, and the task has not run since.
        waiting.cancel()
    assert not entered.is_set()
    async with asyncio.timeout(1):
        await work()
    assert entered.is_set()


@pytest.mark.virtual_time
async def test_a_step_waits_for_one_step_of_a_workflow_that_floods_and_not_for_all(
    tmp_path: Path,
) -> None:
    noisy = Workflow("noisy", on=SOURCE)
    quiet = Workflow("quiet", on=SOURCE.where(lambda event: event.data == FLOOD - 1))
    order: list[str] = []

    @noisy.step
    async def flood(event: Event[int]) -> None:
        order.append("noisy")

    @quiet.step
    async def calm(event: Event[int]) -> None:
        order.append("quiet")

    async with harness(noisy, quiet, state=tmp_path) as h:
        now = h.engine.clock.now()
        events = [
            Event(id=str(number), source="s", type="test", time=now, data=number)
            for number in range(FLOOD)
        ]
        await h.engine.accept("s", events, {}, wait=True)
        await h.wait_for_ends(FLOOD + 1)
    assert order.index("quiet") == 1


@pytest.mark.real_time
async def test_a_function_in_a_thread_waits_for_one_of_a_workflow_that_floods_and_not_for_all() -> (
    None
):
    order: list[str] = []
    gate = threading.Event()
    noisy, quiet = Workflow("noisy", on=SOURCE), Workflow("quiet", on=SOURCE)

    @noisy.step
    def flood() -> None:
        gate.wait(PATIENCE_SECONDS)
        order.append("noisy")

    @quiet.step
    def calm() -> None:
        order.append("quiet")

    executors = Executors(threads=1)

    async def call(workflow: Workflow) -> None:
        graph, _ = compile_workflow(workflow)
        assert graph is not None
        await executors.call(graph, graph.steps[0], {})

    async with asyncio.TaskGroup() as group:
        for number in range(FLOOD):
            group.create_task(call(noisy), name=f"noisy {number}")
        group.create_task(call(quiet), name="quiet")
        # All of them have asked for the thread by then.
        await asyncio.sleep(0)
        gate.set()
    assert order.index("quiet") == 2
