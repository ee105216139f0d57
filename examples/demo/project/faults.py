"""What pydantic found wrong, in one line for the person who sent the file."""

from __future__ import annotations

from pydantic import ValidationError


def spell_fault(error: Exception) -> str:
    """Return the first fault with its place, such as `latitude: Input should be …`."""
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    fault = error.errors()[0]
    place = ".".join(map(str, fault["loc"]))
    return f"{place}: {fault['msg']}" if place else fault["msg"]
