"""The Kafka sensor as a whole, against a cluster in memory and in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from reactor.api import Event, StoreFullError
from reactor.testing import LoopClock, RecordingIntake, SensorContract, running
from reactor_sensors import _kafka_client
from reactor_sensors._kafka_client import TroubleError
from reactor_sensors._kafka_hand import RECORDS_PER_COMMIT
from reactor_sensors._kafka_positions import Bounds, Catalog, Partition, Topic, cursor_key
from reactor_sensors.kafka import Kafka

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

    from reactor_sensors._kafka_client import Membership
    from reactor_sensors._kafka_record import RawRecord

P0 = Partition("orders", 0)
P1 = Partition("orders", 1)


@dataclass(frozen=True, kw_only=True)
class Raw:
    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int | None = None
    timestamp_type: int | None = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass
class Log:
    """A partition: records by offset, with gaps."""

    records: dict[int, Raw] = field(default_factory=dict)
    first: int = 0
    end: int = 0

    def append(self, value: bytes | None) -> None:
        self.records[self.end] = Raw(offset=self.end, value=value)
        self.end += 1


class FakeCluster:
    """A cluster with one group, of which every open client is the only member."""

    def __init__(self, partitions: int = 1) -> None:
        self.logs = {Partition("orders", number): Log() for number in range(partitions)}
        self.generation = "g1"
        self.committed: dict[Partition, int] = {}
        self.trouble = ""
        self.is_stalled = False
        self.silence = 0.0
        self.clients: list[FakeClient] = []
        self.polls = 0
        self.changed = asyncio.Event()

    def new_client(self, *_: object) -> FakeClient:
        client = FakeClient(self)
        self.clients.append(client)
        return client

    @property
    def client(self) -> FakeClient:
        return self.clients[-1]

    def produce(self, *values: bytes | None, partition: int = 0) -> None:
        for value in values:
            self.logs[Partition("orders", partition)].append(value)
        self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class FakeClient:
    """Behaves as GroupClient does, and asserts what it must never see."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.positions: dict[Partition, int] = {}
        self.held: set[Partition] = set()
        self.membership: Membership | None = None
        self.is_closed = False

    def _ask(self) -> None:
        if self.cluster.trouble:
            raise TroubleError(self.cluster.trouble)

    async def open(self) -> None:
        self._ask()

    async def close(self) -> None:
        self.is_closed = True

    async def catalog(self, names: Sequence[str] | None) -> Catalog:
        self._ask()
        count = len(self.cluster.logs)
        found = Topic(name="orders", generation=self.cluster.generation, partitions=count)
        return Catalog(cluster="c", topics={"orders": found} if count else {}, problems={})

    def join(self, topics: Collection[str], membership: Membership) -> None:
        self.membership = membership
        self.assign(self.cluster.logs)

    def refresh(self) -> None:
        self.assign(self.cluster.logs)

    def assign(self, partitions: Iterable[Partition]) -> None:
        assert self.membership is not None
        self.positions = dict.fromkeys(partitions, 0)
        self.held = set(self.positions)
        self.membership.assigned(list(self.positions))

    async def rebalance(self, *partitions: Partition) -> None:
        assert self.membership is not None
        await self.membership.revoked()
        self.assign(partitions)

    async def poll(self, *, seconds: float, most: int) -> Mapping[Partition, Sequence[RawRecord]]:
        self.cluster.polls += 1
        fetched = self._fetch(most)
        if not fetched and seconds:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.cluster.changed.wait()
            fetched = self._fetch(most)
        elif not fetched:
            await asyncio.sleep(0)
        return fetched

    def _fetch(self, most: int) -> dict[Partition, Sequence[RawRecord]]:
        fetched: dict[Partition, Sequence[RawRecord]] = {}
        if self.cluster.trouble or self.cluster.is_stalled:
            return fetched
        for partition, position in self.positions.items():
            if partition in self.held:
                continue
            log = self.cluster.logs[partition]
            offsets = (offset for offset in range(position, log.end) if offset in log.records)
            records = [log.records[offset] for offset in islice(offsets, most)]
            if records:
                fetched[partition] = records
            self.positions[partition] = (
                records[-1].offset + 1 if len(records) == most else max(position, log.end)
            )
        return fetched

    def silence(self) -> float:
        return self.cluster.silence

    def hold(self, partitions: Iterable[Partition]) -> None:
        self.held |= set(partitions) & self.positions.keys()

    def release(self, partitions: Iterable[Partition]) -> None:
        self.held -= set(partitions)
        self.cluster.wake()

    def seek(self, partition: Partition, offset: int) -> None:
        self.positions[partition] = offset

    async def position(self, partition: Partition) -> int | None:
        return self.positions.get(partition)

    async def committed(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        self._ask()
        return {p: at for p, at in self.cluster.committed.items() if p in partitions}

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, Bounds]:
        self._ask()
        logs = self.cluster.logs
        return {p: Bounds(first=logs[p].first, end=logs[p].end) for p in partitions}

    async def offsets_at(
        self, partitions: Collection[Partition], timestamp: int
    ) -> dict[Partition, int | None]:
        return dict.fromkeys(partitions)

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        self._ask()
        self.cluster.committed.update(offsets)
        self.cluster.wake()
        return True


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    cluster = FakeCluster()
    monkeypatch.setattr(_kafka_client, "GroupClient", cluster.new_client)
    return cluster


