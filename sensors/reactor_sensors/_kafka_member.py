"""One membership in a consumer group, from joining to leaving: positions, polling, journaling, committing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from reactor.api import ReactorError
from reactor_sensors._kafka_client import TroubleError
from reactor_sensors._kafka_hand import Place, place_of
from reactor_sensors._kafka_journal import Journal
from reactor_sensors._kafka_positions import Partition, way_on
from reactor_sensors._kafka_progress import Progress
from reactor_sensors._kafka_record import Origin
from reactor_sensors._kafka_start import Placement, find_positions

if TYPE_CHECKING:
    from collections.abc import Collection

    from reactor.api import Intake
    from reactor_sensors._kafka_client import Client
    from reactor_sensors._kafka_positions import Catalog
    from reactor_sensors._kafka_record import Decoder
    from reactor_sensors._kafka_subject import Pace, Subject

RECORDS_PER_POLL = 2000
# How often one who may not write looks whether the group has answered.
SILENCE_SECONDS = 0.1


class Member:
    """Reads for one sensor until something ends the membership: `run` then raises, TroubleError as a rule.

    Records are handed to the journal only from partitions whose position this member has set itself.
    """

    def __init__(
        self, client: Client, intake: Intake, decoder: Decoder, subject: Subject, pace: Pace
    ) -> None:
        self._client, self._intake, self._subject, self._pace = client, intake, subject, pace
        self._loop = asyncio.get_running_loop()
        self._journal = Journal(intake, decoder, may_write=self._may_write, tell=self._tell)
        self._cluster = ""
        self._generations: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._mine: frozenset[Partition] = frozenset()
        self._epoch = 0
        self._ready: dict[Partition, Place] = {}
        self._halted: dict[Partition, str] = {}
        self._missing: list[str] = []
        self._offline = ""
        self._is_holding = False
        self._is_rebalancing = True
        self._to_place: set[Partition] = set()
        self._placing = asyncio.Event()
        self._committing = asyncio.Lock()
        self._committed: dict[Partition, int] = {}
        self._pulse_at = self._assigned_at = self._online_at = self._loop.time()
        self._progress = Progress(pace.stall)
        self.was_up = False

    async def run(self) -> None:
        """Be a member. Storage errors other than a full disk pass to the caller."""
        try:
            await self._client.open()
            topics = await self._find_topics()
            self._client.join(topics, self)
            self._pulse_at = self._assigned_at = self._online_at = self._loop.time()
            async with asyncio.TaskGroup() as group:
                for work in (
                    self._poll, self._journal.run, self._place, self._commit, self._check,
                    self._pulse,
                ):  # fmt: skip
                    group.create_task(work(), name=f"kafka {work.__name__.strip('_')}")
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            await self._leave()

    # What the group says.

    def assigned(self, partitions: Collection[Partition]) -> None:
        """Take partitions over. Called by the client, which has paused them; nothing is read before they are placed."""
        self._begin_epoch(partitions)
        self._is_rebalancing = False
        self._to_place = set(partitions)
        self._placing.set()
        self._intake.log.info(
            "partitions assigned",
            extra={"sensor": self._intake.sensor, "partitions": len(self._mine)},
        )

    async def revoked(self) -> None:
        """Give all partitions back: what is being written is finished and told to the group, the rest forgotten."""
        given_back = [*self._ready]
        if self._mine:
            self._intake.incident("rebalance")
        self._begin_epoch(())
        self._is_rebalancing = True
        await self._journal.settle(self._pace.grace)
        await self._commit_offsets(given_back)
        self._journal.written.clear()
        self._committed.clear()

    def _begin_epoch(self, partitions: Collection[Partition]) -> None:
        self._epoch += 1
        self._mine = frozenset(partitions)
        self._ready.clear()
        self._halted.clear()
        self._to_place = set()
        self._assigned_at = self._loop.time()
        self._tell_paused()

    # Where to read.

    async def _find_topics(self) -> Collection[str]:
        catalog = await self._describe()
        chosen = self._subject.choose(catalog)
        self._missing = self._subject.missing(catalog)
        if not chosen:
            raise TroubleError(
                "; ".join(self._missing)
                or f"no topic matches pattern {self._subject.pattern!r}; it is looked for again"
            )
        self._cluster = catalog.cluster
        self._generations = {name: topic.generation for name, topic in chosen.items()}
        self._counts = {name: topic.partitions for name, topic in chosen.items()}
        return chosen

    async def _describe(self) -> Catalog:
        names = None if self._subject.pattern else self._subject.topics
        try:
            async with asyncio.timeout(self._pace.answer):
                return await self._client.catalog(names)
        except TimeoutError:
            raise TroubleError(
                "the brokers do not answer a question about the topics in time"
            ) from None

    async def _place(self) -> None:
        while True:
            await self._placing.wait()
            self._placing.clear()
            epoch, wanted = self._epoch, sorted(self._to_place)
            self._to_place = set()
            placement = await find_positions(
                self._client,
                wanted,
                cluster=self._cluster,
                generations=self._generations,
                start=self._subject.start,
                cursor=await self._intake.cursor(),
                now=self._intake.clock.now(),
            )
            if placement.to_keep:
                # Durable before anything is read: a later start begins where this one did.
                await self._intake.move_cursor(placement.to_keep)
            if epoch == self._epoch:
                self._take_places(placement)

    def _take_places(self, placement: Placement) -> None:
        for partition, why in placement.halted.items():
            if self._halted.get(partition) != why:
                self._intake.incident("partition_halted")
                self._intake.log.error(
                    "partition halted",
                    extra={
                        "sensor": self._intake.sensor,
                        "partition": str(partition),
                        "why": why,
                        "to_go_on": way_on(self._intake.sensor, partition),
                    },
                )
            self._halted[partition] = why
        for partition, offset in placement.offsets.items():
            self._halted.pop(partition, None)
            self._client.seek(partition, offset)
            self._journal.written[partition] = offset
            generation = self._generations[partition.topic]
            self._ready[partition] = place_of(
                partition,
                Origin(
                    source=placement.sources[partition.topic],
                    topic=partition.topic,
                    partition=partition.number,
                    generation=generation,
                ),
                self._cluster,
            )
        if not self._is_holding:
            self._client.release(placement.offsets)
        self._tell_paused()
        self._tell()

    def _tell(self) -> None:
        why = [*self._missing]
        if self._offline:
            why.insert(0, self._offline)
        if self._journal.trouble:
            why.append(self._journal.trouble)
        for partition, reason in self._halted.items():
            command = way_on(self._intake.sensor, partition)
            why.append(f"partition {partition} is halted: {reason}; to go on: {command}")
        if why:
            self._intake.down("; ".join(why))
        else:
            self.was_up = True
            self._intake.up()

    # Reading and writing.

    async def _poll(self) -> None:
        while True:
            seconds = self._pace.poll
            if self._journal.has_room():
                self._hold(False)
            else:
                await self._journal.wait_for_room(self._pace.poll)
                if not self._journal.has_room():
                    # Polled all the same: a member that does not poll is put out of the group.
                    self._hold(True)
                    seconds = 0.0
            fetched = await self._client.poll(seconds=seconds, most=RECORDS_PER_POLL)
            for partition, records in fetched.items():
                place = self._ready.get(partition)
                if place is not None:
                    self._journal.offer(place, records)

    def _hold(self, is_holding: bool) -> None:
        if is_holding != self._is_holding:
            self._is_holding = is_holding
            if is_holding:
                self._client.hold(self._ready)
            else:
                self._client.release(self._ready)
            self._tell_paused()

    def _tell_paused(self) -> None:
        self._intake.paused(len(self._ready) if self._is_holding else 0)

    async def _commit(self) -> None:
        while True:
            await asyncio.sleep(self._pace.commit)
            await self._pass_gaps()
            await self._commit_offsets([*self._ready])

    async def _pass_gaps(self) -> None:
        """Move the cursor over markers of transactions and gaps of compaction, where no record will come any more."""
        passed: dict[str, bytes | None] = {}
        for partition, place in [*self._ready.items()]:
            position = await self._client.position(partition)
            # Nothing awaited between position and this look: what was fetched up to it is in hand or written.
            if position is None or self._journal.holds(partition):
                continue
            if partition in self._ready and position > self._journal.written[partition]:
                passed[place.key] = b"%d" % position
                self._journal.written[partition] = position
        if passed:
            await self._intake.move_cursor(passed)

    async def _commit_offsets(self, partitions: Collection[Partition]) -> None:
        # One at a time: an older commit must not overtake the one before a revocation.
        async with self._committing:
            offsets = {
                partition: self._journal.written[partition]
                for partition in partitions
                if partition in self._journal.written
                and self._journal.written[partition] != self._committed.get(partition)
            }
            if not offsets:
                return
            try:
                async with asyncio.timeout(self._pace.grace):
                    if await self._client.commit(offsets):
                        self._committed.update(offsets)
            except (TroubleError, TimeoutError) as error:
                # The cursor is the truth; the group's offset serves others and catches up.
                self._intake.log.debug(
                    "offsets not committed",
                    extra={"sensor": self._intake.sensor, "error": str(error)},
                )

    # Watching over it.

    async def _pulse(self) -> None:
        while True:
            await asyncio.sleep(min(self._pace.freeze / 4, 0.5))
            self._check_pulse()
            self._pulse_at = self._loop.time()

    async def _may_write(self) -> None:
        """Return while this process is surely a member: one that the group does not hear may have lost its partitions.

        Raises TroubleError like `_check_pulse`.
        """
        while True:
            self._check_pulse()
            if self._client.silence() <= self._pace.freeze:
                return
            await asyncio.sleep(SILENCE_SECONDS)

    def _check_pulse(self) -> None:
        """Raise TroubleError when this process stood still so long that it may have lost its partitions."""
        stood_still = self._loop.time() - self._pulse_at
        if stood_still > self._pace.freeze:
            raise TroubleError(f"the process stood still for {stood_still:.0f} s; joining anew")

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(self._pace.check)
            try:
                await self._look_at_topics()
                await self._look_at_progress()
            except MembershipOverError:
                raise
            except TroubleError as error:
                if self._loop.time() - self._online_at > self._pace.stall:
                    raise
                self._offline = str(error)
            else:
                self._offline, self._online_at = "", self._loop.time()
            if self._halted:
                # A command may have moved the cursor.
                self._to_place |= {*self._halted} & self._mine
                self._placing.set()
            elif not self._is_rebalancing and self._mine <= self._ready.keys():
                self._tell()

    async def _look_at_topics(self) -> None:
        catalog = await self._describe()
        chosen = self._subject.choose(catalog)
        found = {name: topic.generation for name, topic in chosen.items()}
        if found != self._generations:
            changed = sorted(
                name
                for name in found.keys() | self._generations.keys()
                if found.get(name) != self._generations.get(name)
            )
            raise MembershipOverError(
                f"topics were made, deleted or made anew: {', '.join(changed)}"
            )
        self._missing = self._subject.missing(catalog)
        counts = {name: topic.partitions for name, topic in chosen.items()}
        if counts != self._counts:
            self._counts = counts
            self._client.refresh()

    async def _look_at_progress(self) -> None:
        now = self._loop.time()
        if self._is_rebalancing:
            if now - self._assigned_at > 2 * self._pace.stall:
                raise MembershipOverError("the group assigned nothing for too long")
        elif self._client.silence() > self._pace.stall:
            raise MembershipOverError("the group does not answer; the client is made anew")
        try:
            async with asyncio.timeout(self._pace.answer):
                bounds = await self._client.bounds([*self._ready])
        except TimeoutError:
            raise TroubleError("the brokers do not tell the ends of the partitions") from None
        still = self._progress.look(
            {partition: self._journal.written[partition] for partition in self._ready},
            bounds,
            is_busy=self._is_holding or self._journal.in_hand > 0,
            now=now,
        )
        behind = self._progress.lag_records
        self._intake.lag(records=behind, seconds=self._journal.age_seconds() if behind else 0.0)
        if still is not None:
            raise MembershipOverError(
                f"partition {still.partition} has {still.records} records to read and none came "
                f"for {still.seconds:.0f} s; the client is made anew"
            )

    async def _leave(self) -> None:
        """Commit what is durable, then leave, so that the next owner begins exactly there."""
        self._intake.paused(0)
        # After a storage error nothing more can be found out; what ended the membership is what counts.
        with contextlib.suppress(TroubleError, ReactorError):
            await self._journal.settle(0.0)
            await self._commit_offsets([*self._ready])
        await self._client.close()


class MembershipOverError(TroubleError):
    """The membership must be begun anew, whatever the cluster's state."""


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
