"""JSON checked by a JSON Schema that nobody vouches for. Needs jsonschema.

A schema can ask for any amount of work: references that double at each step, patterns that backtrack for ever. So every
keyword that is looked at is counted, against a budget that grows with the value; the few keywords whose cost lies
inside of them are written anew; and patterns are matched by Rust's regex, in linear time, which knows neither
look-around nor back-references (https://docs.rs/regex/). Nothing is ever fetched.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError as BreaksSchemaError
from jsonschema.validators import extend, validator_for
from jsonschema_specifications import REGISTRY
from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.jsonschema import DRAFT7

from reactor_sensors._avro_schema import bad_schema
from reactor_sensors._kafka_poison import PoisonError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MOST_NODES = 20_000
MOST_LEVELS = 200
_MOST_MIXED = 2000
# Units of 2 to 4 microseconds: a keyword is one, and those that cost more are more. Values of the densest kind, digits
# in an array, may have each looked at eight times.
_WORK_TO_BEGIN_WITH = 100_000
_WORK_PER_BYTE = 4
_WORK_PER_FAULT = 8
_WORK_PER_REFERENCE = 5
_CHARACTERS_PER_WORK = 100
_MOST_FAULTS = 3
_MOST_FAULT = 150


# Of keywords within keywords, some four frames each. Counted, because a limit that the interpreter reaches inside of
# one of the library's own libraries, which is no Python, is not a RecursionError any more but a panic.
_MOST_DEPTH = 150


class _TooCostlyError(Exception):
    """The budget is spent."""


class _TooDeepError(Exception):
    """Keywords lead to keywords without an end."""


class _Budget(threading.local):
    """How much may still be looked at by this thread, and within how many keywords it is."""

    left = 0
    depth = 0

    def spend(self, work: int) -> None:
        self.left -= work
        if self.left < 0:
            raise _TooCostlyError


def json_schema_codec(
    text: str, references: tuple[tuple[str, str], ...] = ()
) -> Callable[[bytes], bytes]:
    """Return the function that checks a value and returns it as it is. It raises PoisonError.

    A schema that names no draft is read as draft 7, as Confluent's serializers do. `format` is a note and not
    checked, as the specification leaves it. Raises PoisonError ("bad_schema"). Takes long for large schemas: not for
    the loop.
    """
    schema = _parsed(text)
    others = {name: _parsed(other) for name, other in references}
    _expect_bounds([schema, *others.values()])
    draft = validator_for(schema, default=Draft7Validator)
    budget = _Budget()
    for one in (schema, *others.values()):
        _expect_schema(draft, one)
        _forget_drafts(one)
    validator = _counted(draft, budget)(schema, registry=_registry(others))

    def check(payload: bytes) -> bytes:
        try:
            value = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise PoisonError("not_json", f"the value is not JSON: {error}") from None
        budget.left = _WORK_TO_BEGIN_WITH + _WORK_PER_BYTE * len(payload)
        budget.depth = 0
        try:
            faults = _first_faults(validator.iter_errors(value))
        except _TooCostlyError:
            raise PoisonError(
                "breaks_schema",
                "checking the value by its schema takes too long for its size; see what the schema repeats",
            ) from None
        except PoisonError:
            raise
        except (_TooDeepError, RecursionError):
            raise bad_schema(
                "it refers to itself without an end, or the value is too deep"
            ) from None
        except Unresolvable as error:
            raise bad_schema(f"it refers to {error.ref[:100]!r}, which is not there") from None
        except ValueError as error:
            raise bad_schema(f"it refers to what is no address: {error}") from None
        if faults:
            raise PoisonError("breaks_schema", "the value breaks its schema: " + "; ".join(faults))
        return payload

    return check


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad_schema(f"it is not JSON: {error}") from None


def _expect_bounds(schemas: list[Any]) -> None:
    waiting = [(schema, 0) for schema in schemas]
    nodes, keywords = 0, set()
    while waiting:
        node, level = waiting.pop()
        nodes += 1
        if nodes > MOST_NODES or level > MOST_LEVELS:
            raise bad_schema(f"it has more than {MOST_NODES:,} parts or {MOST_LEVELS} levels")
        if isinstance(node, dict):
            keywords |= {
                key for key in ("patternProperties", "unevaluatedProperties") if key in node
            }
            waiting.extend((value, level + 1) for value in node.values())
        elif isinstance(node, list):
            if len(node) > _MOST_MIXED and not all(isinstance(one, str) for one in node):
                # Whether they repeat is found out by comparing each with each.
                raise bad_schema(
                    f"it has a list of more than {_MOST_MIXED:,} that are not all texts"
                )
            waiting.extend((value, level + 1) for value in node)
    if len(keywords) == 2:
        # What the library does for the one looks at the patterns of the other, and by an engine that backtracks.
        raise bad_schema("it has patternProperties beside unevaluatedProperties; use one of them")


def _registry(others: Mapping[str, Any]) -> Registry[Any]:
    def retrieve(uri: str) -> Resource[Any]:
        # A reference is known by the name in the schema; with an $id around it that is the end of a longer address.
        for name, other in others.items():
            if uri == name or uri.endswith(f"/{name}"):
                return Resource.from_contents(other, default_specification=DRAFT7)
        raise NoSuchResource(ref=uri)  # type: ignore[call-arg]  # attrs hides its names

    # Without the drafts' own schemas: by those, values would be checked uncounted.
    return Registry(retrieve=retrieve)  # type: ignore[call-arg]  # attrs hides its names


def _expect_schema(draft: Any, schema: Any) -> None:
    try:
        faults = _first_faults(draft(draft.META_SCHEMA, registry=REGISTRY).iter_errors(schema))
    except RecursionError:
        raise bad_schema("it is too deep to be checked") from None
    if faults:
        raise bad_schema("; ".join(faults))


def _forget_drafts(schema: Any) -> None:
    """Take every `$schema` away: the library changes to that draft's own validator there, which counts nothing."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("$schema"), str):
                del node["$schema"]
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _first_faults(errors: Iterator[BreaksSchemaError]) -> list[str]:
    found: list[str] = []
    for error in errors:
        # Not the library's message: it repeats the value, which may be secret and is kept with the dead letter anyway.
        where = ".".join(map(str, error.absolute_path)) or "value"
        wanted = orjson.dumps(error.validator_value, default=str)[:60].decode(errors="replace")
        found.append(f"{where[:80]}: not as {error.validator} {wanted} asks"[:_MOST_FAULT])
        if len(found) == _MOST_FAULTS:
            break
    return found


