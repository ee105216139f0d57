"""Which events a workflow waits for, and the decision about one event. Pure."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import CodeType
from typing import TYPE_CHECKING, Any

from reactor.errors import DefinitionError
from reactor.model.duration import parse_duration, spell_duration

if TYPE_CHECKING:
    from reactor.model.event import Event
    from reactor.model.sensor import Sensor

Predicate = Callable[["Event[Any]"], object]
KeyOf = str | Callable[["Event[Any]"], object]

LONGEST_ACTUAL = 200
LONGEST_KEY = 512
MOST_IN_BATCH = 10_000
LONGEST_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Condition:
    """One `.where(...)`: the predicate, how it reads, and which event attributes it looks at."""

    predicate: Predicate
    text: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """One run for up to `size` events, begun at the latest `within` after the first of them was accepted."""

    size: int
    within: timedelta

    def describe(self) -> str:
        """Return the batch as a person would say it."""
        return f"batch of {self.size} within {spell_duration(self.within)}"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One sensor and what must hold for its events."""

    sensor: Sensor
    conditions: tuple[Condition, ...] = ()
    key_of: KeyOf | None = None
    batch_of: Batch | None = None

    def where(self, predicate: Predicate) -> Trigger:
        """Fire only for events for which `predicate(event)` is true; several are all required."""
        if not _is_plain_function(predicate):
            raise DefinitionError(
                f"{self.sensor.sensor_name}: where() takes a plain function of the event, such as "
                f"lambda e: e.data.size > 0, not {predicate!r}"
            )
        text, paths = describe_predicate(predicate)
        return replace(self, conditions=(*self.conditions, Condition(predicate, text, paths)))

    def key(self, key: KeyOf) -> Trigger:
        """Run events of one key in order, one at a time; a dotted path such as "data.customer", or a function."""
        check_key(key, f"{self.sensor.sensor_name}: key()")
        return replace(self, key_of=key)

    def batch(self, size: int, *, within: str | timedelta) -> Trigger:
        """Start one run for up to `size` events, which its steps take as `events`, in the order of acceptance.

        A batch that is not full begins `within` the first of its events; a restart in between changes nothing.
        """
        return replace(self, batch_of=_batch(size, within, f"{self.sensor.sensor_name}: batch()"))

    def describe(self) -> str:
        """Return the trigger as a person would say it."""
        clauses = "".join(f" where {condition.text}" for condition in self.conditions)
        key = f" key {spell_key(self.key_of)}" if self.key_of is not None else ""
        batch = f" {self.batch_of.describe()}" if self.batch_of is not None else ""
        return f"{self.sensor.sensor_name}{clauses}{key}{batch}"


@dataclass(frozen=True, slots=True)
class Fired:
    """The event starts a run; runs of one `key` go in order, one at a time."""

    key: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A clause said no; `actual` is what the event had there."""

    clause: str
    actual: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A clause raised: neither yes nor no, so a human must look."""

    clause: str
    error: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """The event waits for a run of its batch."""

    batch: Batch


Decision = Fired | Gathered | Refused | Failed


def decide(trigger: Trigger, event: Event[Any], *, key_of: KeyOf | None = None) -> Decision:
    """Return whether `event` fires; `key_of` is the workflow's own key, used where the trigger has none."""
    for condition in trigger.conditions:
        try:
            holds = condition.predicate(event)
            if holds:
                continue
        except Exception as error:  # noqa: BLE001  # a predicate is the author's code
            return Failed(f"where {condition.text}", spell_error(error))
        return Refused(f"where {condition.text}", actual_values(condition.paths, event, holds))
    if trigger.batch_of is not None:
        return Gathered(trigger.batch_of)
    key_of = trigger.key_of if trigger.key_of is not None else key_of
    if key_of is None:
        return Fired(None)
    try:
        key = key_of(event) if callable(key_of) else value_at(event, key_of)
        return Fired(None if key is None else _storable(str(key))[:LONGEST_KEY])
    except Exception as error:  # noqa: BLE001  # a key is the author's code
        return Failed(f"key {spell_key(key_of)}", spell_error(error))


def value_at(event: Event[Any], path: str) -> Any:
    """Return what stands at a dotted path such as "data.customer.id"; a part is an attribute, key or list index.

    Raises LookupError that names the part which is not there.
    """
    value: Any = event
    for part in path.split("."):
        if isinstance(value, Mapping):
            if part not in value:
                raise LookupError(f"{path}: there is no {part!r}")
            value = value[part]
        elif isinstance(value, list):
            try:
                value = value[int(part)]
            except (ValueError, IndexError):
                message = f"{path}: there is no {part!r} in a list of {len(value)}"
                raise LookupError(message) from None
        elif not part.startswith("_") and hasattr(value, part):
            value = getattr(value, part)
        else:
            raise LookupError(f"{path}: there is no {part!r}")
    return value


