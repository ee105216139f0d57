"""One daemon per state directory, told by an exclusive lock on a file beside the database."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from reactor.errors import StateInUseError

if TYPE_CHECKING:
    from pathlib import Path


class StateLock:
    """Holds the lock from construction to `release`. The kernel lets go of it when the process dies."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise StateInUseError(
                f"state directory {directory} is in use by process {owner or 'unknown'}; "
                "stop it, or choose another directory with --state"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let another daemon in. May be repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
