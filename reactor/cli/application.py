"""The Typer application, made of no more commands than are needed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

# Where each command is, in the order of the help. A command's function has its name.
COMMANDS = {
    "init": "reactor.cli.init",
    "run": "reactor.cli.run",
    "check": "reactor.cli.project",
    "graph": "reactor.cli.project",
    "demo": "reactor.cli.demo",
    "events": "reactor.cli.events",
    "explain": "reactor.cli.events",
    "runs": "reactor.cli.runs",
    "show": "reactor.cli.runs",
    "dead": "reactor.cli.ledger",
    "audit": "reactor.cli.ledger",
    "redrive": "reactor.cli.admin",
    "emit": "reactor.cli.admin",
}
# Groups of commands: each module has an application of its own.
GROUPS = {"kafka": "reactor.cli.kafka"}
EPILOG = (
    "Exit codes: 0 yes, 1 the answer is no, 2 usage or settings, "
    "3 state directory in use, 4 workflows wrong, 5 storage error."
)


def application(arguments: Sequence[str]) -> typer.Typer:
    """Return the application with the command that `arguments` begin with; with all for none."""
    app = typer.Typer(
        name="reactor",
        epilog=EPILOG,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        pretty_exceptions_enable=False,
        # Rich help takes a tenth of a second to import, and eats "[default: …]" as markup.
        rich_markup_mode=None,
    )
    app.callback()(_reactor)
    first = arguments[0] if arguments else ""
    is_known = first in COMMANDS or first in GROUPS
    for name in COMMANDS:
        if not is_known or name == first:
            app.command(name)(getattr(importlib.import_module(COMMANDS[name]), name))
    for name in GROUPS:
        if not is_known or name == first:
            app.add_typer(importlib.import_module(GROUPS[name]).app, name=name)
    return app


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"reactor {version('reactor')}")
        raise typer.Exit


def _reactor(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Files, webhooks and timers fire durable workflows in one small daemon."""
