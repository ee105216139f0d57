"""Dead letters accepted again: what sensors may do for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, cast

from reactor.clock import SystemClock
from reactor.engine.redriving import Redriving
from reactor.model.sensor import Sensor
from reactor.store.contract import DeadLetterRow

if TYPE_CHECKING:
    from reactor.model.event import Event


class Slow(Sensor):
    kind: ClassVar[str] = "slow"

    async def revive(self, raw: bytes, **_: Any) -> Event[Any]:
        await asyncio.sleep(0)
        raise ValueError(f"{raw.decode()} is none yet")


async def test_a_sensor_may_be_waited_for_before_it_says_why_input_still_is_no_event() -> None:
    nothing = cast("Any", None)
    redriving = Redriving(
        nothing, nothing, {}, SystemClock(), lined_up=lambda _: None, gathered=lambda _: None
    )
    letter = DeadLetterRow(
        id=1, sensor="slow", event_id="1", reason="r", detail="", raw=b"it", created_at=0
    )
    assert await redriving.redrive(letter, Slow()) == "it is none yet"
