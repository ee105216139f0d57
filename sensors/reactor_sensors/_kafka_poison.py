"""Why a record cannot become an event: never, or not yet."""

from __future__ import annotations

MOST_DETAIL = 500


class PoisonError(ValueError):
    """Why a value cannot be decoded; `reason` is a short constant. A long text is cut."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail[:MOST_DETAIL])
        self.reason = reason


class RegistryError(Exception):
    """The schema registry cannot be used now; the text says why, for an operator, and holds no secret."""
