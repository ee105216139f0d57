"""What is wrong with a command line, in one sentence that names the nearest right thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import typer

from reactor.model.sensor import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

# The root of what Typer raises for a wrong command line; it exports no name for it.
UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])


def unknown_command(name: str, commands: Iterable[str]) -> str:
    """Return what to say about a command that does not exist."""
    return _with_help(f"no command {name!r}{nearest(name, [*commands])}", "reactor")


def spell_usage_error(error: Exception) -> str:
    """Return Typer's complaint in Reactor's words, with where the help is."""
    context = getattr(error, "ctx", None)
    return _with_help(_complaint(error), "reactor" if context is None else context.command_path)


def _with_help(complaint: str, command: str) -> str:
    return f"{complaint}{' See' if complaint.endswith('?') else '; see'} {command} --help"


def _complaint(error: Exception) -> str:
    option = getattr(error, "option_name", None)
    if option is not None and hasattr(error, "possibilities"):
        context = getattr(error, "ctx", None)
        where = "" if context is None or context.parent else " in front of a command"
        return f"no option {option!r}{where}{_alternatives(error.possibilities)}"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    # Typer validates by pydantic, whose words for a ValueError begin so.
    message = message.replace(": Value error, ", ": ").rstrip(".")
    return message[:1].lower() + message[1:]


def _alternatives(names: Iterable[str] | None) -> str:
    return f"; did you mean {' or '.join(map(repr, sorted(names)))}?" if names else ""
