"""Connections that were lost a moment before they are written to, under the loop of the daemon."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from reactor_sensors._kafka_connection import expect_losses

if TYPE_CHECKING:
    from collections.abc import Callable


async def _lost_connection(ours: socket.socket) -> AIOKafkaConnection:
    """Return a connection whose socket is closed, and that was not told yet."""
    connection = AIOKafkaConnection("broker", 9092)
    connection._versions = {3: (0, 1)}
    connection._reader, connection._writer = await asyncio.open_connection(sock=ours)
    connection._read_task = asyncio.get_running_loop().create_future()
    connection._writer.transport.abort()
    await connection._writer.wait_closed()
    return connection


@pytest.mark.parametrize(
    "write",
    [
        lambda connection: connection.send(MetadataRequest([])),
        lambda connection: connection._send_sasl_token(b"token"),
    ],
    ids=["send", "send_sasl_token"],
)
def test_a_write_to_a_lost_connection_is_a_lost_connection(
    write: Callable[[AIOKafkaConnection], Any],
) -> None:
    """Without it uvloop's RuntimeError ends whatever task of the client it was that wrote."""
    expect_losses()
    expect_losses()

    async def main() -> None:
        connection = await _lost_connection(ours)
        with pytest.raises(KafkaConnectionError, match="was lost: unable to perform"):
            write(connection)
        assert not connection.connected()

    ours, theirs = socket.socketpair()
    with theirs:
        uvloop.run(main())
