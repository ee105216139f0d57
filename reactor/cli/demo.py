"""`reactor demo`: the main job on real input, with a SIGKILL in it, counted to the last row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    *,
    stay: Annotated[
        bool, typer.Option("--stay", help="Leave the project running to play with; feed nothing.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Work in this folder, new or empty, and keep it.", show_default="a temporary one"
        ),
    ] = None,
) -> None:
    """Run the example project for 20 seconds on real input, kill it in between, and count.

    Files land in a folder, signed webhooks come in, a timer ticks every second, and a broker inside
    this process serves a Kafka topic.

    The daemon is killed (SIGKILL) while work is in flight, and started again.

    Exit codes: 0 all counts equal what was sent in, 1 they do not, 2 cannot begin.
    """
    from reactor.cli._demo_main import run_demo

    raise typer.Exit(run_demo(stay=stay, folder=folder))
