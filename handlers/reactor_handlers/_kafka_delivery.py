"""From a record to its acknowledgement: one producer for all steps of a loop, replaced when it is spoilt."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError

from reactor.api import Reject, StepError, spell_duration
from reactor_handlers._kafka_trouble import (
    LOST_ON_THE_WAY,
    REFUSED_TOGETHER,
    TOO_LARGE,
    RefusedError,
    TroubleError,
    spell_trouble,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import timedelta

    from reactor_handlers._kafka_link import Link, RecordPosition
    from reactor_handlers._kafka_record import Record

# Between tries; it doubles.
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
# A look for the reason may make a deadline later by a tenth, and by so much at least and at most.
SHORTEST_PROBE_SECONDS = 0.2
PROBE_SECONDS = 3.0
# Records of which the step did not wait for the end; each is a digest and a future.
MOST_LEFT_BEHIND = 10_000


class Delivery:
    """Sends the records of one loop to one cluster. Connects with the first record; `close` ends it.

    Nothing that a caller does, cancellation included, disturbs the records of others.
    """

    def __init__(self, new_link: Callable[[], Awaitable[Link]]) -> None:
        self._new_link = new_link
        self._opening = asyncio.Lock()
        self._link: Link | None = None
        self._is_closed = False
        self._users: Counter[Link] = Counter()
        self._left_behind: OrderedDict[bytes, asyncio.Future[RecordPosition]] = OrderedDict()

    async def send(self, record: Record, *, deadline: timedelta) -> RecordPosition:
        """Return where `record` is once it is acknowledged by all in-sync replicas.

        Given up after `deadline` (and a tenth, to find the reason), or cancelled, it may arrive
        nevertheless. The next attempt of the step then does not send it again in this process, but
        waits for this one.

        Raises Reject where another attempt cannot help, StepError where it may.
        """
        trouble: list[TroubleError] = []
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                return await self._send(record, trouble)
        except TroubleError as error:
            raise StepError(f"{_what(record)} was not sent: {error}") from error
        except TimeoutError:
            reason = await self._why_late(trouble, deadline)
        raise StepError(
            f"{_what(record)} was not acknowledged within deadline={spell_duration(deadline)!r}: "
            f"{reason}"
        )

    async def close(self) -> None:
        """Close the producer; records that are still waited for fail."""
        self._is_closed = True
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _send(self, record: Record, trouble: list[TroubleError]) -> RecordPosition:
        if (earlier := self._taken_up(record)) is not None:
            try:
                return await self._acknowledgement(record, earlier, None)
            except KafkaError:
                pass  # it never arrived, so this is the time to send it
        alone = False
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._borrowed() as link:
                    position = await link.put(record, alone=alone)
                    return await self._acknowledgement(record, position, link)
            except TroubleError as error:
                if error.is_hopeless:
                    raise
                trouble[:] = [error]
            except LOST_ON_THE_WAY as error:
                trouble[:] = [TroubleError(spell_trouble(error))]
            except REFUSED_TOGETHER as error:
                if alone:
                    raise _refusal(record, error) from error
                alone = True
                continue
            except KafkaError as error:
                raise TroubleError(spell_trouble(error)) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _acknowledgement(
        self, record: Record, position: asyncio.Future[RecordPosition], link: Link | None
    ) -> RecordPosition:
        try:
            return await asyncio.shield(position)
        except KafkaError:
            if link is not None:
                link.spoil()
            raise
        except asyncio.CancelledError:
            if (identity := record.identity) is not None:
                self._left_behind[identity] = position
                if len(self._left_behind) > MOST_LEFT_BEHIND:
                    self._left_behind.popitem(last=False)
            raise

    def _taken_up(self, record: Record) -> asyncio.Future[RecordPosition] | None:
        # Most of the time there is none, and the digest of a large value takes its time.
        if not self._left_behind or (identity := record.identity) is None:
            return None
        return self._left_behind.pop(identity, None)

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[Link]:
        """Lend the open link. A spoilt one is closed by the last who used it. Raises TroubleError."""
        link = await self._open_link()
        self._users[link] += 1
        try:
            yield link
        finally:
            self._users[link] -= 1
            if not self._users[link]:
                del self._users[link]
                if link.is_spoilt:
                    if self._link is link:
                        self._link = None
                    await link.close()

    async def _open_link(self) -> Link:
        async with self._opening:
            if self._link is not None and not self._link.is_spoilt:
                return self._link
            spoilt, self._link = self._link, None
            if spoilt is not None and not self._users[spoilt]:
                await spoilt.close()
            self._refuse_closed()
            link = await self._new_link()
            try:
                await link.open()
                self._refuse_closed()
            except BaseException:
                await link.close()
                raise
            self._link = link
            return link

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise TroubleError(
                "the producer was closed meanwhile; close it when nothing is being sent",
                is_hopeless=True,
            )

    async def _why_late(self, trouble: list[TroubleError], deadline: timedelta) -> str:
        seconds = min(max(deadline.total_seconds() / 10, SHORTEST_PROBE_SECONDS), PROBE_SECONDS)
        link = self._link or await self._new_link()  # one that never opened was closed
        try:
            if (why := await link.why_not(seconds)) is not None:
                return str(why)
        finally:
            if link is not self._link and not self._users[link]:
                await link.close()
        if trouble:
            return str(trouble[0])
        return (
            "a broker can be reached, but it was slow, the partition has no leader, or too few "
            "replicas are in sync for min.insync.replicas; look at the topic, or allow more time by "
            "deadline="
        )


def _what(record: Record) -> str:
    return f"a record for topic {record.topic!r}"


def _refusal(record: Record, error: KafkaError) -> Exception:
    if isinstance(error, TOO_LARGE):
        return Reject(
            f"{_what(record)} of {record.size_bytes:,} bytes is larger than the topic takes; send a "
            "reference to it, or raise max.message.bytes of the topic"
        )
    return RefusedError(spell_trouble(error))