def sensor(**options: Any) -> Kafka:
    return Kafka("orders", **{"bootstrap_servers": "h:1", "group": "g", **options})


@contextlib.asynccontextmanager
async def reading(
    intake: RecordingIntake | None = None, **options: Any
) -> AsyncIterator[RecordingIntake]:
    intake = intake or RecordingIntake("kafka", clock=LoopClock())
    intake.state = "starting"
    async with running(sensor(**options), intake):
        await intake.wait_until(lambda: intake.state != "starting")
        yield intake


def values(intake: RecordingIntake) -> list[Any]:
    return [event.data.value for event in intake.events]


def kept(intake: RecordingIntake, partition: int = 0, generation: str = "g1") -> int:
    return int(intake.durable_cursor[cursor_key("c", "orders", generation, partition)])


@pytest.mark.virtual_time
class TestContract(SensorContract):
    @pytest.fixture
    def sensor(self, cluster: FakeCluster) -> Kafka:
        self.cluster = cluster
        return sensor()

    @pytest.fixture
    def intake(self) -> RecordingIntake:
        return RecordingIntake("kafka")

    async def happen(self, intake: RecordingIntake, number: int) -> None:
        self.cluster.produce(b"%d" % number)


pytestmark = pytest.mark.virtual_time


async def test_records_come_in_order_with_their_offset_in_the_cursor(cluster: FakeCluster) -> None:
    cluster.produce(b"1", b"2", b"3")
    async with reading() as intake:
        await intake.wait_for_events(3)
    assert values(intake) == [1, 2, 3]
    assert kept(intake) == 3


async def test_a_restart_goes_on_at_the_cursor(cluster: FakeCluster) -> None:
    cluster.produce(b"1")
    async with reading() as intake:
        await intake.wait_for_events(1)
    cluster.committed.clear()
    cluster.produce(b"2")
    async with reading(intake):
        await intake.wait_for_events(2)
    assert (values(intake), intake.duplicates) == ([1, 2], 0)


async def test_a_group_moved_back_is_not_followed(cluster: FakeCluster) -> None:
    cluster.produce(b"1", b"2")
    async with reading() as intake:
        await intake.wait_for_events(2)
    cluster.committed[P0] = 0
    cluster.produce(b"3")
    async with reading(intake):
        await intake.wait_for_events(3)
    assert (values(intake), intake.duplicates) == ([1, 2, 3], 0)


async def test_what_another_member_journaled_is_not_journaled_again(cluster: FakeCluster) -> None:
    cluster.produce(b"1", b"2", b"3")
    cluster.committed[P0] = 2
    async with reading() as intake:
        await intake.wait_for_events(1)
    assert values(intake) == [3]


async def test_the_group_hears_of_the_offset_within_a_second(cluster: FakeCluster) -> None:
    cluster.produce(b"1")
    async with reading() as intake:
        await intake.wait_for_events(1)
        await asyncio.sleep(1)
        assert cluster.committed == {P0: 1}


async def test_a_start_at_the_end_is_kept_so_that_a_restart_skips_nothing(
    cluster: FakeCluster,
) -> None:
    cluster.produce(b"1")
    async with reading(start="latest") as intake:
        assert kept(intake) == 1
    cluster.committed.clear()
    cluster.produce(b"2")
    async with reading(intake, start="latest"):
        await intake.wait_for_events(1)
    assert values(intake) == [2]


