"""What a store is kept busy with while its disk fails: every kind of write that the engine makes, many callers at once.

Each acknowledgement leaves a `Fact`: a query with its answer, which has to be so after whatever happens next.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from reactor.errors import ReactorError
from reactor.store.contract import (
    AttemptRow,
    BatchRow,
    DeadLetterRow,
    EventRow,
    Offer,
    Retention,
    RunEnd,
    RunRow,
    StepRow,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from reactor.store.contract import Store

CALLERS = 4
ROUNDS = 5
GATHERED = 3
# From a few bytes to several pages: inline, in overflow pages, and none at all.
SIZES_BYTES = (0, 10, 300, 5_000, 14_000)


@dataclass(frozen=True, slots=True)
class Fact:
    """`query` gives `answer`, from the acknowledgement on."""

    query: str
    parameters: tuple[Any, ...]
    answer: tuple[Any, ...]


class Witness(Protocol):
    """Hears what a caller asks for and is told."""

    def asked(self) -> object:
        """Return what belongs to this question; `told` gets it back."""
        ...

    def told(self, asked: object, fact: int) -> None: ...
    def refused(self, asked: object, error: ReactorError) -> None: ...
    def withdraw(self, fact: int) -> None: ...


class Workload:
    """Use `live(store)` once for each life of the store. The same seed asks for the same."""

    def __init__(self, seed: str, witness: Witness, *, rounds: int = ROUNDS) -> None:
        self.facts: list[Fact] = []
        self._seed = seed
        self._rounds = rounds
        self._witness = witness
        self._ids = count(1)
        self._lives = count()
        self._removable: list[int] = []
        self._cursors: dict[str, Iterator[int]] = {}

    async def live(self, store: Store) -> None:
        """Start as a daemon does, do everything, remove what is settled. Refusals are told to the witness."""
        life = next(self._lives)
        await self._ask(lambda: store.count_deaths(most=5, at=life))
        await self._ask(lambda: store.save_definitions({"w": "{}" * 20, "v": "{}"}, life))
        async with asyncio.TaskGroup() as callers:
            for number in range(CALLERS):
                luck = random.Random(f"{self._seed} {life} {number}")
                callers.create_task(self._call(store, number, luck), name=f"caller {number}")
        await self._remove(store)

    async def _call(self, store: Store, number: int, luck: random.Random) -> None:
        sensor = f"sensor{number}"
        for _ in range(self._rounds):
            run = await self._accept(store, sensor, luck)
            if run is None:
                continue
            await self._ask(partial(store.start_runs, [run], 3))
            await self._retry(store, run)
            await self._finish(store, run, luck)
            await self._set_aside(store, sensor, luck)

    async def _accept(self, store: Store, sensor: str, luck: random.Random) -> int | None:
        """Accept one to four events, each with one run; return the last run, None when they were refused."""
        events, runs, facts = [], [], []
        run = 0
        for _ in range(luck.randint(1, 4)):
            seq, run = next(self._ids), next(self._ids)
            data = luck.randbytes(luck.choice(SIZES_BYTES))
            # A name of two lengths: rows of an index move when pages split.
            name = f"{seq}" + "-" * luck.choice((0, 60))
            event = EventRow(
                seq, sensor, name, sensor, "t", None, seq, seq, data, '[["w","fired"]]'
            )
            events.append(event)
            runs.append(RunRow(run, "w", seq, None, "pending", seq, None))
            facts += [
                Fact("SELECT data FROM event WHERE source = ? AND id = ?", (sensor, name), (data,)),
                Fact("SELECT event FROM run WHERE id = ?", (run,), (seq,)),
            ]
        cursor = next(self._cursors.setdefault(sensor, count(1)))
        facts.append(_cursor_fact(sensor, cursor))
        offer = Offer(events, runs)
        told = await self._ask(lambda: store.accept(offer, sensor, {"k": b"%d" % cursor}), *facts)
        self._removable += [fact for fact in told if "cursor" not in self.facts[fact].query]
        return run if told else None

    async def _retry(self, store: Store, run: int) -> None:
        attempt = AttemptRow(run, "a", 1, "failed", 1, 2, "no luck", 3)
        query = "SELECT error FROM attempt WHERE run = ? AND step = ? AND attempt = ?"
        fact = Fact(query, (run, "a", 1), ("no luck",))
        self._removable += await self._ask(
            lambda: store.record_attempt(attempt, is_waiting=True), fact
        )

    async def _finish(self, store: Store, run: int, luck: random.Random) -> None:
        for name in ("a", "b"):
            result = luck.randbytes(luck.choice(SIZES_BYTES))
            step = StepRow(run, name, "succeeded", 2, 1, 2, result, None)
            facts = [
                Fact("SELECT result FROM step WHERE run = ? AND name = ?", (run, name), (result,))
            ]
            ends = [RunEnd(run, "succeeded", run, None)] if name == "b" else []
            if ends:
                query = "SELECT outcome, finished_at FROM run WHERE id = ?"
                facts.append(Fact(query, (run,), ("succeeded", run)))
            finish = partial(store.finish_steps, [step], ends)
            self._removable += await self._ask(finish, *facts)

    async def _set_aside(self, store: Store, sensor: str, luck: random.Random) -> None:
        """What fires nothing: a dead letter, a skipped occurrence, a cursor that moves alone, a batch."""
        number = next(self._ids)
        cursor = next(self._cursors.setdefault(sensor, count(1)))
        keys = {"k": b"%d" % cursor}
        name = f"other{number}"
        kind = luck.randrange(4)
        facts = [_cursor_fact(sensor, cursor)]
        if kind == 0:
            raw = luck.randbytes(luck.choice(SIZES_BYTES))
            letter = DeadLetterRow(
                id=number,
                sensor=sensor,
                event_id=name,
                reason="malformed",
                detail="no JSON",
                raw=raw,
                created_at=number,
            )
            query = "SELECT raw FROM dead_letter WHERE sensor = ? AND event_id = ?"
            await self._ask(
                lambda: store.accept(Offer(rejected=[letter]), sensor, keys),
                Fact(query, (sensor, name), (raw,)),
                *facts,
            )
        elif kind == 1:
            query = "SELECT reason FROM skipped WHERE sensor = ? AND occurrence = ?"
            fact = Fact(query, (sensor, name), ("late",))
            await self._ask(lambda: store.skip(sensor, name, "late", 1, keys), fact, *facts)
        elif kind == 2:
            await self._ask(lambda: store.move_cursor(sensor, keys), *facts)
        else:
            await self._gather(store, sensor)

    async def _gather(self, store: Store, sensor: str) -> None:
        """Accept events with ids in a row, and let them become a batch."""
        seqs = [next(self._ids) for _ in range(GATHERED)]
        run = next(self._ids)
        decisions = '[["v","gathered"]]'
        events = [
            EventRow(*(seq, sensor, f"gathered{seq}", sensor, "t", None, seq, seq, b"1", decisions))
            for seq in seqs
        ]
        facts = [Fact("SELECT data FROM event WHERE seq = ?", (seq,), (b"1",)) for seq in seqs]
        if await self._ask(lambda: store.accept(Offer(events), sensor, {}), *facts):
            row = BatchRow(run, "v", seqs[0], seqs[-1], seqs[0])
            fact = Fact("SELECT last_event FROM run WHERE id = ?", (run,), (seqs[-1],))
            await self._ask(lambda: store.add_batches([row]), fact)

    async def _remove(self, store: Store) -> None:
        for fact in self._removable:
            self._witness.withdraw(fact)
        self._removable.clear()
        # Some of it: the newer half stays.
        before = next(self._ids) // 2
        await self._ask(lambda: store.remove_settled(Retention(before=before, limit=20)))

    async def _ask(self, question: Callable[[], Awaitable[Any]], *facts: Fact) -> list[int]:
        """Ask, and wait for the answer; return the numbers of the facts that hold now, none when it was refused."""
        asked = self._witness.asked()
        try:
            await question()
        except ReactorError as error:
            self._witness.refused(asked, error)
            return []
        numbers = []
        for fact in facts:
            numbers.append(len(self.facts))
            self.facts.append(fact)
            self._witness.told(asked, numbers[-1])
        return numbers


def _cursor_fact(sensor: str, value: int) -> Fact:
    # It may have moved on since.
    query = "SELECT CAST(CAST(value AS TEXT) AS INTEGER) >= ? FROM cursor WHERE sensor = ? AND key = 'k'"
    return Fact(query, (value, sensor), (1,))
