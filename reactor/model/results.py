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
                return b"%d" % value, value
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
        return self._limited(raw), self.load(raw)

    def load(self, raw: bytes) -> Any:
        """Return the value that `dump` wrote.

        Raises ResultError when the annotation has changed so that it no longer fits.
        """
        try:
            return self._adapter.validate_json(raw)
        except ValidationError as error:
            raise ResultError(
                f"the recorded result no longer fits the annotation {self.annotation!r}: {_first_fault(error)}"
            ) from None

    def _dump(self, value: Any) -> bytes:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value!r} is not a JSON number")
        return self._adapter.dump_json(value)

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


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else fault["msg"]