async def test_a_partition_added_later_is_read_from_its_beginning(cluster: FakeCluster) -> None:
    async with reading(start="latest") as intake:
        cluster.logs[P1] = Log()
        cluster.produce(b"1", partition=1)
        await intake.wait_for_events(1)
    assert values(intake) == [1]


async def test_markers_and_gaps_move_the_cursor_too(cluster: FakeCluster) -> None:
    cluster.produce(b"1", b"2")
    cluster.logs[P0].end = 7
    async with reading() as intake:
        await intake.wait_until(lambda: intake.durable_cursor != {} and kept(intake) == 7)
        await asyncio.sleep(1)
    assert (values(intake), cluster.committed) == ([1, 2], {P0: 7})


async def test_poison_is_parked_between_its_neighbours(cluster: FakeCluster) -> None:
    cluster.produce(b"1", b"{", b"3", b"\xff", None)
    async with reading() as intake:
        await intake.wait_for_events(3)
        await intake.wait_until(lambda: kept(intake) == 5)
    assert values(intake) == [1, 3, None]
    assert [(r.event_id, r.reason) for r in intake.rejected] == [
        ("orders@g1/0/1", "not_json"),
        ("orders@g1/0/3", "not_json"),
    ]


async def test_an_event_that_cannot_be_stored_does_not_stop_the_others(
    cluster: FakeCluster,
) -> None:
    class Picky(RecordingIntake):
        async def accept_many(self, events: Any, **options: Any) -> Any:
            if any(event.data.value == 2 for event in events):
                raise ValueError("too deep")
            return await super().accept_many(events, **options)

    cluster.produce(b"1", b"2", b"{", b"3", b"}")
    async with reading(Picky("kafka")) as intake:
        await intake.wait_until(lambda: kept(intake) == 5)
    assert values(intake) == [1, 3]
    assert sorted((r.event_id, r.reason) for r in intake.rejected) == [
        ("orders@g1/0/1", "not_storable"),
        ("orders@g1/0/2", "not_json"),
        ("orders@g1/0/4", "not_json"),
    ]


async def test_a_full_disk_is_waited_out(cluster: FakeCluster) -> None:
    async with reading() as intake:
        intake.fail_next(StoreFullError("no space left"))
        cluster.produce(b"1")
        await intake.wait_for_events(1)
    assert (values(intake), intake.duplicates) == ([1], 0)


async def test_without_credit_polling_goes_on_and_nothing_more_is_fetched(
    cluster: FakeCluster,
) -> None:
    async with reading() as intake:
        intake.overload(timedelta(seconds=1))
        cluster.produce(*[b"%d" % number for number in range(20_000)])
        await asyncio.sleep(10)
        position, polls = cluster.client.positions[P0], cluster.polls
        await asyncio.sleep(600)
        assert cluster.polls > polls + 600
        assert cluster.client.positions[P0] == position < 10_000
        intake.relieve()
        await intake.wait_for_events(20_000)
    assert values(intake) == list(range(20_000))
    assert len(cluster.clients) == 1


async def test_partitions_held_back_for_credit_are_told_until_there_is_some(
    cluster: FakeCluster,
) -> None:
    cluster.logs[P1] = Log()
    async with reading() as intake:
        assert intake.paused_partitions == 0
        intake.overload(timedelta(seconds=1))
        cluster.produce(*[b"%d" % number for number in range(20_000)])
        await intake.wait_until(lambda: intake.paused_partitions == 2)
        await cluster.client.rebalance(P0)
        await intake.wait_until(lambda: intake.paused_partitions == 1)
        intake.relieve()
        await intake.wait_until(lambda: intake.paused_partitions == 0)


async def test_a_sensor_that_ended_holds_no_partition_back(cluster: FakeCluster) -> None:
    async with reading() as intake:
        intake.overload(timedelta(seconds=1))
        cluster.produce(*[b"%d" % number for number in range(20_000)])
        await intake.wait_until(lambda: intake.paused_partitions == 1)
    assert intake.paused_partitions == 0


async def test_a_revocation_waits_for_what_is_being_written_and_commits_it(
    cluster: FakeCluster,
) -> None:
    async with reading() as intake:
        intake.overload(timedelta(seconds=1))
        cluster.produce(*[b"%d" % number for number in range(2000)])
        await asyncio.sleep(0.1)
        rebalancing = asyncio.create_task(cluster.client.rebalance(), name="rebalance")
        await asyncio.sleep(0.1)
        intake.relieve()
        await rebalancing
        assert cluster.committed == {P0: RECORDS_PER_COMMIT}
        assert kept(intake) == len(intake.events) == RECORDS_PER_COMMIT


