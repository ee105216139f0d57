"""By how much this process comes too late to things of its own: what the machine does, and no daemon."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

TICK_SECONDS = 0.01


class OwnDelay:
    """A context in which a thread notes its delays. Instants are seconds since 1970."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="own delay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def longest(self, first: float, last: float) -> float:
        """Return the longest delay, in seconds, that was noted or under way between two instants."""
        return max(
            (late for at, late in self._seen if first <= at and at - late <= last), default=0
        )

    def _watch(self) -> None:
        while not self._is_over.is_set():
            due_at = time.time() + TICK_SECONDS
            self._is_over.wait(TICK_SECONDS)
            self._seen.append((time.time(), max(time.time() - due_at, 0.0)))
