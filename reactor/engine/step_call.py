"""One call of a step's function: what it is called with, and what its end means."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from reactor.errors import Reject, ResultError, StepError
from reactor.model.context import Context, StepLog
from reactor.model.event import Event
from reactor.model.ids import spell_id
from reactor.model.trigger import spell_error
from reactor.telemetry.facts import ThreadAbandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from reactor.engine.arrivals import Arrived
    from reactor.engine.tools import Tools
    from reactor.model.graph import Graph, Step
    from reactor.store.contract import StepOutcome

    # Outcome, error, result as JSON, result, and whether another attempt is out of the question.
    Ended = tuple[StepOutcome, str | None, bytes | None, Any, bool]

LONGEST_ERROR = 4000

_step_log = logging.getLogger("reactor.step")


async def call_step(
    tools: Tools,
    graph: Graph,
    step: Step,
    run: int,
    *,
    arguments: Callable[[], Mapping[str, Any]],
    timeout: timedelta | None,  # of the step; not of this function
    is_over: Callable[[], bool],
) -> Ended:
    """Call a step's function once. `is_over` tells whether the time of the whole run is.

    Raises CancelledError when the task is cancelled from outside, and nothing else.
    """
    scope: asyncio.Timeout | None = None
    try:
        given = arguments()
        if timeout is None:
            value = await tools.executors.call(graph, step, given)
        else:
            scope = asyncio.timeout(max(timeout.total_seconds(), 0.0))
            async with scope:
                value = await tools.executors.call(graph, step, given)
        raw, value = step.result.dump(value)
    except TimeoutError as error:
        if scope is None or not scope.expired():
            return "failed", _spell_failure(step, error), None, None, False
        if step.executor == "thread":
            tools.telemetry.emit(
                ThreadAbandoned(workflow=graph.name, step=step.name, run_id=spell_id(run))
            )
        over = is_over()
        what = f"the run's timeout of {graph.timeout}" if over else f"its timeout of {step.timeout}"
        return "timed_out", f"step {step.name!r} was stopped by {what}", None, None, over
    except (Reject, ResultError) as error:
        return "failed", _spell_failure(step, error), None, None, True
    except (Exception, SystemExit) as error:  # noqa: BLE001  # an attempt is one of three places that catch all
        return "failed", _spell_failure(step, error), None, None, False
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return "cancelled", f"step {step.name!r} cancelled itself", None, None, False
    return "succeeded", None, raw, value, True


def context_for(graph: Graph, step: Step, run: int, attempt: int) -> Context:
    """Return what the step gets as `ctx`."""
    run_id = spell_id(run)
    log = StepLog(
        _step_log,
        {"workflow": graph.name, "step": step.name, "run_id": run_id, "attempt": attempt},
    )
    return Context(
        run_id=run_id,
        workflow=graph.name,
        step=step.name,
        attempt=attempt,
        idempotency_key=f"{run_id}/{step.name}",
        log=log,
    )


def event_for(step: Step, event: Event[Any], raw: bytes) -> Event[Any]:
    """Return the event with its data as the step's annotation wants them."""
    wanted = step.event_data
    if wanted is None or wanted.has(event.data):
        return event
    try:
        data = wanted.from_json(raw)
    except ValidationError as error:
        raise ResultError(
            f"the event's data does not fit the annotation of step {step.name!r}: {error.errors()[0]['msg']}"
        ) from None
    # `dataclasses.replace` does the same in twice the time.
    return Event(
        id=event.id,
        source=event.source,
        type=event.type,
        time=event.time,
        data=data,
        subject=event.subject,
    )


def events_for(step: Step, batch: Sequence[Arrived]) -> list[Event[Any]]:
    """Return the events of a batch as `event_for` does each."""
    if step.event_data is None:
        return [one.event for one in batch]
    return [event_for(step, one.event, one.raw) for one in batch]


def _spell_failure(step: Step, error: BaseException) -> str:
    """Return the error and the line of the step's file that it came from."""
    if isinstance(error, StepError) and error.__traceback__ is None:
        return str(error)
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == step.file:
            line = trace.tb_lineno
        trace = trace.tb_next
    place = f" ({step.file}:{line})" if line is not None else ""
    return f"{spell_error(error)}{place}"[:LONGEST_ERROR]