async def test_what_was_decoded_before_a_revocation_is_forgotten_with_its_records(
    cluster: FakeCluster,
) -> None:
    async with reading() as intake:
        intake.overload(timedelta(seconds=1))
        cluster.produce(*[b"%d" % number for number in range(2000)])
        await asyncio.sleep(0.1)
        await cluster.client.rebalance(P0)
        intake.relieve()
        async with asyncio.timeout(60):
            await intake.wait_for_events(2000)
    assert values(intake) == list(range(2000))


async def test_a_revocation_does_not_wait_for_credit_for_ever(cluster: FakeCluster) -> None:
    async with reading() as intake:
        intake.overload(timedelta(seconds=1))
        cluster.produce(b"1")
        await asyncio.sleep(0.1)
        async with asyncio.timeout(6):
            await cluster.client.rebalance()
        intake.relieve()
        await asyncio.sleep(60)
        assert (values(intake), cluster.committed.get(P0, 0)) == ([], 0)
        await cluster.client.rebalance(P0)
        await intake.wait_for_events(1)


async def test_rebalances_in_the_middle_lose_and_double_nothing(cluster: FakeCluster) -> None:
    cluster.logs[P1] = Log()
    async with reading() as intake:
        for number in range(3000):
            cluster.produce(b"%d" % number, partition=number % 2)
            if number % 500 == 0:
                await cluster.client.rebalance(*([P0, P1] if number % 1000 else [P1]))
        await cluster.client.rebalance(P0, P1)
        await intake.wait_for_events(3000)
    assert sorted(values(intake)) == list(range(3000))
    assert intake.duplicates == 0


async def test_a_recreated_topic_halts_and_names_the_command(cluster: FakeCluster) -> None:
    cluster.produce(b"1", b"2")
    async with reading() as intake:
        await intake.wait_for_events(2)
    cluster.generation, cluster.logs[P0] = "g2", Log()
    cluster.committed.clear()
    cluster.produce(b"3")
    async with reading(intake):
        await intake.wait_until(lambda: intake.state.startswith("down"))
        await asyncio.sleep(60)
        assert "partition orders/0 is halted: the topic was recreated" in intake.state
        assert "reactor kafka seek 'kafka' orders/0 earliest" in intake.state
        assert values(intake) == [1, 2]


async def test_a_halted_partition_goes_on_once_the_cursor_was_set(cluster: FakeCluster) -> None:
    cluster.produce(b"1")
    async with reading() as intake:
        await intake.wait_for_events(1)
    cluster.generation, cluster.logs[P0] = "g2", Log()
    cluster.committed.clear()
    cluster.produce(b"2")
    async with reading(intake):
        await intake.wait_until(lambda: intake.state.startswith("down"))
        await intake.move_cursor({cursor_key("c", "orders", "g2", 0): b"0"})
        await intake.wait_for_events(2)
        await intake.wait_until(lambda: intake.state == "up")
    assert intake.events[0].source != intake.events[1].source


async def test_a_halted_partition_does_not_stop_the_others(cluster: FakeCluster) -> None:
    cluster.logs[P1] = Log()
    cluster.logs[P0].first = cluster.logs[P0].end = 5
    intake = RecordingIntake("kafka")
    await intake.move_cursor({cursor_key("c", "orders", "g1", 0): b"3"})
    async with reading(intake):
        cluster.produce(b"1", partition=1)
        await intake.wait_for_events(1)
        assert "2 offsets were deleted before they were read" in intake.state


async def test_a_topic_recreated_while_it_is_read_is_noticed(cluster: FakeCluster) -> None:
    cluster.produce(b"1")
    async with reading() as intake:
        await intake.wait_for_events(1)
        cluster.generation, cluster.logs[P0] = "g2", Log()
        cluster.committed.clear()
        await intake.wait_until(lambda: "recreated" in intake.state)
    assert cluster.clients[0].is_closed


async def test_a_missing_topic_is_said_and_waited_for(cluster: FakeCluster) -> None:
    log = cluster.logs.pop(P0)
    async with reading() as intake:
        assert intake.state == "down: topic 'orders' does not exist"
        cluster.logs[P0] = log
        cluster.produce(b"1")
        await intake.wait_for_events(1)
        assert intake.state == "up"


