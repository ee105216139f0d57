"""Secrets are given by reference, and read when they are needed."""

from __future__ import annotations

import os
from pathlib import Path

from reactor.errors import SettingsError


def read_secret(reference: str) -> bytes:
    """Return the secret behind `env:NAME` or `file:PATH`, read now; a file without its last line break.

    Raises SettingsError that names the reference, never the value.
    """
    scheme, _, name = reference.partition(":")
    if scheme == "env" and name:
        value = os.environ.get(name, "")
        if not value:
            raise SettingsError(f"secret {reference!r}: the environment variable {name} is not set")
        return value.encode(errors="surrogateescape")
    if scheme == "file" and name:
        try:
            value_bytes = Path(name).read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise SettingsError(f"secret {reference!r}: {error.strerror}") from None
        if not value_bytes:
            raise SettingsError(f"secret {reference!r}: the file is empty")
        return value_bytes
    raise SettingsError(
        "a secret is given as env:NAME or file:PATH; the value itself does not belong in a definition"
    )