def actual_values(paths: tuple[str, ...], event: Event[Any], returned: object) -> str:
    """Return what the event had at the places the predicate looks at, or else what the predicate returned."""
    found = []
    for path in paths:
        try:
            found.append(f"{path} = {value_at(event, path)!r}")
        except Exception as error:  # noqa: BLE001  # a place that is not there is an answer too
            found.append(f"{path}: {spell_error(error)}")
    try:
        text = ", ".join(found) or f"returned {returned!r}"
    except Exception as error:  # noqa: BLE001  # a repr may be the author's code too
        text = f"returned a {type(returned).__name__}, whose repr raised {spell_error(error)}"
    return text if len(text) <= LONGEST_ACTUAL else text[:LONGEST_ACTUAL] + "…"


def spell_error(error: BaseException) -> str:
    """Return an exception in one short line."""
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # the __str__ of an error may be the author's code
        text = type(error).__name__
    return text.replace("\n", " ")[:500].rstrip(": ")


def check_key(key: object, where: str) -> None:
    """Raise DefinitionError unless `key` is a dotted path or a plain function of the event."""
    is_path = isinstance(key, str) and all(key.split("."))
    if not is_path and not _is_plain_function(key):
        raise DefinitionError(
            f'{where} takes a dotted path such as "data.customer" or a plain function of the event, '
            f"not {key!r}"
        )


def _batch(size: object, within: str | timedelta, where: str) -> Batch:
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MOST_IN_BATCH:
        raise DefinitionError(
            f"{where} takes a size from 1 to {MOST_IN_BATCH:,}, such as 500, not {size!r}"
        )
    try:
        duration = parse_duration(within)
    except ValueError as error:
        raise DefinitionError(f"{where}: within: {error}") from None
    if not timedelta(0) < duration <= LONGEST_WITHIN:
        raise DefinitionError(
            f'{where}: within is longer than zero and at most {spell_duration(LONGEST_WITHIN)}, such as "1s"'
        )
    return Batch(size, duration)


def _is_plain_function(given: object) -> bool:
    # The coroutine that an `async def` returns would be true for every event, and never awaited.
    return callable(given) and not inspect.iscoroutinefunction(given)


def _storable(text: str) -> str:
    """Return `text` with lone surrogates spelled out, which UTF-8 and so the store cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def spell_key(key_of: KeyOf | None) -> str:
    """Return a key as a person would say it."""
    return key_of if isinstance(key_of, str) else describe_predicate(key_of)[0] if key_of else ""


def describe_predicate(predicate: Callable[..., object]) -> tuple[str, tuple[str, ...]]:
    """Return the source text of a predicate and the dotted paths below its parameter that it reads."""
    name = getattr(predicate, "__qualname__", repr(predicate))
    try:
        node = _function_node(predicate)
    except (OSError, TypeError, SyntaxError, ValueError, AttributeError):
        # No source, or no function at all: a partial, an itemgetter, an object that can be called.
        return name, ()
    if node is None or not node.args.args:
        return name, ()
    text = ast.unparse(node.body) if isinstance(node, ast.Lambda) else name
    return text, _paths_read(node, node.args.args[0].arg)


def _function_node(
    predicate: Callable[..., object],
) -> ast.Lambda | ast.FunctionDef | None:
    """Return the syntax of a function; None when its line holds several lambdas that cannot be told apart."""
    code: CodeType = predicate.__code__
    source = textwrap.dedent(inspect.getsource(predicate))
    tree: ast.AST
    try:
        tree = ast.parse(source)
    except SyntaxError:
        # A lambda inside a call chain: its line alone is often no statement. Take it from `lambda` on, shrinking.
        start = source.index("lambda")
        tree = _longest_expression(source[start:])
    nodes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda | ast.FunctionDef)
        and [argument.arg for argument in node.args.args] == [*code.co_varnames[: code.co_argcount]]
        and (isinstance(node, ast.Lambda) or node.name == code.co_name)
    ]
    return nodes[0] if len(nodes) == 1 else None


def _longest_expression(text: str) -> ast.AST:
    for end in range(len(text), 0, -1):
        try:
            return ast.parse(text[:end].strip(), mode="eval")
        except SyntaxError:
            continue
    raise SyntaxError(text)


def _paths_read(node: ast.Lambda | ast.FunctionDef, parameter: str) -> tuple[str, ...]:
    paths: dict[str, None] = {}
    inner: set[int] = set()
    for part in ast.walk(node):
        if id(part) in inner or not isinstance(part, ast.Attribute | ast.Subscript):
            continue
        names: list[str] = []
        value: ast.expr = part
        while isinstance(value, ast.Attribute | ast.Subscript):
            inner.add(id(value))
            if isinstance(value, ast.Attribute):
                names.append(value.attr)
            elif isinstance(value.slice, ast.Constant) and "." not in str(value.slice.value):
                names.append(str(value.slice.value))
            else:
                names.clear()
            value = value.value
        if isinstance(value, ast.Name) and value.id == parameter and names:
            paths[".".join(reversed(names))] = None
    # A method that is called is no place in the event: `e.subject.endswith(...)` reads `subject`.
    called = {
        ast.unparse(part.func).removeprefix(f"{parameter}.")
        for part in ast.walk(node)
        if isinstance(part, ast.Call)
    }
    return tuple(path.rpartition(".")[0] or path if path in called else path for path in paths)