async def test_a_cluster_that_cannot_be_reached_is_tried_less_and_less_often(
    cluster: FakeCluster,
) -> None:
    cluster.trouble = "h:1: connection refused"
    async with reading() as intake:
        assert intake.state == "down: h:1: connection refused"
        await asyncio.sleep(600)
        assert 20 < len(cluster.clients) < 50
        assert all(client.is_closed for client in cluster.clients[:-1])
        cluster.trouble = ""
        await intake.wait_until(lambda: intake.state == "up")


async def test_a_cluster_lost_for_a_moment_needs_no_new_client(cluster: FakeCluster) -> None:
    async with reading() as intake:
        cluster.trouble = "no answer in time"
        await intake.wait_until(lambda: intake.state == "down: no answer in time")
        cluster.trouble = ""
        cluster.produce(b"1")
        await intake.wait_for_events(1)
        await intake.wait_until(lambda: intake.state == "up")
    assert len(cluster.clients) == 1


async def test_a_client_that_stands_still_before_records_is_made_anew(
    cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with reading() as intake:
        cluster.is_stalled = True
        cluster.produce(b"1")
        await intake.wait_until(lambda: "1 records to read" in intake.state)
        cluster.is_stalled = False
        await intake.wait_for_events(1)
    assert len(cluster.clients) == 2
    assert "kafka client is made anew" in caplog.messages
    assert intake.incidents == ["rebuild"]


async def test_the_lag_is_told_in_records_and_seconds(cluster: FakeCluster) -> None:
    async with reading() as intake:
        cluster.produce(b"1")
        await intake.wait_for_events(1)
        intake.overload(timedelta(seconds=1))
        cluster.produce(b"2", b"3")
        await asyncio.sleep(60)
        assert intake.lag_records == 2
        assert intake.lag_seconds is not None
        assert 50 < intake.lag_seconds <= 60
        intake.relieve()
        await asyncio.sleep(6)
        assert (intake.lag_records, intake.lag_seconds) == (0, 0.0)


async def test_a_topic_without_records_is_no_stand_still(cluster: FakeCluster) -> None:
    async with reading() as intake:
        await asyncio.sleep(3600)
        assert (intake.state, len(cluster.clients)) == ("up", 1)


async def test_a_member_that_the_group_does_not_hear_writes_nothing_until_it_does(
    cluster: FakeCluster,
) -> None:
    async with reading(session_timeout="10s") as intake:
        cluster.silence = 8.1
        cluster.produce(b"1", b"2")
        await asyncio.sleep(30)
        assert (values(intake), kept(intake)) == ([], 0)
        cluster.silence = 0.5
        await intake.wait_for_events(2)
        assert (values(intake), len(cluster.clients)) == ([1, 2], 1)


async def test_partitions_are_given_back_at_once_although_records_wait_for_the_group(
    cluster: FakeCluster,
) -> None:
    async with reading() as intake:
        cluster.silence = math.inf
        cluster.produce(b"1")
        await asyncio.sleep(1)
        before = intake.clock.now()
        await cluster.client.rebalance(P0)
        assert intake.clock.now() == before
        cluster.silence = 0.0
        await intake.wait_for_events(1)
        assert (values(intake), intake.duplicates) == ([1], 0)


async def test_a_client_that_the_group_never_hears_again_is_made_anew(cluster: FakeCluster) -> None:
    async with reading() as intake:
        cluster.silence = 61.0
        await asyncio.sleep(5.2)
        assert "the group does not answer" in intake.state
        cluster.silence = 0.0
        cluster.produce(b"1")
        await intake.wait_for_events(1)
        assert (len(cluster.clients), intake.incidents) == (2, ["rebuild"])


async def test_the_end_leaves_the_group_at_what_is_durable(cluster: FakeCluster) -> None:
    cluster.produce(b"1")
    async with reading() as intake:
        await intake.wait_for_events(1)
    assert cluster.committed == {P0: 1}
    assert cluster.client.is_closed


async def test_a_redriven_record_is_the_event_it_would_have_been(cluster: FakeCluster) -> None:
    cluster.produce(b'{"a": 1}', b"2")
    async with reading(model=int) as intake:
        await intake.wait_for_events(1)
    (poison,) = intake.rejected
    assert orjson.loads(poison.raw)["offset"] == 0
    event = sensor().revive(
        poison.raw, event_id=poison.event_id, subject=None, at=intake.clock.now()
    )
    assert isinstance(event, Event)
    assert (event.id, event.data.value) == ("orders/0/0", {"a": 1})
