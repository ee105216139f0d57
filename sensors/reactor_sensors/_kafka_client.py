"""The one place that touches aiokafka: a member of a group that never commits by itself.

What aiokafka 0.14.0 asks for, read in its source:

- `getmany` must not be cancelled, and no error must come out of it and be survived: both leave a counter up, and from
  then on the client believes for ever that it is being polled. So every error of `poll` ends the membership.
- Between an assignment and the end of our callback it begins to fetch from the group's offset. So the callback
  first, without waiting, pauses each partition and gives it a position.
- It takes a coordinator that cannot tell what a group has committed for one that says "nothing": `_kafka_committed.py`.
- It fetches on whatever the group says. So `silence` tells how long the group has not, and who writes looks at it.
- The task that keeps its metadata fresh may end of an error, and tells nobody. So `poll` looks at it.
- While the callback runs no heartbeats are sent. So it only notes what was assigned.
- `stop` may wait for as long as a broker that does not answer. So it gets a limit.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import (
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
)

from reactor_sensors._kafka_committed import commit_offsets, committed_offsets, pair_of
from reactor_sensors._kafka_connection import expect_losses
from reactor_sensors._kafka_fetched import as_it_was_read, read_leniently
from reactor_sensors._kafka_positions import Bounds, Catalog, Partition
from reactor_sensors._kafka_probe import try_to_connect
from reactor_sensors._kafka_topics import DescribeTopics, read_catalog
from reactor_sensors._kafka_trouble import spell_refusal, spell_trouble

if TYPE_CHECKING:
    from collections.abc import (
        Awaitable,
        Callable,
        Collection,
        Coroutine,
        Iterable,
        Mapping,
        Sequence,
    )

    from reactor_sensors._kafka_record import RawRecord

PROBE_TIMEOUT_MS = 10_000
# A member that still writes what it has in hand is worth a longer wait than a dead one.
SHORTEST_REBALANCE_MS = 15_000
# The broker answers a request to join only when all have joined; giving up earlier would join twice.
REQUEST_MARGIN_MS = 5_000
STOP_SECONDS = 5.0
LOST = (KafkaError, OSError)
MOST_FETCHED_BYTES = 8 * 1024 * 1024


class TroubleError(Exception):
    """The cluster cannot be used now; the text says why, for an operator."""


class Membership(Protocol):
    """Who is told what this member may read. `revoked` is waited for before the group goes on without it."""

    def assigned(self, partitions: Collection[Partition]) -> None: ...
    async def revoked(self) -> None: ...


class Client(Protocol):
    """What the sensor needs of a Kafka client. Every method may raise TroubleError."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def catalog(self, names: Sequence[str] | None) -> Catalog: ...
    def join(self, topics: Collection[str], membership: Membership) -> None: ...
    def refresh(self) -> None: ...
    async def poll(
        self, *, seconds: float, most: int
    ) -> Mapping[Partition, Sequence[RawRecord]]: ...
    def silence(self) -> float: ...
    def hold(self, partitions: Iterable[Partition]) -> None: ...
    def release(self, partitions: Iterable[Partition]) -> None: ...
    def seek(self, partition: Partition, offset: int) -> None: ...
    async def position(self, partition: Partition) -> int | None: ...
    async def committed(self, partitions: Collection[Partition]) -> dict[Partition, int]: ...
    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, Bounds]: ...
    async def offsets_at(
        self, partitions: Collection[Partition], timestamp: int
    ) -> dict[Partition, int | None]: ...
    async def commit(self, offsets: Mapping[Partition, int]) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOptions:
    """How to be a member. `most_bytes` is what one fetch may bring of one partition."""

    servers: tuple[str, ...]
    group: str
    client_id: str
    isolation: str
    session_timeout: timedelta
    max_poll_interval: timedelta
    most_bytes: int


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    def __init__(self, client: GroupClient, membership: Membership) -> None:
        self._client = client
        self._membership = membership

    async def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        await self._membership.revoked()

    def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        partitions = [Partition(*pair) for pair in assigned]
        self._client.hold(partitions)
        for partition in partitions:
            # A place-holder: without any position aiokafka would look for one by itself.
            self._client.seek(partition, 0)
        self._client.heard()
        self._membership.assigned(partitions)


