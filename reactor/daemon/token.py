"""The admin token: made at first start, readable by this user alone."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from reactor.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

TOKEN_FILE = "admin-token"  # noqa: S105  # the name of the file, not the token
SHORTEST = 32


def admin_token(state: Path) -> str:
    """Return the token of this state directory, made if there is none. Raises SettingsError."""
    path = state / TOKEN_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return _existing(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from None
    token = secrets.token_urlsafe(SHORTEST)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
    return token


def _existing(path: Path) -> str:
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path} can be read by other users; run: chmod 600 {path}")
    token = path.read_text(encoding="ascii", errors="replace").strip()
    if len(token) < SHORTEST:
        raise SettingsError(
            f"{path} holds no usable token; delete it, and a new one is made at the next start"
        )
    return token
