"""From fetched records to durable events: bounded in memory, in order, the cursor in the same commit."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, TypeAlias

from reactor.api import StoreFullError
from reactor_sensors._kafka_poison import RegistryError
from reactor_sensors._kafka_positions import cursor_key
from reactor_sensors._kafka_record import Poison, poison_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from reactor.api import Event, Intake
    from reactor_sensors._kafka_positions import Partition
    from reactor_sensors._kafka_record import Decoder, Origin, RawRecord

RECORDS_PER_COMMIT = 500
BYTES_PER_COMMIT = 1024 * 1024
# In hand besides what the client itself has fetched: enough for the next commits to be ready at once.
MOST_RECORDS_IN_HAND = 4 * RECORDS_PER_COMMIT
MOST_BYTES_IN_HAND = 8 * BYTES_PER_COMMIT
FIRST_REFUSAL_WAIT_SECONDS = 0.1
LONGEST_REFUSAL_WAIT_SECONDS = 30.0
LONGEST_SCHEMA_WAIT_SECONDS = 5.0


# Compared by identity: each record in hand is counted under its own.
@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A partition that may be written: where its records come from and the cursor key of its offset."""

    partition: Partition
    origin: Origin
    key: str


def place_of(partition: Partition, origin: Origin, cluster: str) -> Place:
    """Return the place of a partition."""
    return Place(
        partition, origin, cursor_key(cluster, origin.topic, origin.generation, origin.partition)
    )


_Offered: TypeAlias = tuple[Place, "RawRecord"]


