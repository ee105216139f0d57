"""What the machine does to processes, and no daemon: by how much they come too late."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

TICK_SECONDS = 0.01
# An event is handed from thread to thread: one that looks, the loop, one that writes.
THREADS_IN_A_ROW = 3


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


class ProcessorWait:
    """How long threads of another process have waited for a processor (/proc/pid/schedstat) since this was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = self._by_thread()

    def seconds(self) -> float:
        """Return what those threads waited that waited the longest, one after the other; 0 where nobody tells."""
        waits = [now - self._before.get(thread, 0) for thread, now in self._by_thread().items()]
        return sum(sorted(waits)[-THREADS_IN_A_ROW:]) / 1e9

    def _by_thread(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found[task.name] = int((task / "schedstat").read_text(encoding="ascii").split()[1])
        return found
