"""What the data of an `Event[T]` are to a step that asks for them as T."""

from __future__ import annotations

import types
import typing
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any, Union

from pydantic import TypeAdapter

# Their values never change, and JSON keeps them. Not float: JSON has no number for some.
_CONSTANT = (str, int, bool, type(None), datetime, date, timedelta)


class EventData:
    """How to read the data of one annotation."""

    __slots__ = ("_adapter", "_constant")

    def __init__(self, annotation: Any) -> None:
        """Raises what a type raises that cannot be written as JSON."""
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        self._constant = annotation if is_constant(annotation) else None

    def has(self, data: Any) -> bool:
        """Return whether `data` are what reading their JSON would give, and no step can change them for another."""
        return type(data) is self._constant

    def from_json(self, raw: bytes) -> Any:
        """Return the data that were written as JSON. Raises pydantic.ValidationError where they do not fit."""
        return self._adapter.validate_json(raw)

    def from_plain(self, data: Any) -> Any:
        """Return the same of what JSON was read as."""
        return self._adapter.validate_python(data)


def is_constant(annotation: Any) -> bool:
    """Return whether values of a type cannot change: those of a frozen dataclass, all fields of which are constant."""
    if _is_one_of_constant(annotation):
        return True
    # Not of a class above, to which this one may add what can change.
    parameters = (
        vars(annotation).get("__dataclass_params__") if isinstance(annotation, type) else None
    )
    if parameters is None or not parameters.frozen:
        return False
    try:
        hints = typing.get_type_hints(annotation, include_extras=True)
    except Exception:  # noqa: BLE001  # any code may stand in an annotation
        return False
    return all(_is_constant_field(hints[field.name]) for field in fields(annotation))


def _is_constant_field(hint: Any) -> bool:
    if typing.get_origin(hint) in (Union, types.UnionType):
        return all(map(_is_one_of_constant, typing.get_args(hint)))
    return _is_one_of_constant(hint)


def _is_one_of_constant(annotation: Any) -> bool:
    # Not by `in`: not everything that stands in an annotation can be hashed.
    return any(annotation is one for one in _CONSTANT)