def _counted(draft: Any, budget: _Budget) -> Any:
    """Return a validator class of a draft in which all work is counted."""
    matchers: dict[str, TypeAdapter[str]] = {}

    def has(pattern: str, text: str) -> bool:
        budget.spend(1 + len(text) // _CHARACTERS_PER_WORK)
        if pattern not in matchers:
            matchers[pattern] = _matcher(pattern)
        try:
            matchers[pattern].validate_python(text)
        except ValidationError:
            return False
        return True

    keywords = {**draft.VALIDATORS, **_linear(has)}
    counted = {
        name: _counting(name, keywords[name], budget)
        for name in keywords
        if name in draft.VALIDATORS
    }
    return extend(draft, counted)


def _counting(name: str, keyword: Any, budget: _Budget) -> Any:
    least = _WORK_PER_REFERENCE if name.endswith(("$ref", "Ref")) else 1

    def look(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[BreaksSchemaError]:
        size = len(value) if isinstance(value, dict | list) else 0
        budget.spend(least + (len(wanted) if isinstance(wanted, dict | list) else 0) + size // 4)
        if budget.depth >= _MOST_DEPTH:
            raise _TooDeepError
        budget.depth += 1
        try:
            for error in keyword(validator, wanted, value, schema) or ():
                # The message repeats the value, and is made whether or not anybody reads it.
                budget.spend(_WORK_PER_FAULT + len(error.message) // _CHARACTERS_PER_WORK)
                yield error
        finally:
            budget.depth -= 1

    return look


def _matcher(pattern: str) -> TypeAdapter[str]:
    try:
        # Lone surrogates cannot be matched, and JSON of ours has none.
        return TypeAdapter(
            Annotated[str, StringConstraints(pattern=pattern)],
            config=ConfigDict(regex_engine="rust-regex"),
        )
    except SchemaError:
        raise bad_schema(
            f"the pattern {pattern[:60]!r} cannot be matched in bounded time; "
            "write it without look-around and back-references"
        ) from None


def _linear(has: Callable[[str, str], bool]) -> dict[str, Any]:
    """Return the keywords whose cost the library does not bound."""

    def pattern(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
        if validator.is_type(value, "string") and not has(wanted, value):
            yield BreaksSchemaError("no match")

    def pattern_properties(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
        if validator.is_type(value, "object"):
            for expression, inner in wanted.items():
                for name, one in value.items():
                    if has(expression, name):
                        yield from validator.descend(one, inner, path=name, schema_path=expression)

    def additional_properties(
        validator: Any, wanted: Any, value: Any, schema: Any
    ) -> Iterator[Any]:
        if not validator.is_type(value, "object"):
            return
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name, one in value.items():
            if name in known or any(has(expression, name) for expression in patterns):
                continue
            if wanted is False:
                yield BreaksSchemaError("not known", path=(name,))
            else:
                yield from validator.descend(one, wanted, path=name)

    def unique_items(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
        if wanted and validator.is_type(value, "array"):
            spelled = {orjson.dumps(_same(one), option=orjson.OPT_SORT_KEYS) for one in value}
            if len(spelled) < len(value):
                yield BreaksSchemaError("items repeat")

    return {
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional_properties,
        "uniqueItems": unique_items,
    }


def _same(value: Any) -> Any:
    """Return a value so that equal ones in the sense of JSON Schema are equal: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {name: _same(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_same(one) for one in value]
    return value
