"""`reactor run`: the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reactor.cli.start import start


def run(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Module files, or folders of them, with workflows.", metavar="PATH"),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="The state directory.  [default: .reactor]")
    ] = None,
    hooks: Annotated[
        str | None, typer.Option(help="HOST:PORT for webhooks.  [default: 127.0.0.1:8080]")
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option(help="HOST:PORT for metrics and health.  [default: 127.0.0.1:8081]"),
    ] = None,
    drain: Annotated[
        str | None, typer.Option(help="How long runs in hand may take at the end, such as 20s.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="The settings file.  [default: reactor.toml if there is one]"),
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    log_style: Annotated[str | None, typer.Option(help="text, json or auto.")] = None,
) -> None:
    """Run the daemon.

    SIGTERM and SIGINT (Ctrl-C) end it in order, a second one at once; SIGHUP reads the workflows
    again. Without PATH it runs the paths of reactor.toml. Settings: reactor.toml, then REACTOR_…
    in the environment, then these options.

    Exit codes: 0 ended in order, 2 settings, 3 state directory in use, 4 workflows wrong,
    5 storage error, 130 a second signal.
    """
    raise typer.Exit(
        start(
            {
                "paths": tuple(paths) if paths else None,
                "state": state,
                "hooks": hooks,
                "admin": admin,
                "drain": drain,
                "config": config,
                "log_level": log_level,
                "log_style": log_style,
            }
        )
    )
