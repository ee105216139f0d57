"""What becomes of a record in trouble: sent again, taken up by the next attempt, or refused in words. No broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    TopicAuthorizationFailedError,
)

from reactor.errors import Reject, StepError
from reactor_handlers._kafka_delivery import Delivery
from reactor_handlers._kafka_link import RecordPosition
from reactor_handlers._kafka_record import Record, make_record
from reactor_handlers._kafka_trouble import TroubleError

pytestmark = pytest.mark.virtual_time

DEADLINE = timedelta(seconds=30)
DONE = RecordPosition(topic="t", partition=0, offset=1, timestamp=2)


def record(value: Any = "v", **options: Any) -> Record:
    return make_record("t", value, largest_bytes=1_000, **options)


class FakeLink:
    """A link whose records are acknowledged, or fail, when the test says so."""

    def __init__(self, *, refuses_to_open: TroubleError | None = None) -> None:
        self.is_spoilt = False
        self.is_closed = False
        self.sent: list[tuple[Record, bool]] = []
        self.positions: list[asyncio.Future[RecordPosition]] = []
        self.answer: Callable[[Record, bool], RecordPosition | KafkaError | None] = (
            lambda record, alone: DONE
        )
        self.trouble: TroubleError | None = None
        self._refusal = refuses_to_open

    def spoil(self) -> None:
        self.is_spoilt = True

    async def open(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    async def put(self, record: Record, *, alone: bool) -> asyncio.Future[RecordPosition]:
        self.sent.append((record, alone))
        position: asyncio.Future[RecordPosition] = asyncio.get_running_loop().create_future()
        self.positions.append(position)
        self.settle(position, self.answer(record, alone))
        return position

    def settle(
        self, position: asyncio.Future[RecordPosition], answer: RecordPosition | KafkaError | None
    ) -> None:
        if isinstance(answer, KafkaError):
            position.set_exception(answer)
        elif answer is not None:
            position.set_result(answer)

    async def why_not(self, seconds: float) -> TroubleError | None:
        return self.trouble or self._refusal

    async def close(self) -> None:
        self.is_closed = True
        for position in self.positions:
            if not position.done():
                position.set_exception(ProducerClosed())
                position.exception()


class FakeCluster:
    """Hands out the links that a test prepared, then new ones; remembers all."""

    def __init__(self, *prepared: FakeLink) -> None:
        self.links: list[FakeLink] = []
        self._prepared = list(prepared)
        self.delivery = Delivery(self._new_link)

    async def _new_link(self) -> FakeLink:
        link = self._prepared.pop(0) if self._prepared else FakeLink()
        self.links.append(link)
        return link

    async def send(self, record: Record, deadline: timedelta = DEADLINE) -> RecordPosition:
        return await self.delivery.send(record, deadline=deadline)


def answering(*answers: RecordPosition | KafkaError | None) -> FakeLink:
    """Return a link that gives these answers to its first records, and acknowledges the others."""
    link = FakeLink()
    left = list(answers)
    link.answer = lambda record, alone: left.pop(0) if left else DONE
    return link


async def test_many_records_go_over_one_link() -> None:
    cluster = FakeCluster()
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(cluster.send(record(str(number))), name="send")
    assert [len(link.sent) for link in cluster.links] == [10]


async def test_nothing_connects_before_the_first_record() -> None:
    assert FakeCluster().links == []


async def test_a_link_that_refused_a_record_is_replaced_and_closed() -> None:
    cluster = FakeCluster(answering(TopicAuthorizationFailedError("t")))
    with pytest.raises(StepError, match="no right to write to it"):
        await cluster.send(record())
    assert await cluster.send(record()) == DONE
    assert [link.is_closed for link in cluster.links] == [True, False]


async def test_a_spoilt_link_stays_open_for_those_who_still_use_it() -> None:
    link = answering(None, TopicAuthorizationFailedError("t"))
    cluster = FakeCluster(link)
    waiting = asyncio.create_task(cluster.send(record("waits")), name="waits")
    await asyncio.sleep(0.01)
    with pytest.raises(StepError):
        await cluster.send(record("refused"))
    assert not link.is_closed
    link.settle(link.positions[0], DONE)
    assert await waiting == DONE
    assert link.is_closed


async def test_a_record_refused_as_too_large_is_sent_once_more_alone() -> None:
    cluster = FakeCluster(answering(MessageSizeTooLargeError()))
    assert await cluster.send(record()) == DONE
    assert [alone for link in cluster.links for _, alone in link.sent] == [False, True]


async def test_a_record_that_is_too_large_alone_is_rejected() -> None:
    too_large = MessageSizeTooLargeError
    cluster = FakeCluster(answering(too_large()), answering(too_large()))
    with pytest.raises(Reject, match="larger than the topic takes; send a reference"):
        await cluster.send(record())


async def test_a_record_out_of_order_behind_a_refused_one_is_sent_by_another_producer() -> None:
    cluster = FakeCluster(answering(OutOfOrderSequenceNumber()))
    assert await cluster.send(record()) == DONE
    assert [len(link.sent) for link in cluster.links] == [1, 1]


async def test_an_unreachable_broker_is_tried_again_until_it_is_there() -> None:
    down = [FakeLink(refuses_to_open=TroubleError("down")) for _ in range(3)]
    cluster = FakeCluster(*down)
    assert await cluster.send(record()) == DONE
    assert [link.is_closed for link in cluster.links] == [True, True, True, False]


async def test_a_broker_that_stays_unreachable_fails_the_step_at_the_deadline() -> None:
    down = [FakeLink(refuses_to_open=TroubleError("h:1: refused")) for _ in range(99)]
    cluster = FakeCluster(*down)
    started = asyncio.get_running_loop().time()
    with pytest.raises(StepError, match="not acknowledged within deadline='30s': h:1: refused"):
        await cluster.send(record())
    assert asyncio.get_running_loop().time() - started == pytest.approx(30)
    assert all(link.is_closed for link in cluster.links)


async def test_trouble_that_waiting_does_not_help_is_told_at_once() -> None:
    cluster = FakeCluster(
        FakeLink(refuses_to_open=TroubleError("wrong credentials", is_hopeless=True))
    )
    with pytest.raises(StepError, match="was not sent: wrong credentials"):
        await cluster.send(record())
    assert asyncio.get_running_loop().time() == pytest.approx(0, abs=0.001)


async def test_a_record_that_nobody_acknowledges_says_what_may_be_wrong() -> None:
    cluster = FakeCluster(answering(None))
    with pytest.raises(StepError, match=r"min\.insync\.replicas"):
        await cluster.send(record())


async def test_the_next_attempt_waits_for_the_record_of_the_one_before() -> None:
    link = answering(None)
    cluster = FakeCluster(link)
    with pytest.raises(StepError):
        await cluster.send(record(idempotency_key="k"))
    again = asyncio.create_task(cluster.send(record(idempotency_key="k")), name="again")
    await asyncio.sleep(1)
    link.settle(link.positions[0], DONE)
    assert await again == DONE
    assert len(link.sent) == 1


async def test_a_record_that_never_arrived_is_sent_by_the_next_attempt() -> None:
    link = answering(None)
    cluster = FakeCluster(link)
    with pytest.raises(StepError):
        await cluster.send(record(idempotency_key="k"))
    link.settle(link.positions[0], OutOfOrderSequenceNumber())
    assert await cluster.send(record(idempotency_key="k")) == DONE
    assert len(link.sent) == 2


async def test_equal_records_of_no_step_are_each_sent() -> None:
    link = answering(None)
    cluster = FakeCluster(link)
    with pytest.raises(StepError):
        await cluster.send(record())
    assert await cluster.send(record()) == DONE
    assert len(link.sent) == 2


async def test_a_cancelled_record_disturbs_no_other() -> None:
    link = answering(None, None)
    cluster = FakeCluster(link)
    tasks = [asyncio.create_task(cluster.send(record(v)), name=v) for v in ("one", "two")]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    link.settle(link.positions[1], DONE)
    assert await tasks[1] == DONE
    assert not link.is_closed


async def test_a_closed_delivery_tells_those_who_still_send() -> None:
    cluster = FakeCluster(answering(None))
    sending = asyncio.create_task(cluster.send(record()), name="sending")
    await asyncio.sleep(0.01)
    await cluster.delivery.close()
    with pytest.raises(StepError, match="the producer was closed meanwhile"):
        await sending
    assert [link.is_closed for link in cluster.links] == [True]
