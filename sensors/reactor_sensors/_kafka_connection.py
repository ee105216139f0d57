"""Connections that were lost a moment ago.

Who writes to one is told so by uvloop with a RuntimeError, where asyncio's own loop keeps silent. aiokafka 0.14.0
expects an OSError and lets it pass, in whatever task it was: the one that keeps the metadata fresh ends of it without
a word, and a member that waits for metadata then waits for ever, and may read on although the group has put it out.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable


def _telling_losses(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def send_or_tell(
        connection: AIOKafkaConnection, message: Any, expect_response: bool = True
    ) -> Any:
        try:
            return send(connection, message, expect_response)
        except RuntimeError as error:
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(
                f"Connection at {connection.host}:{connection.port} was lost: {error}"
            ) from error

    return send_or_tell


_send = _telling_losses(AIOKafkaConnection.send)
_send_token = _telling_losses(AIOKafkaConnection._send_sasl_token)


def expect_losses() -> None:
    """Let aiokafka's connections in this process tell it. There is no other place to say it; may be repeated."""
    AIOKafkaConnection.send = _send
    AIOKafkaConnection._send_sasl_token = _send_token
