"""A connection for finding out why no broker lets us in; the client itself tells only that none did."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator
from aiokafka.errors import KafkaError, SaslAuthenticationFailed
from aiokafka.protocol.metadata import MetadataRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

# For the last words of TLS; a broker that does not say them is not waited for.
CLOSE_SECONDS = 1.0


class _StrictAuthenticator(OAuthAuthenticator):  # type: ignore[misc]  # aiokafka is untyped
    async def step(self, payload: bytes | None) -> Any:
        # A broker that refuses a token answers with a reason in JSON (RFC 7628, 3.2.2) and closes at the next word.
        # aiokafka 0.14 takes that answer for a welcome.
        if payload:
            raise SaslAuthenticationFailed(f"token refused: {payload.decode(errors='replace')}")
        return await super().step(payload)


class _StrictConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka is untyped
    def authenticator_oauth(self) -> OAuthAuthenticator:
        return _StrictAuthenticator(sasl_oauth_token_provider=self._sasl_oauth_token_provider)

    async def wait_closed(self) -> None:
        """Close, and return once the socket is closed, if there ever was one."""
        self.close()
        if self._protocol is not None:
            await asyncio.wait([self._closed_fut], timeout=CLOSE_SECONDS)


async def try_to_connect(host: str, port: int, options: Mapping[str, Any]) -> Exception | None:
    """Connect, authenticate and ask one question; return what went wrong, or None."""
    connection = _StrictConnection(host, port, **options)
    try:
        await connection.connect()
        # A port for other credentials greets everybody, and closes at the first question.
        await connection.send(MetadataRequest([]))
    except (KafkaError, OSError, TimeoutError) as refusal:
        return refusal
    finally:
        await connection.wait_closed()
    return None
