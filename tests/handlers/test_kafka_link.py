"""What a producer's link says of brokers that cannot be used, in every way in which aiokafka and the loop tell it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection

from reactor_handlers._kafka_link import LinkOptions, ProducerLink
from reactor_handlers._kafka_trouble import TroubleError

# Of uvloop, when the other end was lost a moment before the write.
LOST = "unable to perform operation on <TCPTransport closed=True>; the handler is closed"


async def test_a_connection_that_is_lost_before_the_first_write_is_a_broker_that_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise RuntimeError(LOST)

    monkeypatch.setattr(AIOKafkaConnection, "send", lost)
    broker = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = broker.sockets[0].getsockname()[1]
    options = LinkOptions(
        servers=(f"127.0.0.1:{port}",),
        client_id="test",
        request_timeout=timedelta(seconds=1),
        largest_bytes=1000,
        compression=None,
    )
    async with broker:
        link = ProducerLink(options, {})
        with pytest.raises(TroubleError, match="no broker can be reached") as refused:
            await link.open()
        await link.close()
    assert f"127.0.0.1:{port}: {LOST}" in str(refused.value)
    assert not refused.value.is_hopeless
