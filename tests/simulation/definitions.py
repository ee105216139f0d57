"""The workflows of a plan, made into real ones, whose steps tell the world that they were called."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zlib import crc32

from reactor.errors import Reject, StepError
from reactor.model.graph import compile_workflow
from reactor.model.retry import Retry
from reactor.model.workflow import Workflow
from tests.simulation.world import Effect, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reactor.model.context import Context
    from reactor.model.event import Event
    from reactor.model.graph import Graph
    from reactor.model.sensor import Sensor
    from reactor.model.trigger import Trigger
    from tests.simulation.plan import StepPlan, Trouble, WorkflowPlan

SLOW_FACTOR = 20
NEVER_SECONDS = 10_000_000.0


class Choked(Exception):  # noqa: N818  # what an author's predicate might raise
    """A predicate raised."""


def graph_of(plan: WorkflowPlan, sensors: Mapping[str, Sensor], world: World) -> Graph:
    """Return the workflow of a plan, compiled."""
    predicate = _predicate(plan)
    # One that takes whatever comes has no condition: of such alone many events are a block.
    takes_all = plan.chokes_on is None and plan.below >= plan.modulus
    triggers = []
    for name in plan.sensors:
        trigger: Sensor | Trigger = sensors[name]
        if not takes_all:
            trigger = trigger.where(predicate)
        if plan.keys is not None:
            trigger = trigger.key(_key(plan.keys))
        if plan.batch_size is not None:
            trigger = trigger.batch(plan.batch_size, within=timedelta(milliseconds=plan.within_ms))
        triggers.append(trigger)
    workflow = Workflow(
        plan.name,
        on=triggers,
        concurrency=plan.concurrency,
        priority=plan.priority,
        pending=plan.pending,
        timeout=_milliseconds(plan.timeout_ms),
    )
    for step in plan.steps:
        workflow.step(
            name=step.name,
            after=step.after,
            retry=Retry(
                step.attempts,
                first_delay=timedelta(milliseconds=step.delay_ms),
                longest_delay=timedelta(milliseconds=step.delay_ms * 4),
            ),
            timeout=_milliseconds(step.timeout_ms),
        )(_function(plan, step, world))
    graph, faults = compile_workflow(workflow)
    if graph is None:
        raise AssertionError(f"the plan drew a workflow that does not compile: {faults}")
    return graph


def trouble_of(
    seed: int, workflow: str, step: StepPlan, events: str, attempt: int
) -> Trouble | None:
    """Return what goes wrong in an attempt: the same in every life, and for whoever asks."""
    drawn = crc32(f"{seed} {workflow} {step.name} {events} {attempt}".encode())
    if drawn % 100 >= step.trouble_percent or not step.troubles:
        return None
    return step.troubles[drawn // 100 % len(step.troubles)]


def _predicate(plan: WorkflowPlan) -> Callable[[Event[Any]], object]:
    def is_wanted(event: Event[Any]) -> bool:
        number = event.data["n"]
        if plan.chokes_on is not None and number % plan.chokes_on == 0:
            raise Choked(number)
        return bool(number % plan.modulus < plan.below)

    return is_wanted


def _key(keys: int) -> Callable[[Event[Any]], object]:
    return lambda event: f"k{event.data['n'] % keys}"


def _milliseconds(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(milliseconds=number)


def _function(plan: WorkflowPlan, step: StepPlan, world: World) -> Callable[..., Any]:
    async def call(**arguments: Any) -> Any:
        effect, trouble = _called(plan, step, world, arguments)
        try:
            seconds = step.work_ms / 1000
            if trouble == "hang":
                seconds = NEVER_SECONDS
            elif trouble == "slow":
                seconds = seconds * SLOW_FACTOR + 0.001
            if seconds:
                await asyncio.sleep(seconds)
            value = _end(effect, trouble)
        except asyncio.CancelledError:
            if effect.ended is None:
                effect.ended = "cut"
            raise
        return value

    def call_in_thread(**arguments: Any) -> Any:
        effect, trouble = _called(plan, step, world, arguments)
        return _end(effect, trouble)

    function: Callable[..., Any] = call_in_thread if step.is_thread else call
    given = ("events" if plan.batch_size is not None else "event", "ctx", *step.takes)
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in given]
    # The graph is made from the parameters' names, which a plan draws.
    setattr(function, "__signature__", inspect.Signature(parameters))  # noqa: B010  # no attribute of the type
    return function


def _called(
    plan: WorkflowPlan, step: StepPlan, world: World, arguments: dict[str, Any]
) -> tuple[Effect, Trouble | None]:
    ctx: Context = arguments["ctx"]
    events: list[Event[Any]] = (
        arguments["events"] if "events" in arguments else [arguments["event"]]
    )
    names = tuple(event.id for event in events)
    effect = Effect(
        life=world.life,
        run=ctx.run_id,
        workflow=plan.name,
        step=step.name,
        attempt=ctx.attempt,
        key=ctx.idempotency_key,
        events=names,
        got={name: arguments[name] for name in step.takes},
        token=f"{ctx.run_id}/{step.name}/{len(world.effects)}",
    )
    world.begin(effect)
    return effect, trouble_of(world.plan.seed, plan.name, step, " ".join(names), ctx.attempt)


def _end(effect: Effect, trouble: Trouble | None) -> Any:
    """Return the result of a call, or raise what goes wrong with it."""
    effect.ended = "ok" if trouble in (None, "slow", "hang") else str(trouble)
    match trouble:
        case "fail":
            raise StepError("it failed, as planned")
        case "reject":
            raise Reject("it cannot be, as planned")
        case "cancel":
            raise asyncio.CancelledError
        case "exit":
            raise SystemExit(3)
        case "unwritable":
            return object()
        case _:
            return effect.token
