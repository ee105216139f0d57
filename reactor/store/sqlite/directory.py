"""The state directory: made, private, and still there after a power cut."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from reactor.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def prepare_directory(directory: Path) -> None:
    """Make the state directory, private to this user and durable. Raises SettingsError where that is not possible."""
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"state directory {directory} cannot be made: {error.strerror}; choose another with --state"
        ) from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise SettingsError(
            f"state directory {directory} is not writable by this user; change its owner, or choose another one"
        )
    with contextlib.suppress(OSError):
        os.chmod(directory, 0o700)
    for place in missing:
        sync_directory(place.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable; SQLite does so for its own files only.

    Raises SettingsError where the disk fails. A file system that cannot sync a directory keeps names by itself.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        # One may write to a directory and not be allowed to list it.
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise SettingsError(
                f"directory {directory} could not be written to the disk: {error.strerror}; check the disk"
            ) from None
    finally:
        os.close(descriptor)
