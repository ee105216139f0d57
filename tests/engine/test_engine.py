"""Events to durable runs, on a real SQLite file and virtual time."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from reactor import Context, Event, Reject, Retry, Workflow
from reactor.api import OverloadedError, Sensor
from reactor.errors import StoreError
from reactor.model.graph import compile_workflow
from reactor.store.sqlite import SqliteStore
from reactor.telemetry.facts import (
    EventsDeadLettered,
    RunStarted,
    StepFinished,
    ThreadAbandoned,
)
from reactor.testing import VirtualTimeLoop
from reactor.testing.harness import Harness, harness

pytestmark = pytest.mark.virtual_time


class Source(Sensor):
    kind = "source"


SOURCE = Source(name="s")


def steps_of(h: Harness, outcome: str | None = None) -> list[str]:
    return [
        fact.step
        for fact in h.facts
        if isinstance(fact, StepFinished) and outcome in (None, fact.outcome)
    ]


async def test_a_fault_after_the_commit_reaches_whoever_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with harness(state=tmp_path) as h:
        monkeypatch.setattr(h.engine, "moved", lambda at: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await h.fire("s")
        monkeypatch.undo()
        assert (await h.fire("s", id="event-1")).duplicate
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]


async def test_results_flow_along_parameters(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    got: list[int] = []

    @flow.step
    async def double(event: Event[int]) -> int:
        return event.data * 2

    @flow.step
    async def add(double: int, event: Event[int]) -> int:
        return double + event.data

    @flow.step
    async def keep(add: int) -> None:
        got.append(add)

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s", 7)
        (end,) = await h.wait_for_ends(1)
        stored = await h.stored(end.run_id)
    assert got == [21]
    assert end.outcome == "succeeded"
    assert {step.name: step.result for step in stored.steps} == {
        "double": b"14",
        "add": b"21",
        "keep": b"null",
    }


async def test_branches_run_side_by_side_and_join(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    both = asyncio.Barrier(2)

    @flow.step
    async def left(event: Event[Any]) -> int:
        await both.wait()
        return 1

    @flow.step
    async def right(event: Event[Any]) -> int:
        await both.wait()
        return 2

    @flow.step(after="right")
    async def join(left: int, right: int) -> int:
        return left + right

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
    assert end.outcome == "succeeded"
    assert steps_of(h)[-1] == "join"


async def test_a_plain_def_runs_in_a_thread(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    threads: list[int] = []

    @flow.step
    def work(event: Event[Any], ctx: Context) -> None:
        threads.append(threading.get_ident())

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        await h.wait_for_ends(1)
    assert threads != [threading.get_ident()]


async def test_a_failure_skips_what_waits_for_it_and_nothing_else(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step
    async def bad(event: Event[Any]) -> int:
        raise ValueError("no good")

    @flow.step
    async def after_bad(bad: int) -> int:
        return bad

    @flow.step
    async def last(after_bad: int) -> None: ...

    @flow.step
    async def other(event: Event[Any]) -> str:
        return "fine"

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
        stored = await h.stored(end.run_id)
    assert end.outcome == "failed"
    assert "no good" in (end.error or "")
    assert "test_engine.py:" in (end.error or "")
    assert {step.name: step.outcome for step in stored.steps} == {
        "bad": "failed",
        "after_bad": "skipped",
        "last": "skipped",
        "other": "succeeded",
    }


async def test_attempts_follow_with_the_same_idempotency_key(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    seen: list[tuple[int, str]] = []

    @flow.step(retry=Retry(attempts=3, first_delay="10s"))
    async def flaky(event: Event[Any], ctx: Context) -> str:
        seen.append((ctx.attempt, ctx.idempotency_key))
        if ctx.attempt < 3:
            raise ConnectionError("not yet")
        return "at last"

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
        stored = await h.stored(end.run_id)
    assert end.outcome == "succeeded"
    assert [attempt for attempt, _ in seen] == [1, 2, 3]
    assert len({key for _, key in seen}) == 1
    assert [(row.attempt, row.outcome) for row in stored.attempts] == [(1, "failed"), (2, "failed")]


async def test_reject_ends_the_attempts(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    calls: list[int] = []

    @flow.step(retry=Retry(attempts=9))
    async def picky(event: Event[Any]) -> None:
        calls.append(1)
        raise Reject("no such customer")

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
    assert calls == [1]
    assert "no such customer" in (end.error or "")


async def test_a_step_is_stopped_by_its_timeout(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step(timeout="5s")
    async def slow(event: Event[Any]) -> None:
        await asyncio.sleep(3600)

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
    assert end.outcome == "failed"
    assert end.duration_seconds == 5
    assert steps_of(h, "timed_out") == ["slow"]


async def test_a_run_is_stopped_by_its_timeout_even_while_it_waits(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE, timeout="1m")

    @flow.step(retry=Retry(attempts=100, first_delay="1s"))
    async def slow(event: Event[Any]) -> None:
        await asyncio.sleep(25)
        raise ConnectionError("again")

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
    assert end.outcome == "timed_out"
    assert end.duration_seconds == 60


async def test_a_step_that_exits_fails_alone(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step
    async def leave(event: Event[Any]) -> None:
        raise SystemExit(3)

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
    assert end.outcome == "failed"
    assert "SystemExit" in (end.error or "")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [(object(), "cannot be written as JSON"), ("x" * 2_000_000, "return a reference")],
)
async def test_a_result_that_cannot_be_kept_fails_the_step(
    tmp_path: Path, value: object, complaint: str
) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step(retry=Retry(attempts=5))
    async def make(event: Event[Any]) -> Any:
        return value

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
    assert complaint in (end.error or "")
    assert steps_of(h) == ["make"]


class Total(BaseModel):
    cents: int


async def test_a_dependant_gets_the_annotated_type(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    got: list[object] = []

    @flow.step
    async def total(event: Event[Any]) -> Total:
        return Total(cents=5)

    @flow.step
    async def keep(total: Total) -> None:
        got.append(total)

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        await h.wait_for_ends(1)
    assert got == [Total(cents=5)]


async def test_no_more_runs_than_allowed_go_at_once(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE, concurrency=3)
    now, most = 0, 0

    @flow.step
    async def work(event: Event[Any]) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(1)
        now -= 1

    async with harness(flow, state=tmp_path) as h:
        for _ in range(10):
            await h.fire("s")
        await h.wait_for_ends(10)
    assert most == 3


async def test_runs_of_one_key_go_in_order_and_others_beside_them(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE.key("data.key"))
    log: list[tuple[str, int]] = []
    busy: set[str] = set()

    @flow.step
    async def work(event: Event[Any]) -> None:
        key = event.data["key"]
        assert key not in busy
        busy.add(key)
        await asyncio.sleep(1 if key == "slow" else 0.1)
        busy.remove(key)
        log.append((key, event.data["n"]))

    async with harness(flow, state=tmp_path) as h:
        for n in range(20):
            await h.fire("s", {"key": "slow" if n % 2 else "fast", "n": n})
        await h.wait_for_ends(20)
    for key in ("slow", "fast"):
        assert [n for k, n in log if k == key] == sorted(n for k, n in log if k == key)
    assert [key for key, _ in log[:10]].count("fast") >= 8


async def test_a_hot_key_does_not_hide_the_others(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE.key("data"))
    order: list[str] = []

    @flow.step
    async def work(event: Event[str]) -> None:
        await asyncio.sleep(1)
        order.append(event.data)

    async with harness(flow, state=tmp_path) as h:
        for _ in range(600):
            await h.fire("s", "hot")
        await h.fire("s", "cold")
        await h.wait_until(lambda: "cold" in order)
    assert len(order) <= 5


async def test_a_refusal_is_kept_with_what_the_event_had(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE.where(lambda e: e.data["size"] > 10))

    @flow.step
    async def work(event: Event[Any]) -> None: ...

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s", {"size": 3})
        event = await h.engine.store.event(await h.engine.store.largest_id())
    assert event is not None
    assert "data.size = 3" in event.decisions
    assert "> 10" in event.decisions
    assert h.ended() == []


async def test_a_trigger_that_raises_makes_a_dead_letter_for_its_workflow_alone(
    tmp_path: Path,
) -> None:
    broken = Workflow("broken", on=SOURCE.where(lambda e: e.data["absent"]))
    sound = Workflow("sound", on=SOURCE)

    @broken.step(name="work")
    async def never(event: Event[Any]) -> None: ...

    @sound.step
    async def work(event: Event[Any]) -> None: ...

    async with harness(broken, sound, state=tmp_path) as h:
        await h.fire("s", {})
        await h.wait_for_ends(1)
        letters = await h.engine.store.dead_letters(ids=None, reason=None)
    assert [end.workflow for end in h.ended()] == ["sound"]
    assert [(letter.workflow, letter.reason) for letter in letters] == [
        ("broken", "trigger_failed")
    ]
    assert [fact.workflow for fact in h.facts if isinstance(fact, EventsDeadLettered)] == ["broken"]


async def test_a_duplicate_starts_nothing(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step
    async def work(event: Event[Any]) -> None: ...

    async with harness(flow, state=tmp_path) as h:
        assert not (await h.fire("s", id="x")).duplicate
        assert (await h.fire("s", id="x")).duplicate
        await h.fire("s", id="y")
        await h.wait_for_ends(2)
        assert h.engine.scheduler.running == 0
        assert h.engine.credits["flow"].used == 0
    assert len(h.ended()) == 2


async def test_without_credit_a_source_waits_or_is_told_when_to_come_again(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE, concurrency=1, pending=2)
    other = Workflow("other", on=Source(name="o"))

    @flow.step
    async def work(event: Event[Any]) -> None:
        await asyncio.sleep(10)

    @other.step(name="work")
    async def quick(event: Event[Any]) -> None: ...

    async with harness(flow, other, state=tmp_path) as h:
        for _ in range(3):
            await h.fire("s")
        with pytest.raises(OverloadedError) as refusal:
            await h.fire("s", wait=False)
        assert timedelta(0) < refusal.value.retry_after <= timedelta(minutes=10)
        await h.fire("o")
        await h.wait_for_ends(1, "other")
        assert h.ended("flow") == []
        await h.fire("s")
        await h.wait_for_ends(4, "flow")
        assert h.engine.credits["flow"].used == 0
        assert h.engine.bytes.used == 0


async def test_a_restart_calls_only_steps_without_a_result(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    calls: list[str] = []
    gate, reached = asyncio.Event(), asyncio.Event()

    @flow.step
    async def first(event: Event[Any]) -> int:
        calls.append("first")
        return 41

    @flow.step
    async def second(first: int) -> int:
        calls.append("second")
        reached.set()
        await gate.wait()
        return first + 1

    async with harness(flow, state=tmp_path, drain_seconds=0) as h:
        await h.fire("s")
        await reached.wait()
    gate.set()
    async with harness(flow, state=tmp_path) as h:
        (end,) = await h.wait_for_ends(1)
        stored = await h.stored(end.run_id)
    assert calls == ["first", "second", "second"]
    assert {step.name: step.result for step in stored.steps} == {"first": b"41", "second": b"42"}
    assert stored.deaths == 0


async def test_a_wait_for_a_retry_survives_a_restart(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    attempts: list[int] = []

    @flow.step(retry=Retry(attempts=2, first_delay="1h", longest_delay="1h"))
    async def flaky(event: Event[Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            raise ConnectionError("not yet")

    async with harness(flow, state=tmp_path, drain_seconds=0) as h:
        await h.fire("s")
        await h.wait_until(lambda: steps_of(h) == ["flaky"])
    async with harness(flow, state=tmp_path) as h:
        (end,) = await h.wait_for_ends(1)
    assert attempts == [1, 2]
    assert end.outcome == "succeeded"


async def test_a_run_in_flight_at_three_deaths_is_parked(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step
    async def work(event: Event[Any]) -> None: ...

    async with harness(flow, state=tmp_path) as h:
        h.engine.scheduler.is_draining = True
        await h.fire("s")
    parked: list[int | None] = []
    pending: list[int] = []
    for _ in range(3):
        # What a process leaves behind that dies while the run is in flight.
        store = await SqliteStore.open(tmp_path)
        pending = [run.id for run in await store.pending_runs("flow", 0, 10)]
        await store.start_runs(pending, 1)
        parked = [letter.run for letter in await store.count_deaths(most=3, at=1)]
        await store.close()
    assert len(pending) == 1
    assert parked == pending
    async with harness(flow, state=tmp_path) as h:
        await h.fire("s", id="another")
        await h.wait_for_ends(1)
    assert len(h.ended()) == 1


async def test_a_backlog_is_started_in_order_after_a_restart(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE, concurrency=1)
    seen: list[int] = []

    @flow.step
    async def work(event: Event[int]) -> None:
        seen.append(event.data)

    async with harness(flow, state=tmp_path) as h:
        h.engine.scheduler.is_draining = True
        for number in range(700):
            await h.fire("s", number)
    async with harness(flow, state=tmp_path) as h:
        await h.wait_for_ends(700)
    assert seen == list(range(700))


async def test_lanes_take_turns_when_places_are_scarce(tmp_path: Path) -> None:
    loud = Workflow("loud", on=Source(name="l"))
    quiet = Workflow("quiet", on=Source(name="q"))
    order: list[str] = []

    @loud.step(name="work")
    async def loud_work(event: Event[Any]) -> None:
        await asyncio.sleep(1)
        order.append("loud")

    @quiet.step(name="work")
    async def quiet_work(event: Event[Any]) -> None:
        await asyncio.sleep(1)
        order.append("quiet")

    async with harness(loud, quiet, state=tmp_path, most_running=2) as h:
        for _ in range(50):
            await h.fire("l")
        await h.fire("q")
        await h.wait_for_ends(1, "quiet")
    assert len(order) <= 6


async def test_a_higher_priority_goes_first_when_places_are_scarce(tmp_path: Path) -> None:
    low = Workflow("low", on=Source(name="l"), priority=-5)
    high = Workflow("high", on=Source(name="h"), priority=5)

    @low.step(name="work")
    @high.step(name="work")
    async def work(event: Event[Any]) -> None:
        await asyncio.sleep(1)

    async with harness(low, high, state=tmp_path, most_running=1) as h:
        for _ in range(5):
            await h.fire("l")
        for _ in range(5):
            await h.fire("h")
        await h.wait_for_ends(10)
    started = [fact.workflow for fact in h.facts if isinstance(fact, RunStarted)]
    assert started == ["low"] + ["high"] * 5 + ["low"] * 4


async def test_an_event_that_waits_for_credit_goes_by_the_project_that_is_loaded_then(
    tmp_path: Path,
) -> None:
    old = Workflow("old", on=SOURCE, concurrency=1, pending=1)
    new = Workflow("new", on=SOURCE)
    goes_on = asyncio.Event()

    @old.step
    async def hold(event: Event[Any]) -> None:
        await goes_on.wait()

    @new.step
    async def see(event: Event[Any]) -> None: ...

    async with harness(old, state=tmp_path) as h:
        await h.fire("s")
        await h.fire("s")
        waits = asyncio.create_task(h.fire("s", id="third"), name="third event")
        await asyncio.sleep(1)
        assert not waits.done()
        graph, _ = compile_workflow(new)
        assert graph is not None
        h.engine.define([graph], {"s": SOURCE})
        await h.engine.take_over_pending()
        await waits
        (end,) = await h.wait_for_ends(1, "new")
        goes_on.set()
    assert end.outcome == "succeeded"


async def test_a_workflow_that_is_defined_while_the_store_cannot_be_read_is_taken_over_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload in that moment ended the daemon."""
    flow = Workflow("flow", on=SOURCE)

    @flow.step
    async def see(event: Event[Any]) -> None: ...

    graph, _ = compile_workflow(flow)
    assert graph is not None
    async with harness(flow, state=tmp_path) as h:
        h.engine.define([], {})
        h.engine.define([graph], {"s": SOURCE})
        count, tries = h.engine.store.pending_counts, 0

        async def fail_twice(below: int) -> dict[str, int]:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise StoreError("disk I/O error")
            return await count(below)

        monkeypatch.setattr(h.engine.store, "pending_counts", fail_twice)
        await h.engine.take_over_pending()
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
    assert (tries, end.outcome) == (3, "succeeded")


