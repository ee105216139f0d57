"""Credit: never more out than there is, first come first served, and nothing lost to a cancellation."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.engine.credits import LONGEST_RETRY_SECONDS, SHORTEST_RETRY_SECONDS, Budget
from reactor.errors import OverloadedError

quick = settings(max_examples=100, deadline=None)
pytestmark = pytest.mark.virtual_time


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_there_is_taken_at_once() -> None:
    budget = Budget("rates", 3)
    await budget.take(2)
    budget.take_nowait(1, now=0.0)
    assert (budget.used, budget.available) == (3, 0)


async def test_more_than_is_left_is_refused_with_the_name() -> None:
    budget = Budget("rates", 3)
    budget.take_nowait(2, now=0.0)
    with pytest.raises(OverloadedError, match="'rates'") as caught:
        budget.take_nowait(2, now=0.0)
    assert caught.value.workflow == "rates"
    assert budget.used == 2


async def test_more_than_the_whole_limit_is_let_through_alone() -> None:
    budget = Budget("bytes", 10)
    budget.take_nowait(50, now=0.0)
    assert budget.available == 0
    with pytest.raises(OverloadedError):
        budget.take_nowait(1, now=0.0)
    budget.give(50, now=1.0)
    budget.take_nowait(10, now=1.0)


async def test_nobody_overtakes_whoever_waits() -> None:
    budget = Budget("rates", 4)
    await budget.take(3)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(budget.take(4), name="large")
        await settle()
        with pytest.raises(OverloadedError):
            budget.take_nowait(1, now=0.0)
        small = tasks.create_task(budget.take(1), name="small")
        await settle()
        assert not small.done()
        budget.give(3, now=1.0)
        await settle()
        assert budget.used == 4
        assert not small.done()
        budget.give(4, now=2.0)
    assert budget.used == 1


async def test_a_higher_limit_serves_the_line() -> None:
    budget = Budget("rates", 1)
    await budget.take(1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(budget.take(2), name="waits")
        await settle()
        assert budget.waiting == 1
        budget.resize(3)
    assert (budget.used, budget.waiting) == (3, 0)


async def test_a_lower_limit_takes_nothing_back() -> None:
    budget = Budget("rates", 3)
    await budget.take(3)
    budget.resize(1)
    assert (budget.used, budget.available) == (3, 0)


async def test_what_was_accepted_before_is_taken_beyond_the_limit() -> None:
    budget = Budget("rates", 1)
    budget.force(5)
    assert budget.used == 5
    with pytest.raises(OverloadedError):
        budget.take_nowait(1, now=0.0)


async def test_a_wait_that_is_cancelled_leaves_the_line() -> None:
    budget = Budget("rates", 1)
    await budget.take(1)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(budget.take(1), name="first")
        tasks.create_task(budget.take(1), name="second")
        await settle()
        first.cancel()
        await settle()
        assert budget.waiting == 1
        budget.give(1, now=1.0)
    assert (budget.used, budget.waiting) == (1, 0)


async def test_a_large_wait_that_is_cancelled_lets_a_small_one_through() -> None:
    budget = Budget("rates", 4)
    await budget.take(3)
    async with asyncio.TaskGroup() as tasks:
        large = tasks.create_task(budget.take(4), name="large")
        tasks.create_task(budget.take(1), name="small")
        await settle()
        large.cancel()
    assert (budget.used, budget.waiting) == (4, 0)


async def test_a_cancellation_after_the_credit_came_gives_it_on() -> None:
    budget = Budget("rates", 1)
    await budget.take(1)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(budget.take(1), name="first")
        tasks.create_task(budget.take(1), name="second")
        await settle()
        budget.give(1, now=1.0)
        first.cancel()
    assert first.cancelled()
    assert (budget.used, budget.waiting) == (1, 0)


async def test_a_cancellation_just_before_the_credit_comes_is_a_cancellation() -> None:
    budget = Budget("rates", 1)
    await budget.take(1)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(budget.take(1), name="first")
        second = tasks.create_task(budget.take(1), name="second")
        await settle()
        first.cancel()
        budget.give(1, now=1.0)
    assert first.cancelled()
    assert second.done()
    assert (budget.used, budget.waiting) == (1, 0)


actions = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 8)),
        st.tuples(st.just("give"), st.integers(0, 30)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("settle"), st.just(0)),
    ),
    max_size=40,
)


async def play(limit: int, steps: list[tuple[str, int]]) -> None:
    budget = Budget("rates", limit)
    tasks: list[tuple[int, asyncio.Task[None]]] = []
    given: set[int] = set()

    def held() -> dict[int, int]:
        ended = {n: t for n, (_, t) in enumerate(tasks) if t.done() and not t.cancelled()}
        return {n: tasks[n][0] for n in ended if n not in given}

    loop = asyncio.get_running_loop()
    for number, (action, value) in enumerate(steps):
        if action == "take":
            tasks.append((value, loop.create_task(budget.take(value), name=f"take {number}")))
        elif action == "cancel" and tasks:
            tasks[value % len(tasks)][1].cancel()
        elif action == "give" and held():
            chosen = sorted(held())[value % len(held())]
            given.add(chosen)
            budget.give(tasks[chosen][0], now=float(number))
        else:
            await settle()
            out = held()
            assert budget.used == sum(out.values())
            assert budget.used <= limit or len(out) == 1
    await settle()
    while out := held():
        for chosen, amount in out.items():
            given.add(chosen)
            budget.give(amount, now=1000.0)
        await settle()
    assert all(task.done() for _, task in tasks)
    assert [task.exception() for _, task in tasks if not task.cancelled()] == [None] * sum(
        not task.cancelled() for _, task in tasks
    )
    assert (budget.used, budget.waiting) == (0, 0)


@quick
@given(st.integers(1, 10), actions)
async def test_whatever_happens_everybody_is_served_and_nothing_leaks(
    limit: int, steps: list[tuple[str, int]]
) -> None:
    await play(limit, steps)


def test_without_a_known_rate_the_answer_is_a_few_seconds() -> None:
    assert Budget("rates", 1).retry_after(1, now=0.0) == timedelta(seconds=5)


def test_the_answer_follows_the_rate_at_which_credit_comes_back() -> None:
    budget = Budget("rates", 100)
    budget.force(100)
    for second in range(1, 51):
        budget.give(1, now=float(second) * 2)
        budget.force(1)
    assert budget.retry_after(10, now=100.0) == timedelta(seconds=20)
    assert budget.retry_after(20, now=100.0) == timedelta(seconds=40)


def test_silence_makes_the_answer_longer() -> None:
    budget = Budget("rates", 1)
    budget.force(1)
    budget.give(1, now=1.0)
    budget.force(1)
    budget.give(1, now=1.1)
    budget.force(1)
    assert budget.retry_after(1, now=1.1) == timedelta(seconds=1)
    assert budget.retry_after(1, now=61.1) == timedelta(seconds=60)


@quick
@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1e6)), max_size=10),
    st.integers(0, 10**9),
    st.floats(0, 1e6),
)
def test_the_answer_is_whole_seconds_within_its_bounds(
    returns: list[tuple[int, float]], amount: int, pause: float
) -> None:
    budget, now = Budget("rates", 5), 0.0
    for given_back, after in returns:
        budget.force(given_back)
        now += after
        budget.give(given_back, now=now)
    seconds = budget.retry_after(amount, now=now + pause).total_seconds()
    assert SHORTEST_RETRY_SECONDS <= seconds <= LONGEST_RETRY_SECONDS
    assert seconds == int(seconds)


async def test_a_shortage_is_told_once_and_its_end_when_there_is_plenty() -> None:
    told: list[bool] = []
    budget = Budget("rates", 10, told=lambda _, is_short: told.append(is_short))
    for _ in range(10):
        budget.take_nowait(1, now=0.0)
    for _ in range(3):
        with pytest.raises(OverloadedError):
            budget.take_nowait(1, now=0.0)
    assert told == [True]
    budget.give(1, now=1.0)
    budget.take_nowait(1, now=1.0)
    assert told == [True]
    budget.give(2, now=2.0)
    assert told == [True, False]
