"""What a step returned, as JSON and back. Never pickle: a result must outlive the code that made it."""

from __future__ import annotations

import math
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from reactor.errors import ResultError

# Values of exactly these types are the same after a round trip through JSON, so it is skipped.
_SAME_AFTER_JSON = (bool, str, type(None))
LARGEST_EXACT_INT = 2**63


class ResultType:
    """How results of one annotation are written and read. `annotation` Any means plain JSON."""

    __slots__ = ("_adapter", "annotation", "largest_bytes")

    def __init__(self, annotation: Any, *, largest_bytes: int) -> None:
        self.annotation = annotation
        self.largest_bytes = largest_bytes
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)

    def dump(self, value: Any) -> tuple[bytes, Any]:
        """Return the JSON of `value`, and the value as a dependant will see it, now or after a restart.

        Raises ResultError that says what is wrong and what to do.
        """
        kind = type(value)
        if self.annotation is Any or self.annotation is kind:
            if kind in _SAME_AFTER_JSON:
                return self._limited(_dump_plain(value)), value
            if kind is int and -LARGEST_EXACT_INT <= value < LARGEST_EXACT_INT:
                return self._limited(b"%d" % value), value
        try:
            if self.annotation is not Any:
                value = self._adapter.validate_python(value)
            raw = self._dump(value)
        except ValidationError as error:
            raise ResultError(
                f"the result does not fit the annotation {self.annotation!r}: {_first_fault(error)}"
            ) from None
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise ResultError(
                f"the result cannot be written as JSON ({error}); return plain data, a dataclass or a pydantic model"
            ) from None
        return self._limited(raw), self._read(
            raw, "the result cannot be read back from its JSON as"
        )

    def load(self, raw: bytes) -> Any:
        """Return the value that `dump` wrote.

        Raises ResultError when the annotation has changed so that it no longer fits.
        """
        return self._read(raw, "the recorded result no longer fits the annotation")

    def _read(self, raw: bytes, what: str) -> Any:
        try:
            return self._adapter.validate_json(raw)
        except ValidationError as error:
            raise ResultError(f"{what} {self.annotation!r}: {_first_fault(error)}") from None

    def _dump(self, value: Any) -> bytes:
        raw = self._adapter.dump_json(value)
        # pydantic writes nan and the infinities as null, at any depth: a silent change of the result.
        if b"null" in raw and (odd := _non_finite(self._adapter.dump_python(value))) is not None:
            raise ValueError(f"it holds {odd!r}, for which JSON has no number")
        return raw

    def _limited(self, raw: bytes) -> bytes:
        if len(raw) > self.largest_bytes:
            raise ResultError(
                f"the result is {len(raw):,} bytes of JSON, more than the {self.largest_bytes:,} allowed; "
                "write it to a file or table and return a reference to it"
            )
        return raw


def _dump_plain(value: bool | str | None) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise ResultError(f"the result is text that is not valid Unicode ({error})") from None


def _non_finite(value: Any) -> float | None:
    """Return a float in plain data that JSON cannot hold, or None."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, float):
            if not math.isfinite(part):
                return part
        elif isinstance(part, dict):
            left.extend(part.values())
        elif isinstance(part, list | tuple | set | frozenset):
            left.extend(part)
    return None


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else fault["msg"]
