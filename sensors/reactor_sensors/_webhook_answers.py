"""What a webhook endpoint answers, and the exceptions that stand for an answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson

from reactor.api import HookResponse

if TYPE_CHECKING:
    from datetime import timedelta

    from reactor.api import Accepted


class RefusedError(ValueError):
    """The request is answered with this status and nothing of it is kept."""

    def __init__(self, status: int, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers or {}

    def answer(self) -> HookResponse:
        """Return the response that says why."""
        return _answer(self.status, {"error": str(self)}, self.headers)


def unavailable(why: str, retry_after: timedelta) -> RefusedError:
    """Return 503 with Retry-After (RFC 9110, 10.2.3) in whole seconds, rounded up, at least 1."""
    seconds = max(1, math.ceil(retry_after.total_seconds()))
    return RefusedError(503, why, {"retry-after": str(seconds)})


def unauthorised(why: str) -> RefusedError:
    """Return 401 with the challenge that RFC 9110, 11.6.1 asks for."""
    return RefusedError(401, why, {"www-authenticate": "Signature"})


def taken(accepted: Accepted) -> HookResponse:
    """Return 202: the event is durable."""
    return _answer(202, {"id": accepted.event_id, "duplicate": accepted.duplicate})


def parked(why: str, letter: Accepted) -> HookResponse:
    """Return 422: sending the same again cannot help; the bytes are kept as a dead letter."""
    return _answer(422, {"error": why, "id": letter.event_id, "dead_letter": True})


def challenged(challenge: str) -> HookResponse:
    """Return what proves to Slack that somebody with the secret is here."""
    return _answer(200, {"challenge": challenge})


def _answer(
    status: int, content: dict[str, Any], headers: dict[str, str] | None = None
) -> HookResponse:
    return HookResponse(status=status, body=orjson.dumps(content), headers=headers or {})