async def test_a_steps_log_lines_tell_the_run_and_keep_the_steps_own_fields(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step
    async def say(event: Event[Any], ctx: Context) -> None:
        ctx.log.warning("loaded", extra={"rows": 3})

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
    (record,) = [record for record in caplog.records if record.message == "loaded"]
    shown = vars(record)
    assert (shown["rows"], shown["step"], shown["attempt"]) == (3, "say", 1)
    assert shown["run_id"] == end.run_id


async def test_a_thread_at_work_has_its_time_in_virtual_time_too(tmp_path: Path) -> None:
    """It was given up at once: a loop that has nothing to do but wait for it jumped over its timeout."""
    flow = Workflow("flow", on=SOURCE)
    loop = asyncio.get_running_loop()
    others_are_done = threading.Event()

    def wait_for_nothing_else() -> None:
        # After this turn of the loop the thread is all that it waits for.
        loop.call_soon(others_are_done.set)

    @flow.step(timeout="1s")
    def work(event: Event[Any]) -> bool:
        loop.call_soon_threadsafe(wait_for_nothing_else)
        return others_are_done.wait(20)

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
    assert end.outcome == "succeeded"


async def test_a_thread_that_outlives_its_timeout_is_told_of(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)
    goes_on = threading.Event()

    @flow.step(timeout="1s")
    def stare(event: Event[Any]) -> None:
        goes_on.wait(20)

    async with harness(flow, state=tmp_path) as h:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        await h.fire("s")
        await h.wait_until(lambda: any(isinstance(fact, RunStarted) for fact in h.facts))
        # The thread holds virtual time still, which is not what is tested here.
        loop.call_later(0, loop.jump, 1.0)
        (end,) = await h.wait_for_ends(1)
        goes_on.set()
    assert end.outcome == "failed"
    (told,) = [fact for fact in h.facts if isinstance(fact, ThreadAbandoned)]
    assert told.step == "stare"
