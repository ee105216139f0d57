"""`reactor kafka seek`: let a halted partition go on."""

from __future__ import annotations

from typing import Annotated

import typer

from reactor.cli.options import JsonOption, StateOption, state_directory
from reactor.cli.output import console, print_json, text

app = typer.Typer(help="What only Kafka sensors know.", no_args_is_help=True)


@app.callback()
def _kafka() -> None:
    """What only Kafka sensors know."""


@app.command()
def seek(
    sensor: Annotated[str, typer.Argument(help="The sensor, as /readyz names it.")],
    partition: Annotated[str, typer.Argument(help="TOPIC/NUMBER, such as orders/3.")],
    to: Annotated[str, typer.Argument(help="earliest, latest, or an offset.")],
    *,
    state: StateOption = None,
    as_document: JsonOption = False,
) -> None:
    """Say where a halted partition goes on; nothing is ever jumped over without it.

    The daemon must be running; it takes effect within seconds.
    """
    from reactor.cli.admin import RunningDaemon

    body = {"sensor": sensor, "where": partition, "to": to}
    answer = RunningDaemon.of(state_directory(state)).post("/api/seek", body)
    if as_document:
        print_json(answer)
    else:
        console().print(text(answer["done"]))