class GroupClient:
    """A consumer of aiokafka behind `Client`."""

    def __init__(self, options: GroupOptions, security: Mapping[str, Any]) -> None:
        read_leniently()
        expect_losses()
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._options = options
        self._security = dict(security)
        rebalance_ms = max(_ms(options.session_timeout), SHORTEST_REBALANCE_MS)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=list(options.servers),
            group_id=options.group,
            client_id=options.client_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level=options.isolation,
            session_timeout_ms=_ms(options.session_timeout),
            heartbeat_interval_ms=max(_ms(options.session_timeout) // 10, 100),
            rebalance_timeout_ms=rebalance_ms,
            max_poll_interval_ms=_ms(options.max_poll_interval),
            max_partition_fetch_bytes=options.most_bytes,
            fetch_max_bytes=max(MOST_FETCHED_BYTES, options.most_bytes),
            request_timeout_ms=rebalance_ms + REQUEST_MARGIN_MS,
            metadata_max_age_ms=30_000,
            key_deserializer=as_it_was_read,
            **self._security,
        )

    async def open(self) -> None:
        try:
            await self._consumer.start()
        except LOST as error:
            raise TroubleError(await self._why_not(error)) from error
        coordinator = self._consumer._coordinator
        coordinator._do_heartbeat = self._noting(coordinator._do_heartbeat)

    def _noting(self, ask: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
        """Return `ask`, a heartbeat, so that `silence` knows when it was asked at last with success."""

        async def ask_and_note() -> bool:
            asked_at = self._loop.time()
            is_member = await ask()
            if is_member:
                self._heard_at = asked_at
            return is_member

        return ask_and_note

    async def close(self) -> None:
        """Leave the group. Waits no longer than a few seconds; what is left of the client then is torn down."""
        if await _has_ended(self._consumer.stop(), "kafka consumer stops"):
            return
        # Unfinished: its sockets and tasks would outlive it.
        if self._consumer._fetcher is not None:
            await _has_ended(self._consumer._fetcher.close(), "kafka fetcher closes")
        await _has_ended(self._consumer._client.close(), "kafka connections close")

    async def catalog(self, names: Sequence[str] | None) -> Catalog:
        client = self._consumer._client  # the public surface has no topic ids
        node = client.get_random_node()
        if node is None:
            # Also where a token was refused: aiokafka takes the refusal for an answer that names no brokers.
            raise TroubleError(await self._why_not(KafkaConnectionError("no broker is known")))
        try:
            return read_catalog(await client.send(node, DescribeTopics(names)))
        except (*LOST, TimeoutError) as error:
            raise TroubleError(spell_trouble(error)) from error

    def join(self, topics: Collection[str], membership: Membership) -> None:
        self._consumer.subscribe(topics=sorted(topics), listener=_Listener(self, membership))

    def refresh(self) -> None:
        """Look at the topics again soon; new partitions then make the group share them out."""
        self._consumer._client.force_metadata_update()

    async def poll(self, *, seconds: float, most: int) -> Mapping[Partition, Sequence[RawRecord]]:
        """Return what was fetched; nothing after `seconds`. Not to be cancelled, but at the end of the membership."""
        if self._consumer._client._sync_task.done():
            raise TroubleError("the client has ceased to look where the partitions are")
        try:
            fetched = await self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=most)
        except LOST as error:
            raise TroubleError(spell_trouble(error)) from error
        return {Partition(*pair): records for pair, records in fetched.items()}

    def heard(self) -> None:
        """Note that the group has made us a member just now."""
        self._heard_at = self._loop.time()

    def silence(self) -> float:
        """Return how many seconds ago the group took us for a member; infinity once it said that we are none."""
        if not self._consumer._coordinator.member_id:
            return math.inf
        return self._loop.time() - self._heard_at

    def hold(self, partitions: Iterable[Partition]) -> None:
        """Fetch nothing of these until they are released; of those not assigned nothing is fetched anyway."""
        mine = self._consumer.assignment()
        self._consumer.pause(*[pair_of(partition) for partition in partitions if partition in mine])

    def release(self, partitions: Iterable[Partition]) -> None:
        mine = self._consumer.assignment()
        self._consumer.resume(
            *[pair_of(partition) for partition in partitions if partition in mine]
        )

    def seek(self, partition: Partition, offset: int) -> None:
        if partition in self._consumer.assignment():
            self._consumer.seek(pair_of(partition), offset)

    async def position(self, partition: Partition) -> int | None:
        """Return the offset after the last record that `poll` returned, markers and gaps passed; None if not ours."""
        if partition not in self._consumer.assignment():
            return None
        try:
            return int(await self._consumer.position(pair_of(partition)))
        except (IllegalStateError, KafkaError):
            return None

    async def committed(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        try:
            # The public `committed` asks for one partition at a time, and takes a refusal for none.
            return await committed_offsets(
                self._consumer._coordinator, self._options.group, partitions
            )
        except LOST as error:
            raise TroubleError(spell_trouble(error)) from error

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, Bounds]:
        pairs = [pair_of(partition) for partition in partitions]
        try:
            firsts = await self._consumer.beginning_offsets(pairs)
            ends = await self._consumer.end_offsets(pairs)
        except LOST as error:
            raise TroubleError(spell_trouble(error)) from error
        return {Partition(*pair): Bounds(first=firsts[pair], end=ends[pair]) for pair in pairs}

    async def offsets_at(
        self, partitions: Collection[Partition], timestamp: int
    ) -> dict[Partition, int | None]:
        """Return per partition the first offset at or after `timestamp` (ms since 1970), None where there is none."""
        try:
            found = await self._consumer.offsets_for_times(
                {pair_of(partition): timestamp for partition in partitions}
            )
        except LOST as error:
            raise TroubleError(spell_trouble(error)) from error
        return {
            Partition(*pair): None if at is None else int(at.offset) for pair, at in found.items()
        }

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Tell the group how far its members are. False when the group has moved on meanwhile."""
        if not offsets.keys() <= self._consumer.assignment():
            return False
        try:
            return await commit_offsets(self._consumer._coordinator, offsets)
        except LOST as error:
            raise TroubleError(spell_trouble(error)) from error

    async def _why_not(self, error: Exception) -> str:
        """Return why no broker let us in; the client itself tells only that none did."""
        options = {
            "ssl_context": None,
            **self._security,
            "request_timeout_ms": PROBE_TIMEOUT_MS,
            "client_id": self._options.client_id,
        }
        protocol = str(self._security.get("security_protocol", "PLAINTEXT"))
        reasons: list[str] = []
        for host, port, _ in self._consumer._client.hosts:
            refusal = await try_to_connect(host, port, options)
            reasons.append(f"{host}:{port}: {spell_refusal(refusal or error, protocol)}")
        return "no broker can be reached; " + "; ".join(reasons)


async def _has_ended(work: Coroutine[Any, Any, None], name: str) -> bool:
    """Return whether `work` came to its end in time; it is cancelled otherwise, and never waited for twice as long.

    It runs in a task of its own: aiokafka awaits tasks that it has cancelled, and the CancelledError that comes out
    of it then would, in ours, end the sensor without a word.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        await asyncio.wait([task], timeout=STOP_SECONDS)
    finally:
        task.cancel()
    if not task.done():
        await asyncio.wait([task], timeout=STOP_SECONDS)
    return task.done() and not task.cancelled() and task.exception() is None


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
