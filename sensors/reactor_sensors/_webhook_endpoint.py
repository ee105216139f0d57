"""A webhook endpoint at work: one request in, one event or dead letter durable, one answer out."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from reactor.api import Event, OverloadedError, SettingsError, StoreError
from reactor_sensors._webhook_answers import (
    RefusedError,
    challenged,
    parked,
    taken,
    unauthorised,
    unavailable,
)
from reactor_sensors._webhook_cloudevents import CloudEventError
from reactor_sensors._webhook_delivery import (
    Delivery,
    Hints,
    UnreadableError,
    hints_of,
    read,
    validated,
)
from reactor_sensors._webhook_patience import Patience
from reactor_sensors._webhook_schemes import Scheme, Verdict, verdict_on

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

    from pydantic import TypeAdapter

    from reactor.api import Accepted, HookRequest, HookResponse, Intake
    from reactor_sensors._webhook_keys import Keys

# Senders give up after 3 s (Slack) to 10 s; a full answer must be on its way before.
DURABLE_WITHIN_SECONDS = 2.5
STORE_PAUSE = timedelta(seconds=5)
# Hashing a body of this size takes about a millisecond; the loop has other things to do.
_THREAD_ABOVE_BYTES = 1024 * 1024
_WARN_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How an endpoint reads a genuine request. `data_type` is None for plain JSON."""

    scheme: Scheme
    data_type: TypeAdapter[Any] | None

    def event(self, sensor: str, delivery: Delivery, *, at: datetime) -> Event[Any]:
        """Return the event of a delivery that came `at`. Raises UnreadableError.

        A CloudEvents source stands behind the sensor's name: no sender can name an event of another sensor.
        """
        data = delivery.document
        if self.data_type is not None:
            data = validated(self.data_type, delivery)
        told = delivery.cloud_event
        return Event(
            id=delivery.id,
            source=sensor if delivery.source is None else f"{sensor}#{delivery.source}",
            type=delivery.type,
            time=told.time if told is not None and told.time is not None else at,
            data=data,
            subject=delivery.subject,
        )


class Endpoint:
    """Answers the requests of one path. `keys` is None for an open one.

    `keyless` is set when no key can be read any more: nothing could be told genuine.
    """

    def __init__(
        self, intake: Intake, reading: Reading, keys: Keys | None, *, window: timedelta
    ) -> None:
        self.keyless = asyncio.Event()
        self._intake = intake
        self._reading = reading
        self._keys = keys
        self._window = window
        self._patience = Patience(DURABLE_WITHIN_SECONDS)
        self._warned_at: dict[Verdict, float] = {}
        self._unsaid: dict[Verdict, int] = {}

    async def answer(self, request: HookRequest) -> HookResponse:
        """Return 2xx only for what is durable. Nothing that a sender can send raises."""
        try:
            if self._keys is not None:
                await self._let_in(request, self._keys)
            return await self._take(request)
        except RefusedError as refused:
            return refused.answer()

    async def _let_in(self, request: HookRequest, keys: Keys) -> None:
        """Return when the request is genuine. Raises RefusedError."""
        verdict = await self._verdict(request, await keys.current())
        if verdict is Verdict.WRONG:
            # The secret may have been rotated this very moment.
            verdict = await self._verdict(request, await keys.newest())
        if verdict is not Verdict.GENUINE:
            self._warn(verdict, request.client)
            raise unauthorised(verdict.value)

    async def _verdict(self, request: HookRequest, keys: tuple[bytes, ...]) -> Verdict:
        if not keys:
            self.keyless.set()
            raise unavailable("signatures cannot be checked right now", STORE_PAUSE)
        if len(request.body) <= _THREAD_ABOVE_BYTES:
            return self._check(request, keys)
        return await asyncio.to_thread(self._check, request, keys)

    def _check(self, request: HookRequest, keys: tuple[bytes, ...]) -> Verdict:
        now = self._intake.clock.now()
        return verdict_on(self._reading.scheme, request, keys, now=now, window=self._window)

    async def _take(self, request: HookRequest) -> HookResponse:
        scheme = self._reading.scheme
        hints = hints_of(request, scheme, new_id=_new_id)
        try:
            delivery = read(hints, request.body, scheme)
        except UnreadableError as error:
            return await self._park(request.body, hints, error)
        except CloudEventError as error:
            raise RefusedError(400, str(error)) from None
        challenge = _challenge(scheme, delivery.document)
        if challenge is not None:
            return challenged(challenge)
        try:
            event = self._reading.event(self._intake.sensor, delivery, at=self._intake.clock.now())
        except UnreadableError as error:
            return await self._park(request.body, delivery.hints(hints), error)
        return taken(await self._durably(self._intake.accept(event, wait=False)))

    async def _park(self, body: bytes, hints: Hints, error: UnreadableError) -> HookResponse:
        why = str(error)
        letter = self._intake.reject(
            body,
            reason=error.reason,
            detail=why,
            event_id=hints.letter_id,
            subject=hints.note(),
        )
        return parked(why, await self._durably(letter))

    async def _durably(self, promise: Awaitable[Accepted]) -> Accepted:
        """Return once it is durable, or raise RefusedError (503) after 2.5 s: it may yet become so.

        The sender tries again then and, if it names its deliveries, is told of a duplicate.
        """
        try:
            with self._patience.wait():
                return await promise
        except TimeoutError:
            raise unavailable("the store is slow; send it again", STORE_PAUSE) from None
        except OverloadedError as error:
            raise unavailable("too much is waiting; send it again", error.retry_after) from None
        except StoreError:
            raise unavailable(
                "nothing can be stored right now; send it again", STORE_PAUSE
            ) from None

    def _warn(self, verdict: Verdict, client: str) -> None:
        """Log the first refusal of a kind in a minute, with how many the minute before left unsaid."""
        now = asyncio.get_running_loop().time()
        warned_at = self._warned_at.get(verdict)
        if warned_at is not None and now - warned_at < _WARN_EVERY_SECONDS:
            self._unsaid[verdict] = self._unsaid.get(verdict, 0) + 1
            return
        self._warned_at[verdict] = now
        self._intake.log.warning(
            "delivery refused",
            extra={
                "sensor": self._intake.sensor,
                "why": verdict.value,
                "client": client,
                "unsaid": self._unsaid.pop(verdict, 0),
            },
        )


def _new_id() -> str:
    """Return a random id, no counter: it must be new to every store that this delivery may ever reach."""
    return uuid.uuid4().hex


def _challenge(scheme: Scheme, document: Any) -> str | None:
    """Return what Slack wants to have back when an endpoint is set up, None for any other delivery.

    Source: https://docs.slack.dev/reference/events/url_verification
    """
    if not scheme.answers_challenges or not isinstance(document, dict):
        return None
    challenge = document.get("challenge")
    is_challenge = document.get("type") == "url_verification" and isinstance(challenge, str)
    return challenge if is_challenge else None


def no_keys_error(keys: Keys) -> SettingsError:
    """Return the error that says why no key could be read."""
    return SettingsError("; ".join(keys.faults))