class Journal:
    """Writes what it is offered, partition by partition in order. One task runs it.

    `may_write` is awaited before each write. `trouble` says why what is in hand cannot be decoded now; `tell` is called
    when it begins and when it is over.
    """

    def __init__(
        self,
        intake: Intake,
        decoder: Decoder,
        *,
        may_write: Callable[[], Awaitable[None]],
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        self.trouble = ""
        self._tell = tell
        self._is_waiting = False
        self.written: dict[Partition, int] = {}
        self._intake, self._decoder, self._may_write = intake, decoder, may_write
        self._loop = asyncio.get_running_loop()
        # With their sizes; and what the first of them were decoded to while the ones before were written.
        self._hand: deque[tuple[Place, RawRecord, int]] = deque()
        self._ahead: deque[Event[Any] | Poison] = deque()
        self._held: Counter[Partition] = Counter()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._scope: asyncio.Timeout | None = None
        self._uncertain: dict[Partition, str] = {}
        self._newest: datetime | None = None

    @property
    def in_hand(self) -> int:
        """How many records are offered and not yet durable."""
        return sum(self._held.values())

    def age_seconds(self) -> float | None:
        """Return how old the newest durable record is, by its own timestamp; None before there is one."""
        if self._newest is None:
            return None
        return max((self._intake.clock.now() - self._newest).total_seconds(), 0.0)

    def holds(self, partition: Partition) -> bool:
        """Return whether records of a partition are in hand."""
        return self._held[partition] > 0

    def has_room(self) -> bool:
        """Return whether more may be offered."""
        return self._roomy.is_set()

    async def wait_for_room(self, seconds: float) -> None:
        """Return when there is room, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._roomy.wait()
        except TimeoutError:
            pass

    def offer(self, place: Place, records: Sequence[RawRecord]) -> None:
        """Take records of one partition, in order. Never waits; the caller looks for room before it fetches."""
        sizes = [_size(record) for record in records]
        self._hand.extend(zip(repeat(place), records, sizes, strict=False))
        self._held[place.partition] += len(records)
        self._bytes += sum(sizes)
        self._measure()

    async def run(self) -> None:
        """Write until cancelled. Storage errors other than a full disk pass to the caller."""
        while True:
            await self._filled.wait()
            self._idle.clear()
            try:
                await self._write_next()
            finally:
                self._idle.set()

    async def settle(self, grace_seconds: float) -> None:
        """Forget what has not begun to be written, and return when `written` is what is durable.

        What waits for credit longer than the grace is given up; it will be read again, by whoever owns it then.
        """
        self._hand.clear()
        self._ahead.clear()
        self._held.clear()
        self._bytes = 0
        self._measure()
        if self._scope is not None and not self._scope.expired():
            # Nothing is being written of what waits for a registry, or for a group that does not answer.
            patience = 0.0 if self._is_waiting else grace_seconds
            self._scope.reschedule(self._loop.time() + patience)
        await self._idle.wait()
        await self._find_out()

    async def _write_next(self) -> None:
        chunk, decoded = self._take()
        places = Counter([place for place, _ in chunk])
        self._uncertain = {place.partition: place.key for place in places}
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scope = scope
                if self._decoder.needs_schemas:
                    await self._write_with_schemas(chunk)
                else:
                    await self._write(chunk, decoded + self._decode(chunk[len(decoded) :]))
            self._uncertain = {}
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            self._scope = None
            # Only noted: after a revocation there may be nothing to tell of.
            self.trouble, self._is_waiting = "", False
            # Of what was settled meanwhile nothing is held any more.
            for place, count in places.items():
                self._held[place.partition] -= count
            self._held = +self._held
            self._measure()

    async def _find_out(self) -> None:
        """Learn how far a write that was broken off has come."""
        if not self._uncertain:
            return
        # A commit that was under way goes on without us; the store writes in order, so after this one it is done.
        await self._intake.move_cursor({})
        cursor = await self._intake.cursor()
        for partition, key in self._uncertain.items():
            if key in cursor:
                self.written[partition] = int(cursor[key])
        self._uncertain = {}

    def _take(self) -> tuple[Sequence[_Offered], list[Event[Any] | Poison]]:
        """Return the next records, and what the first of them are decoded to already."""
        chunk: list[_Offered] = []
        hand, taken_bytes = self._hand, 0
        for _ in range(min(RECORDS_PER_COMMIT, len(hand))):
            place, record, size = hand[0]
            if chunk and taken_bytes + size > BYTES_PER_COMMIT:
                break
            taken_bytes += size
            hand.popleft()
            chunk.append((place, record))
        self._bytes -= taken_bytes
        return chunk, [self._ahead.popleft() for _ in range(min(len(chunk), len(self._ahead)))]

    def _decode_ahead(self) -> None:
        """Decode what will be written next, in time that is otherwise spent waiting for a commit."""
        first = len(self._ahead)
        self._ahead.extend(
            self._decode(
                [
                    (place, record)
                    for place, record, _ in islice(self._hand, first, RECORDS_PER_COMMIT)
                ]
            )
        )

    async def _write_with_schemas(self, chunk: Sequence[_Offered]) -> None:
        """Write what has its schemas, then ask for those that could not be had; what waits keeps its order."""
        waiting, delay = chunk, FIRST_REFUSAL_WAIT_SECONDS
        while waiting:
            self._is_waiting = True
            why = await self._prepare(waiting)
            self._is_waiting = False
            ready, waiting = self._part(waiting)
            # What others' schemas may cost is bounded, and still too long to keep the loop from its heartbeats.
            await self._write(ready, await asyncio.to_thread(self._decode, ready))
            if waiting:
                self._say(why or "schemas are asked for again")
                self._is_waiting = True
                await asyncio.sleep(delay * (0.75 + self._intake.clock.luck() / 2))
                delay = min(delay * 2, LONGEST_SCHEMA_WAIT_SECONDS)
        self._say("")

    async def _prepare(self, chunk: Sequence[_Offered]) -> str:
        """Learn the schemas of records; return why some of them cannot be learnt."""
        try:
            await self._decoder.prepare([record for _, record in chunk])
        except RegistryError as error:
            return str(error)
        return ""

    def _part(self, chunk: Sequence[_Offered]) -> tuple[Sequence[_Offered], Sequence[_Offered]]:
        """Return what can be written, and what waits for its schema or behind one of its partition that does."""
        ready, waiting = [], []
        closed: set[Partition] = set()
        for place, record in chunk:
            if place.partition in closed or self._decoder.lacks_schema(record):
                closed.add(place.partition)
                waiting.append((place, record))
            else:
                ready.append((place, record))
        return ready, waiting

    def _say(self, trouble: str) -> None:
        if trouble == self.trouble:
            return
        if trouble and not self.trouble:
            self._intake.incident("registry")
            self._intake.log.warning(
                "records wait for their schema",
                extra={"sensor": self._intake.sensor, "why": trouble},
            )
        self.trouble = trouble
        self._tell()

    def _decode(self, chunk: Sequence[_Offered]) -> list[Event[Any] | Poison]:
        now = self._intake.clock.now()
        return [self._decoder.decode(place.origin, record, now=now) for place, record in chunk]

    async def _write(
        self, chunk: Sequence[_Offered], decoded: Sequence[Event[Any] | Poison]
    ) -> None:
        """Write records in order: what comes before poison is durable before it is."""
        begin = 0
        for end, made in enumerate(decoded):
            if isinstance(made, Poison):
                await self._accept(chunk[begin:end], decoded[begin:end])
                place, record = chunk[end]
                await self._reject(made, {place: record.offset + 1})
                begin = end + 1
        await self._accept(chunk[begin:], decoded[begin:])

    async def _accept(self, chunk: Sequence[_Offered], decoded: Sequence[Any]) -> None:
        """Accept the events that records were decoded to."""
        if not chunk:
            return
        reached = {place: record.offset + 1 for place, record in chunk}
        if not self._decoder.needs_schemas:
            self._loop.call_soon(self._decode_ahead)
        try:
            await self._keep_trying(
                lambda: self._intake.accept_many(decoded, cursor=_cursor(reached))
            )
        except (ValueError, TypeError, RecursionError) as error:
            # One of them is no JSON after all, nested too deep for instance; it must not stop the others.
            if len(chunk) > 1:
                for alone, made in zip(chunk, decoded, strict=True):
                    await self._accept([alone], [made])
                return
            place, record = chunk[0]
            detail = f"the event cannot be stored: {error}"
            await self._reject(
                poison_of(place.origin, record, reason="not_storable", detail=detail), reached
            )
        else:
            self._newest = decoded[-1].time
            self._note(reached)

    async def _reject(self, poison: Poison, reached: Mapping[Place, int]) -> None:
        await self._keep_trying(
            lambda: self._intake.reject(
                poison.raw,
                reason=poison.reason,
                detail=poison.detail,
                event_id=poison.event_id,
                subject=poison.subject,
                cursor=_cursor(reached),
            )
        )
        self._note(reached)

    async def _keep_trying(self, store: Callable[[], Awaitable[object]]) -> None:
        delay = FIRST_REFUSAL_WAIT_SECONDS
        while True:
            self._is_waiting = True
            await self._may_write()
            self._is_waiting = False
            try:
                await store()
            except StoreFullError as error:
                self._intake.log.warning(
                    "records cannot be stored, trying again",
                    extra={
                        "sensor": self._intake.sensor,
                        "error": str(error),
                        "delay_seconds": delay,
                    },
                )
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_REFUSAL_WAIT_SECONDS)
            else:
                return

    def _note(self, reached: Mapping[Place, int]) -> None:
        for place, offset in reached.items():
            self.written[place.partition] = offset

    def _measure(self) -> None:
        _set(self._filled, bool(self._hand))
        has_room = len(self._hand) < MOST_RECORDS_IN_HAND and self._bytes < MOST_BYTES_IN_HAND
        _set(self._roomy, has_room)


def _set(event: asyncio.Event, is_so: bool) -> None:
    if is_so:
        event.set()
    else:
        event.clear()


def _cursor(reached: Mapping[Place, int]) -> dict[str, bytes]:
    return {place.key: b"%d" % offset for place, offset in reached.items()}


def _size(record: RawRecord) -> int:
    return len(record.value or b"") + len(record.key or b"") + 64
