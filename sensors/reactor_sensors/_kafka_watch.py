"""Keeps a sensor a member of its group: joins, and joins again after whatever ended the membership."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reactor_sensors._kafka_client import TroubleError
from reactor_sensors._kafka_member import Member, MembershipOverError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reactor.api import Intake
    from reactor_sensors._kafka_client import Client
    from reactor_sensors._kafka_record import Decoder
    from reactor_sensors._kafka_subject import Pace, Subject

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 30.0


async def keep_reading(
    new_client: Callable[[], Awaitable[Client]],
    intake: Intake,
    decoder: Decoder,
    subject: Subject,
    pace: Pace,
) -> None:
    """Read until cancelled. A cluster that cannot be used is said to be down, and tried again with growing delays."""
    delay = FIRST_RETRY_SECONDS
    rebuilds = 0
    while True:
        member = Member(await new_client(), intake, decoder, subject, pace)
        try:
            await member.run()
        except TroubleError as error:
            if member.was_up:
                delay = FIRST_RETRY_SECONDS
            intake.down(str(error))
            if member.was_up or isinstance(error, MembershipOverError):
                rebuilds += 1
                intake.incident("rebuild")
                intake.log.warning(
                    "kafka client is made anew",
                    extra={
                        "sensor": intake.sensor,
                        "why": str(error),
                        "rebuilds": rebuilds,
                        "delay_seconds": delay,
                    },
                )
        # Daemons that lost the same broker do not all come back in the same instant.
        await asyncio.sleep(delay * (0.75 + intake.clock.luck() / 2))
        delay = min(delay * 2, LONGEST_RETRY_SECONDS)
