"""What a workflow author writes: a named graph of functions and the triggers that fire it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Never, ParamSpec, TypeVar, cast, overload

from reactor.errors import DefinitionError
from reactor.model.duration import parse_duration
from reactor.model.sensor import Sensor, nearest
from reactor.model.trigger import KeyOf, Trigger, check_key

if TYPE_CHECKING:
    from reactor.model.retry import Retry

P = ParamSpec("P")
R = TypeVar("R")
Executor = Literal["loop", "thread", "process"]

EXECUTORS = ("loop", "thread", "process")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
MOST_RUNS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDefinition:
    """One step as it was written; what it means is found when the workflow is compiled."""

    name: str
    function: Callable[..., Any]
    after: tuple[str, ...]
    retry: Retry | None
    timeout: timedelta | None
    executor: Executor
    file: str
    line: int


class Workflow:
    """A named graph of steps, fired by each event that one of its triggers matches.

    `concurrency` is how many of its runs go on at once; `key` puts runs of one key in order, one at a time;
    `timeout` bounds a whole run from its first step; `priority` (-100 to 100) says who goes first when the daemon
    is full; `pending` is how many runs may wait before its sources are held back.
    """

    def __init__(
        self,
        name: str,
        *,
        on: Sensor | Trigger | Sequence[Sensor | Trigger],
        owner: str = "",
        description: str = "",
        concurrency: int = 256,
        key: KeyOf | None = None,
        timeout: str | timedelta | None = None,
        priority: int = 0,
        pending: int = 10_000,
        largest_result_bytes: int = 1_048_576,
        **unknown: Never,
    ) -> None:
        self.file, self.line = _caller()
        _refuse_unknown("Workflow", unknown, Workflow.__init__)
        _check_name(name)
        self.name = name
        self.triggers = _triggers(name, on)
        self.owner = owner
        self.description = description
        self.concurrency = _bounded(name, "concurrency", concurrency, 1, MOST_RUNS_AT_ONCE)
        if key is not None:
            check_key(key, f"workflow {name!r}: key=")
        self.key = key
        self.timeout = _duration(f"workflow {name!r}", timeout)
        self.priority = _bounded(name, "priority", priority, -100, 100)
        self.pending = _bounded(name, "pending", pending, 1, 100_000_000)
        self.largest_result_bytes = _bounded(
            name, "largest_result_bytes", largest_result_bytes, 1, 2**30
        )
        self.steps: list[StepDefinition] = []

    @overload
    def step(self, function: Callable[P, R], /) -> Callable[P, R]: ...

    @overload
    def step(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        after: str | Sequence[str] = (),
        retry: Retry | None = None,
        timeout: str | timedelta | None = None,
        executor: Executor | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def step(
        self,
        function: Any = None,
        /,
        *,
        name: str | None = None,
        after: str | Sequence[str] = (),
        retry: Retry | None = None,
        timeout: str | timedelta | None = None,
        executor: Executor | None = None,
        **unknown: Never,
    ) -> Any:
        """Make a function a step; the function itself is returned unchanged.

        A parameter named `event` or `ctx` gets the event or the context; any other gets the result of the step of
        that name. `after` names steps to wait for without their result. `timeout` bounds one attempt. `executor`
        is "loop" for `async def` and "thread" for `def` unless it says "process".
        """
        _refuse_unknown(f"a step of workflow {self.name!r}", unknown, Workflow.step)
        if function is None:
            return lambda given: self._add(given, name, after, retry, timeout, executor)
        return self._add(function, None, (), None, None, None)

    def _add(
        self,
        function: Callable[P, R],
        name: str | None,
        after: str | Sequence[str],
        retry: Retry | None,
        timeout: str | timedelta | None,
        executor: str | None,
    ) -> Callable[P, R]:
        code = getattr(inspect.unwrap(function), "__code__", None)
        if code is None:
            raise DefinitionError(
                f"workflow {self.name!r}: a step is a function written with def or async def, "
                f"not {function!r}"
            )
        step = str(name or getattr(function, "__name__", ""))
        where = f"step {step!r} of workflow {self.name!r}"
        if not NAME.fullmatch(step):
            raise DefinitionError(f"{where}: {step!r} is no name for a step; give one with name=")
        is_async = inspect.iscoroutinefunction(function)
        chosen = executor or ("loop" if is_async else "thread")
        if chosen not in EXECUTORS:
            raise DefinitionError(
                f"{where}: unknown executor {chosen!r}{nearest(chosen, EXECUTORS)}"
            )
        if chosen == "thread" and is_async:
            raise DefinitionError(
                f'{where} is async, so it cannot run in a thread; drop executor="thread"'
            )
        if chosen == "process" and is_async:
            raise DefinitionError(
                f'{where} is async, but a process has no loop; make it a plain def, or drop executor="process"'
            )
        if chosen == "loop" and not is_async:
            raise DefinitionError(
                f'{where} is a plain def, which would block the loop; make it async, or drop executor="loop"'
            )
        self.steps.append(
            StepDefinition(
                name=step,
                function=function,
                after=(after,) if isinstance(after, str) else tuple(after),
                retry=retry,
                timeout=_duration(where, timeout),
                executor=cast("Executor", chosen),
                file=code.co_filename,
                line=code.co_firstlineno,
            )
        )
        return function

    def __repr__(self) -> str:
        return f"Workflow({self.name!r}, {len(self.steps)} steps)"


def _refuse_unknown(
    what: str, unknown: Mapping[str, object], function: Callable[..., object]
) -> None:
    """Raise DefinitionError that names the nearest option of `function`."""
    if unknown:
        given = next(iter(unknown))
        options = [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind is parameter.KEYWORD_ONLY
        ]
        raise DefinitionError(f"{what}: unknown option {given!r}{nearest(given, options)}")


def _triggers(name: str, on: Sensor | Trigger | Sequence[Sensor | Trigger]) -> tuple[Trigger, ...]:
    given = on if isinstance(on, list | tuple) else [on]
    triggers = []
    for one in given:
        if isinstance(one, Sensor):
            triggers.append(Trigger(sensor=one))
        elif isinstance(one, Trigger):
            triggers.append(one)
        else:
            raise DefinitionError(
                f"workflow {name!r}: on= takes a sensor, a trigger or a list of them, not {one!r}"
            )
    if not triggers:
        raise DefinitionError(
            f"workflow {name!r}: on=[] would never fire; name at least one sensor"
        )
    return tuple(triggers)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise DefinitionError(
            f"workflow name {name!r} is not 1 to 100 letters, digits, '_', '-' or '.', "
            "beginning with a letter or '_'"
        )


def _bounded(name: str, option: str, value: object, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise DefinitionError(
            f"workflow {name!r}: {option} is {value!r}; expected a whole number from {lowest:,} to {highest:,}"
        )
    return value


def _duration(where: str, text: str | timedelta | None) -> timedelta | None:
    if text is None:
        return None
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise DefinitionError(f"{where}: timeout: {error}") from None
    if not duration:
        raise DefinitionError(f"{where}: timeout is zero; leave it out for none")
    return duration


def _caller() -> tuple[str, int]:
    frame = sys._getframe(2)  # the line of the author's file that a fault is reported at
    return frame.f_code.co_filename, frame.f_lineno
