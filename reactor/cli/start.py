"""What `reactor run` does, and the way to it that needs no library for command lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The options of `reactor run`; a test compares them with the command's own.
OPTIONS = ("state", "hooks", "admin", "drain", "config", "log-level", "log-style")


def plain_flags(arguments: Sequence[str]) -> dict[str, Any] | None:
    """Return what `start` takes of a command line of paths and of options spelt `--name value`.

    None for any other, right or wrong: the command itself knows them all, and what to say. Its library takes a
    tenth of the start of a daemon to import.
    """
    flags: dict[str, Any] = {}
    paths = []
    words = iter(arguments)
    for word in words:
        name = word.removeprefix("--")
        if not word.startswith("-"):
            paths.append(Path(word))
            continue
        value = next(words, "-")
        if name == word or name not in OPTIONS or value.startswith("-"):
            return None
        flags[name.replace("-", "_")] = Path(value) if name in ("state", "config") else value
    return {**flags, "paths": tuple(paths) or None}


def start(flags: Mapping[str, Any]) -> int:
    """Run the daemon by these settings and the file `config`; return its exit code. Raises ReactorError."""
    import logging
    from importlib.metadata import version

    from reactor.daemon.daemon import run_daemon
    from reactor.daemon.settings import load_settings
    from reactor.telemetry.logs import configure_logs

    given = dict(flags)
    settings = load_settings(given, file=given.pop("config", None))
    configure_logs(
        sys.stderr, settings.log_style, logging.getLevelNamesMapping()[settings.log_level]
    )
    return run_daemon(settings, release=version("reactor"))
