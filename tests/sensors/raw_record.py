"""A record as a Kafka client hands it out, made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A `RawRecord`."""

    offset: int = 7
    timestamp: int | None = 1_767_225_600_000
    timestamp_type: int | None = 0
    key: bytes | None = b"k"
    value: bytes | None = b"{}"
    headers: Sequence[tuple[str, bytes | None]] = ()


async def at_once() -> None:
    """Let a journal write."""
