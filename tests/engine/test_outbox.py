"""What steps emit: committed with their result, delivered until it is acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reactor import Context, DefinitionError, Event, Reject, Retry, Workflow
from reactor.api import Outgoing, Sensor, StepError
from reactor.engine.outbox_lane import LONGEST_PAUSE_SECONDS, WINDOW_ROWS
from reactor.telemetry.facts import OutboxParked, OutboxRecovered, OutboxStalled
from reactor.testing.harness import Harness, harness
from reactor.testing.time import LoopClock

pytestmark = pytest.mark.virtual_time


class Source(Sensor):
    kind = "source"


SOURCE = Source(name="s")


def piece(payload: object, *, key: str | None = None, target: str = "there") -> Outgoing:
    return Outgoing(
        outlet="fake",
        options="{}",
        target=target,
        payload=str(payload).encode(),
        key=None if key is None else key.encode(),
    )


def emitting(*made: Outgoing | Callable[[Event[Any]], Outgoing], **options: Any) -> Workflow:
    """Return a workflow with one step that emits what is given, or is made of the event."""
    flow = Workflow("flow", on=SOURCE, **options)

    @flow.step
    async def send(event: Event[Any], ctx: Context) -> None:
        for one in made:
            ctx.emit(one if isinstance(one, Outgoing) else one(event))

    return flow


@dataclass
class Fake:
    """An outlet whose answers a test decides: an error for a payload is raised as often as it is there."""

    errors: dict[bytes, list[BaseException]] = field(default_factory=dict)
    down: Exception | None = None
    seen: list[tuple[str, bytes, str]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    is_closed: bool = False
    under_way: int = 0
    most_under_way: int = 0
    seconds: float = 0.0

    def open(self, name: str, options: Mapping[str, Any]) -> Fake:
        assert (name, options) == ("fake", {})
        return self

    async def deliver(self, outgoing: Outgoing, *, idempotency_key: str) -> None:
        self.at.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.under_way -= 1
        if errors := self.errors.get(outgoing.payload):
            raise errors.pop(0)
        if self.down is not None and outgoing.target == "there":
            raise self.down
        self.seen.append((outgoing.target, outgoing.payload, idempotency_key))

    async def close(self) -> None:
        self.is_closed = True

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.seen]


async def wait_until_empty(h: Harness) -> None:
    """Return when a run has ended and nothing that was emitted is left."""
    await h.wait_for_ends(1)
    await h.wait_until(lambda: not any(h.engine.outbox.waiting().values()))


# In the step


async def test_what_a_step_emits_is_delivered_after_it_has_succeeded(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step
    async def send(event: Event[int], ctx: Context) -> None:
        ctx.emit(piece(event.data))
        ctx.emit(piece("more", key="k"))

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s", 7)
        (end,) = await h.wait_for_ends(1)
        assert await h.wait_for_delivered(2) == [piece(7), piece("more", key="k")]
    assert h.delivered_keys == [f"{end.run_id}/send/1", f"{end.run_id}/send/2"]


async def test_a_step_in_a_thread_may_emit(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step
    def send(event: Event[int], ctx: Context) -> None:
        ctx.emit(piece(event.data))

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s", 7)
        assert await h.wait_for_delivered(1) == [piece(7)]


async def test_what_a_failed_attempt_emitted_is_forgotten(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step(retry=Retry(attempts=2))
    async def send(event: Event[Any], ctx: Context) -> None:
        ctx.emit(piece(ctx.attempt))
        if ctx.attempt == 1:
            raise ConnectionError("again")

    @flow.step
    async def fail(event: Event[Any], ctx: Context) -> None:
        ctx.emit(piece("never"))
        raise Reject("no")

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        await h.wait_for_ends(1)
        await wait_until_empty(h)
    assert h.delivered == [piece(2)]


async def test_a_result_that_cannot_be_kept_takes_what_was_emitted_with_it(tmp_path: Path) -> None:
    flow = Workflow("flow", on=SOURCE)

    @flow.step
    async def send(event: Event[Any], ctx: Context) -> Any:
        ctx.emit(piece("never"))
        return object()

    async with harness(flow, state=tmp_path) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
        await wait_until_empty(h)
    assert (end.outcome, h.delivered) == ("failed", [])


def context() -> Context:
    return Context(
        run_id="r",
        workflow="w",
        step="s",
        attempt=1,
        idempotency_key="r/s",
        log=logging.LoggerAdapter(logging.getLogger("test"), {}),
    )


async def test_a_unit_test_looks_at_what_a_step_emitted() -> None:
    flow = emitting(piece(1), piece(2))
    ctx = context()
    step = flow.steps[0].function
    event = Event(id="1", source="s", type="t", time=LoopClock().now(), data=None)
    await step(event, ctx)
    assert ctx.emitted == (piece(1), piece(2))


def test_an_event_cannot_be_emitted_and_the_error_says_what_can() -> None:
    event = Event(id="1", source="s", type="t", time=None, data=None)  # type: ignore[arg-type]  # no time needed
    with pytest.raises(DefinitionError, match=r"given Event; expected what an outlet makes"):
        context().emit(event)  # type: ignore[arg-type]  # the fault under test


@pytest.mark.parametrize("before", [0, 1])
def test_what_is_emitted_after_the_step_has_returned_is_refused(before: int) -> None:
    ctx = context()
    for number in range(before):
        ctx.emit(piece(number))
    assert len(ctx.end()) == before
    with pytest.raises(DefinitionError, match="emits after it has returned"):
        ctx.emit(piece("late"))


def test_a_step_that_emits_without_end_is_rejected() -> None:
    ctx = context()
    for number in range(10_000):
        ctx.emit(piece(number))
    with pytest.raises(Reject, match="more than 10,000 pieces"):
        ctx.emit(piece("one more"))
    ctx = context()
    with pytest.raises(Reject, match="16,777,216 bytes"):
        ctx.emit(piece("x" * 17_000_000))


# Relaying


async def test_an_outlet_that_is_down_is_tried_again_with_longer_and_longer_pauses(
    tmp_path: Path,
) -> None:
    fake = Fake(down=StepError("no broker can be reached"))
    clock = LoopClock(luck=0.5)
    async with harness(emitting(piece(1)), state=tmp_path, open_outlet=fake.open, clock=clock) as h:
        await h.fire("s")
        await h.wait_until(lambda: len(fake.at) == 10)
        pauses = [later - sooner for sooner, later in zip(fake.at, fake.at[1:], strict=False)]
        assert [round(pause, 2) for pause in pauses[:7]] == [0.25, 0.5, 1, 2, 4, 8, 15]
        assert max(pauses) < LONGEST_PAUSE_SECONDS
        assert h.engine.outbox.troubles() == [
            "outbox to fake 'there': no broker can be reached; 1 wait"
        ]
        fake.down = None
        await wait_until_empty(h)
        assert h.engine.outbox.troubles() == []
    stalls = [fact for fact in h.facts if isinstance(fact, OutboxStalled)]
    assert [fact.severity() for fact in stalls] == [logging.WARNING] + 9 * [logging.DEBUG]
    assert any(isinstance(fact, OutboxRecovered) for fact in h.facts)


async def test_one_target_that_is_down_does_not_hold_up_another(tmp_path: Path) -> None:
    fake = Fake(down=StepError("down"))
    flow = emitting(piece(1), piece(2, target="elsewhere"))
    clock = LoopClock(luck=0.5)
    async with harness(flow, state=tmp_path, open_outlet=fake.open, clock=clock) as h:
        for _ in range(5):
            await h.fire("s")
        # What was seen waits a moment longer, until its acknowledgement is durable too.
        await h.wait_until(lambda: len(fake.seen) == 5 and h.engine.outbox.waiting() == {"flow": 5})
        assert {target for target, _, _ in fake.seen} == {"elsewhere"}


async def test_a_key_keeps_its_order_across_failures(tmp_path: Path) -> None:
    fake = Fake(errors={b"%d" % n: [StepError("lost")] for n in range(0, 60, 7)}, seconds=0.01)
    flow = emitting(lambda event: piece(event.data, key=f"k{event.data % 3}"), concurrency=1)
    clock = LoopClock(luck=0.5)
    async with harness(flow, state=tmp_path, open_outlet=fake.open, clock=clock) as h:
        for number in range(60):
            await h.fire("s", number)
        await h.wait_for_ends(60)
        await wait_until_empty(h)
    firsts = list(dict.fromkeys(int(payload) for payload in fake.payloads))
    for remainder in range(3):
        of_key = [number for number in firsts if number % 3 == remainder]
        assert of_key == sorted(of_key)
    assert sorted(firsts) == list(range(60))


async def test_what_can_never_be_delivered_is_parked_and_the_next_of_its_key_goes_on(
    tmp_path: Path,
) -> None:
    fake = Fake(errors={b"2": [Reject("too large")]})
    flow = emitting(*(piece(number, key="k") for number in (1, 2, 3)))
    async with harness(flow, state=tmp_path, open_outlet=fake.open) as h:
        await h.fire("s")
        await wait_until_empty(h)
        assert fake.payloads == [b"1", b"3"]
        (letter,) = await h.engine.store.dead_letters(ids=None, reason="undeliverable")
        assert (letter.raw, letter.detail, letter.subject) == (b"2", "too large", "there")
        assert await h.engine.redrive(letter, None) is None
        await wait_until_empty(h)
        assert await h.engine.redrive(letter, None) == "it was redriven before"
    assert fake.payloads == [b"1", b"3", b"2"]
    assert fake.seen[-1][2] == letter.event_id
    assert [fact.reason for fact in h.facts if isinstance(fact, OutboxParked)] == ["undeliverable"]


async def test_a_window_bounds_what_is_under_way(tmp_path: Path) -> None:
    fake = Fake(seconds=0.01)
    count = WINDOW_ROWS + 10
    flow = emitting(*(piece(number) for number in range(count)))
    async with harness(flow, state=tmp_path, open_outlet=fake.open) as h:
        await h.fire("s")
        await wait_until_empty(h)
    assert Counter(fake.payloads) == Counter(str(number).encode() for number in range(count))
    assert fake.most_under_way == WINDOW_ROWS


async def test_an_outlet_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    fake = Fake()
    faults: list[Exception] = [LookupError("not installed"), OSError("no such file")]

    def open_outlet(name: str, options: Mapping[str, Any]) -> Fake:
        if faults:
            raise faults.pop(0)
        return fake

    async with harness(emitting(piece(1)), state=tmp_path, open_outlet=open_outlet) as h:
        await h.fire("s")
        await h.wait_until(lambda: bool(fake.seen))
    stalls = [fact.error for fact in h.facts if isinstance(fact, OutboxStalled)]
    assert stalls == [
        "outlet 'fake' cannot be opened: LookupError: not installed",
        "outlet 'fake' cannot be opened: OSError: no such file",
    ]


async def test_an_outlet_that_forgets_a_delivery_is_asked_again(tmp_path: Path) -> None:
    fake = Fake(seconds=1e9)
    async with harness(emitting(piece(1)), state=tmp_path, open_outlet=fake.open) as h:
        await h.fire("s")
        await h.wait_until(lambda: bool(h.engine.outbox.troubles()))
        fake.seconds = 0
        await wait_until_empty(h)
    assert fake.payloads == [b"1"]


async def test_an_outlet_that_cancels_itself_is_asked_again(tmp_path: Path) -> None:
    fake = Fake(errors={b"1": [asyncio.CancelledError()]})
    async with harness(emitting(piece(1)), state=tmp_path, open_outlet=fake.open) as h:
        await h.fire("s")
        await wait_until_empty(h)
    assert fake.payloads == [b"1"]
    assert any("without an error" in f.error for f in h.facts if isinstance(f, OutboxStalled))


# Ends and restarts


async def test_what_was_not_delivered_is_delivered_by_the_next_daemon_with_the_same_key(
    tmp_path: Path,
) -> None:
    flow = emitting(piece(1, key="k"), piece(2, key="k"))
    broken = Fake(errors={b"2": [StepError("lost")] * 100})
    clock = LoopClock(luck=0.5)
    async with harness(flow, state=tmp_path, open_outlet=broken.open, clock=clock) as h:
        await h.fire("s")
        (end,) = await h.wait_for_ends(1)
        await h.wait_until(lambda: bool(h.engine.outbox.troubles()))
    assert broken.payloads == [b"1"]
    fake = Fake()
    async with harness(flow, state=tmp_path, open_outlet=fake.open, clock=clock) as h:
        await h.wait_until(lambda: bool(fake.seen))
    assert fake.seen == [("there", b"2", f"{end.run_id}/send/2")]


async def test_a_drain_delivers_what_is_left(tmp_path: Path) -> None:
    fake = Fake(seconds=2)
    flow = emitting(*(piece(number, key="k") for number in range(2)))
    async with harness(flow, state=tmp_path, open_outlet=fake.open) as h:
        await h.fire("s")
        await h.wait_for_ends(1)
    assert fake.payloads == [b"0", b"1"]
    assert fake.is_closed


async def test_a_drain_that_ends_leaves_the_rest_for_the_next_start(tmp_path: Path) -> None:
    fake = Fake(seconds=2)
    flow = emitting(*(piece(number, key="k") for number in range(5)))
    began = asyncio.get_running_loop().time()
    async with harness(flow, state=tmp_path, open_outlet=fake.open) as h:
        await h.fire("s")
        await h.wait_for_ends(1)
    assert asyncio.get_running_loop().time() - began < 6
    assert fake.payloads == [b"0", b"1"]
    async with harness(flow, state=tmp_path, open_outlet=fake.open):
        # What was acknowledged when the drain ended is not sent again.
        pass
    assert fake.payloads[:4] == [b"0", b"1", b"2", b"3"]


async def test_a_drain_does_not_wait_for_an_outlet_that_is_down(tmp_path: Path) -> None:
    fake = Fake(down=StepError("down"))
    clock = LoopClock(luck=0.9)
    loop = asyncio.get_running_loop()
    async with harness(emitting(piece(1)), state=tmp_path, open_outlet=fake.open, clock=clock) as h:
        await h.fire("s")
        await h.wait_until(lambda: len(fake.at) == 8)
        ends_at = loop.time()
    assert loop.time() - ends_at < 1
