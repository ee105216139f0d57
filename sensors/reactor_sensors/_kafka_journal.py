"""From fetched records to durable events: bounded in memory, in order, the cursor in the same commit."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from reactor.api import StoreFullError
from reactor_sensors._kafka_hand import BYTES_PER_COMMIT, RECORDS_PER_COMMIT, Chunk, Hand
from reactor_sensors._kafka_poison import PoisonError, RegistryError
from reactor_sensors._kafka_record import poison_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from reactor.api import Event, Intake, Rejected
    from reactor_sensors._kafka_hand import DecodedChunk, Place
    from reactor_sensors._kafka_positions import Partition
    from reactor_sensors._kafka_record import Decoder, RawRecord

# In hand besides what the client itself has fetched: enough for the next commits to be ready at once.
MOST_RECORDS_IN_HAND = 4 * RECORDS_PER_COMMIT
MOST_BYTES_IN_HAND = 8 * BYTES_PER_COMMIT
FIRST_REFUSAL_WAIT_SECONDS = 0.1
LONGEST_REFUSAL_WAIT_SECONDS = 30.0
LONGEST_SCHEMA_WAIT_SECONDS = 5.0


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
        self._hand = Hand()
        # What is written next, taken and decoded while what comes before it is being written.
        self._ahead: DecodedChunk | None = None
        self._held: Counter[Partition] = Counter()
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
        self._hand.add(place, records)
        self._held[place.partition] += len(records)
        self._measure()

    async def run(self) -> None:
        """Write until cancelled. Storage errors other than a full disk pass to the caller."""
        while True:
            while not self._filled.is_set():
                # What had come may be forgotten again before this task has its turn.
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
        self._ahead = None
        self._held.clear()
        self._measure()
        if self._scope is not None and not self._scope.expired():
            # Nothing is being written of what waits for a registry, or for a group that does not answer.
            patience = 0.0 if self._is_waiting else grace_seconds
            self._scope.reschedule(self._loop.time() + patience)
        await self._idle.wait()
        await self._find_out()

    async def _write_next(self) -> None:
        decoded, self._ahead = self._ahead, None
        chunk = self._hand.take() if decoded is None else decoded.chunk
        places = Counter(chunk.places)
        self._uncertain = {place.partition: place.key for place in places}
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scope = scope
                if self._decoder.needs_schemas:
                    await self._write_with_schemas(chunk)
                else:
                    await self._write(decoded or self._decode(chunk))
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

    def _decode_ahead(self) -> None:
        """Decode what will be written next, in time that is otherwise spent waiting for a commit."""
        if self._ahead is None and self._hand.has_whole_chunk():
            self._ahead = self._decode(self._hand.take())
            self._measure()

    async def _write_with_schemas(self, chunk: Chunk) -> None:
        """Write what has its schemas, then ask for those that could not be had; what waits keeps its order."""
        waiting, delay = chunk, FIRST_REFUSAL_WAIT_SECONDS
        while waiting:
            self._is_waiting = True
            why = await self._prepare(waiting)
            self._is_waiting = False
            ready, waiting = self._part(waiting)
            # What others' schemas may cost is bounded, and still too long to keep the loop from its heartbeats.
            await self._write(await asyncio.to_thread(self._decode, ready))
            if waiting:
                self._say(why or "schemas are asked for again")
                self._is_waiting = True
                await asyncio.sleep(delay * (0.75 + self._intake.clock.luck() / 2))
                delay = min(delay * 2, LONGEST_SCHEMA_WAIT_SECONDS)
        self._say("")

    async def _prepare(self, chunk: Chunk) -> str:
        """Learn the schemas of records; return why some of them cannot be learnt."""
        try:
            await self._decoder.prepare(chunk.records)
        except RegistryError as error:
            return str(error)
        return ""

    def _part(self, chunk: Chunk) -> tuple[Chunk, Chunk]:
        """Return what can be written, and what waits for its schema or behind one of its partition that does."""
        ready, waiting = Chunk([], []), Chunk([], [])
        closed: set[Partition] = set()
        for place, record in chunk:
            is_waiting = place.partition in closed or self._decoder.lacks_schema(record)
            if is_waiting:
                closed.add(place.partition)
            side = waiting if is_waiting else ready
            side.places.append(place)
            side.records.append(record)
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

    def _decode(self, chunk: Chunk) -> DecodedChunk:
        return chunk.decoded(self._decoder, self._intake.clock.now())

    async def _write(self, decoded: DecodedChunk) -> None:
        """Write records in one commit, poison with the events around it: a commit for each would take too long."""
        if not decoded.chunk:
            return
        if not self._decoder.needs_schemas:
            self._loop.call_soon(self._decode_ahead)
        reached = decoded.chunk.reached()
        try:
            await self._accept(decoded.events, reached, json=decoded.json, poison=decoded.poison)
        except (ValueError, TypeError, RecursionError):
            # An event is no JSON after all, nested too deep for instance; it must not stop the others.
            await self._write_one_by_one(decoded)
            await self._accept((), reached)

    async def _write_one_by_one(self, decoded: DecodedChunk) -> None:
        """Write the poison, so that the position may pass it, and then each event by itself."""
        await self._accept((), {}, poison=decoded.poison)
        kept = [(place, record) for place, records in decoded.kept for record in records]
        for (place, record), event in zip(kept, decoded.events, strict=True):
            reached = {place: record.offset + 1}
            try:
                await self._accept([event], reached)
            except (ValueError, TypeError, RecursionError) as error:
                why = PoisonError("not_storable", f"the event cannot be stored: {error}")
                poison = poison_of(place.origin, record, why)
                await self._accept((), reached, poison=[poison])

    async def _accept(
        self,
        events: Sequence[Event[Any]],
        reached: Mapping[Place, int],
        *,
        json: Sequence[bytes] | None = None,
        poison: Sequence[Rejected] = (),
    ) -> None:
        """Make all of it durable in one commit."""
        cursor = {place.key: b"%d" % offset for place, offset in reached.items()}
        await self._keep_trying(
            lambda: self._intake.accept_many(events, cursor=cursor, json=json, rejected=poison)
        )
        if events:
            self._newest = events[-1].time
        for place, offset in reached.items():
            self.written[place.partition] = offset

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

    def _measure(self) -> None:
        hand = self._hand
        _set(self._filled, len(hand) > 0 or self._ahead is not None)
        has_room = len(hand) < MOST_RECORDS_IN_HAND and hand.size_bytes < MOST_BYTES_IN_HAND
        _set(self._roomy, has_room)


def _set(event: asyncio.Event, is_so: bool) -> None:
    if is_so:
        event.set()
    else:
        event.clear()
