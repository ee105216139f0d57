"""OAUTHBEARER: the token function as aiokafka wants it. RFC 6750, RFC 7628."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

if TYPE_CHECKING:
    from reactor_sensors._kafka_security import Token

# RFC 6750, 2.1: b64token. A byte 1 or a line feed, as at the end of a file, would break the message around it.
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    """Asks the user's function, once for each connection. Whatever goes wrong there is an error of the connection.

    The client survives those and tries again; another error would end a task of its own for good.
    """

    def __init__(self, token: Token) -> None:
        self._token = token

    async def token(self) -> str:
        try:
            token: object = await self._token()
        except Exception as error:  # noqa: BLE001  # code of the user's, at the edge, as a step is
            raise KafkaConnectionError(
                f"the token= function failed: {type(error).__name__}: {error}"
            ) from None
        if not isinstance(token, str) or not _BEARER.fullmatch(token):
            # Never the token.
            what = "no text" if not isinstance(token, str) else "no bearer token (RFC 6750)"
            raise KafkaConnectionError(
                f"the token= function returned {what}; expected the token alone, as str"
            )
        return token
