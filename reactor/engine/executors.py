"""Calling a step's function where it belongs: on the loop, in a thread, or in a process of its own."""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import orjson
from anyio import BrokenWorkerProcess, CapacityLimiter, to_thread
from pydantic_core import to_json

from reactor.engine.process_worker import call_step
from reactor.engine.turns import Places
from reactor.errors import StepError
from reactor.model.outlet import load_outgoing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping

    from reactor.model.context import Context
    from reactor.model.event import Event
    from reactor.model.graph import Graph, Step

MOST_THREADS = 64
MOST_PROCESSES = 4


class Executors:
    """The daemon's threads and processes for steps, with a bound on each, for which workflows take turns."""

    def __init__(self, *, threads: int = MOST_THREADS, processes: int = MOST_PROCESSES) -> None:
        self._threads = Places(threads)
        self._processes = Places(processes)

    def prepare(self, graphs: Iterable[Graph]) -> None:
        """Import what calls of their steps need: that takes 20 ms, which a step would else wait for, and all others."""
        kinds = {step.executor for graph in graphs for step in graph.steps}
        if kinds - {"loop"}:
            _ = self._unlimited
        if "process" in kinds:
            from anyio import to_process  # noqa: F401  # see above

    @property
    def under_way(self) -> int:
        """How many calls somebody waits for that are in threads or processes."""
        return self._threads.held + self._processes.held

    @cached_property
    def _unlimited(self) -> CapacityLimiter:
        """What anyio asks for, which is first come, first served: it never says no here."""
        return CapacityLimiter(math.inf)

    def call(self, graph: Graph, step: Step, arguments: Mapping[str, Any]) -> Awaitable[Any]:
        """Return an awaitable of what the step's function returns.

        Cancelled, a coroutine is cancelled and a process ended; a thread cannot be ended, so it is left to finish
        and its result is dropped.
        """
        if step.executor == "loop":
            called: Awaitable[Any] = step.function(**arguments)
            return called
        if step.executor == "thread":
            return self._call_in_thread(graph, step, arguments)
        return self._call_in_process(graph, step, arguments)

    async def _call_in_thread(self, graph: Graph, step: Step, arguments: Mapping[str, Any]) -> Any:
        call = partial(step.function, **arguments)
        async with self._threads.place(graph.name):
            return await to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._unlimited)

    async def _call_in_process(self, graph: Graph, step: Step, arguments: Mapping[str, Any]) -> Any:
        from anyio import to_process

        # JSON crosses, not pickles: the worker reads the arguments by the step's own annotations.
        plain = {name: value for name, value in arguments.items() if name not in ("event", "ctx")}
        event: Event[Any] | None = arguments.get("event")
        context: Context | None = arguments.get("ctx")
        request = {
            "arguments": plain,
            "event": None
            if event is None
            else {
                "id": event.id,
                "source": event.source,
                "type": event.type,
                "time": event.time,
                "subject": event.subject,
                "data": event.data,
            },
            "ctx": None
            if context is None
            else {
                "run_id": context.run_id,
                "workflow": context.workflow,
                "step": context.step,
                "attempt": context.attempt,
                "idempotency_key": context.idempotency_key,
            },
        }
        try:
            async with self._processes.place(graph.name):
                answer, emitted = await to_process.run_sync(
                    call_step,
                    graph.file,
                    graph.name,
                    step.name,
                    to_json(request),
                    cancellable=True,
                    limiter=self._unlimited,
                )
        except BrokenWorkerProcess:
            raise StepError(
                "the process of the step ended without an answer: it exited, crashed, or was killed for memory"
            ) from None
        if context is not None:
            for outgoing in emitted:
                context.emit(load_outgoing(outgoing))
        return orjson.loads(answer) if step.result.annotation is Any else step.result.load(answer)
