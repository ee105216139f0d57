"""What the data of an `Event[T]` are to a step that asks for them as T."""

from __future__ import annotations

import types
import typing
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Union

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# Their values never change, and JSON keeps them. Not float: JSON has no number for some.
_CONSTANT = (str, int, bool, type(None), datetime, date, timedelta)


class EventData:
    """How to read the data of one annotation."""

    __slots__ = ("_adapter", "_annotation", "_fields")

    def __init__(self, annotation: Any) -> None:
        """Raises what a type raises that cannot be written as JSON."""
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        self._annotation = annotation
        self._fields = constant_fields(annotation)

    def has(self, data: Any) -> bool:
        """Return whether `data` are what reading their JSON would give, and no step can change them for another.

        A dataclass takes whatever its sensor puts into it, so its fields are looked at.
        """
        return (
            self._fields is not None
            and type(data) is self._annotation
            and all(type(getattr(data, name)) in kinds for name, kinds in self._fields.items())
        )

    def from_json(self, raw: bytes) -> Any:
        """Return the data that were written as JSON. Raises pydantic.ValidationError where they do not fit."""
        return self._adapter.validate_json(raw)

    def from_plain(self, data: Any) -> Any:
        """Return the same of what JSON was read as."""
        return self._adapter.validate_python(data)


def constant_fields(annotation: Any) -> Mapping[str, Collection[type]] | None:
    """Return by field what types its values have, where those of a type cannot change; None where they may.

    They cannot in a frozen dataclass, all fields of which are constant. What is constant itself has no fields.
    """
    if _is_constant(annotation):
        return {}
    # Not of a class above, to which this one may add what can change.
    parameters = (
        vars(annotation).get("__dataclass_params__") if isinstance(annotation, type) else None
    )
    if parameters is None or not parameters.frozen:
        return None
    try:
        hints = typing.get_type_hints(annotation, include_extras=True)
    except Exception:  # noqa: BLE001  # any code may stand in an annotation
        return None
    kinds = {field.name: _kinds_of(hints[field.name]) for field in fields(annotation)}
    return kinds if all(all(map(_is_constant, each)) for each in kinds.values()) else None


def _kinds_of(hint: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(hint) in (Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def _is_constant(annotation: Any) -> bool:
    # Not by `in`: not everything that stands in an annotation can be compared.
    return any(annotation is one for one in _CONSTANT)
