"""The project whose secrets must stay where they are. Copied into a scenario's folder and run by `reactor run`."""

from __future__ import annotations

import os
import socket
from typing import Any

from pydantic import BaseModel, field_validator

from reactor import Event, Retry, Workflow
from reactor_sensors import Every, Webhook


class Order(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def _is_known(cls, n: int) -> int:
        password = os.environ["CANARY_ENVIRONMENT"]
        if n == 13:
            raise LookupError(f"{len(password)} characters did not help")
        return n


anyone = Webhook("/open", auth=None, name="open", model=Order)
github = Webhook("/github", scheme="github", secret="env:CANARY_GITHUB", name="github")
filed = Webhook("/filed", scheme="github", secret="file:github.secret", name="filed")

quiet = Workflow("quiet", on=[anyone, github, filed])
loud = Workflow("loud", on=github)
apart = Workflow("apart", on=github)
touchy = Workflow("touchy", on=github.where(lambda event: _refuse(event)))
beat = Workflow("beat", on=Every("100ms", name="beat"))


def _refuse(event: Event[Any]) -> bool:
    password = os.environ["CANARY_ENVIRONMENT"]
    raise LookupError(f"{len(password)} characters did not help")


@quiet.step
async def take(event: Event[Any]) -> None:
    """Do nothing with it."""


@touchy.step
async def touch(event: Event[Any]) -> None:
    """Never called: the trigger raises."""


@loud.step(retry=Retry(attempts=2, first_delay="10ms", longest_delay="10ms"))
async def log_in(event: Event[Any]) -> None:
    password = os.environ["CANARY_ENVIRONMENT"]
    try:
        raise ConnectionError(f"postgres://user:{password}@db refused")
    except ConnectionError as error:
        raise RuntimeError("the database refused the login") from error


@apart.step(executor="process")
def log_out(event: Event[Any]) -> None:
    password = os.environ["CANARY_ENVIRONMENT"]
    raise SystemExit(len(password))


@beat.step
async def tick(event: Event[Any]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"TOLD=beat", "\0" + os.environ["REACTOR_TEST_TELL"])
