"""Events that come turn after turn are one write; each is answered, refused and taken back as if it were alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from reactor import Event, Workflow
from reactor.api import OverloadedError, Sensor
from reactor.engine.joining import LONGEST_SECONDS, MOST_BYTES, MOST_EVENTS, QUIET_TURNS
from reactor.errors import StoreError, StoreStoppedError
from reactor.testing.harness import Harness, harness
from reactor.testing.time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reactor.model.sensor import Accepted
    from reactor.store.contract import Offer

pytestmark = pytest.mark.virtual_time
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Source(Sensor):
    kind = "source"


def flow(**options: Any) -> Workflow:
    made = Workflow("flow", on=Source(name="s"), **options)

    @made.step
    async def take(event: Event[Any]) -> None: ...

    return made


def happened(name: str, *, data: Any = None, type_: Any = "test") -> Event[Any]:
    return Event(id=name, source="s", type=type_, time=LONG_AGO, data=data)


def offered(h: Harness, *events: Event[Any]) -> list[asyncio.Future[Accepted]]:
    return [h.engine.accept_now("s", event) for event in events]


class Writes:
    """Counts how many events each write of the store holds."""

    def __init__(self, h: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self._accept = h.engine.store.accept
        monkeypatch.setattr(h.engine.store, "accept", self._counted)

    def _counted(self, offer: Offer, sensor: str, cursor: Mapping[str, bytes | None]) -> Any:
        self.sizes.append(len(offer.events))
        return self._accept(offer, sensor, cursor)


async def test_events_of_one_turn_are_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(flow(), state=tmp_path) as h:
        writes = Writes(h, monkeypatch)
        answers = offered(h, *(happened(f"e-{number}") for number in range(30)))
        accepted = [await answer for answer in answers]
        await h.wait_for_ends(30)
    assert writes.sizes == [30]
    assert [one.event_id for one in accepted] == [f"e-{number}" for number in range(30)]
    assert not any(one.duplicate for one in accepted)


async def test_a_write_is_not_larger_than_a_statement_or_a_part_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(flow(), state=tmp_path) as h:
        writes = Writes(h, monkeypatch)
        await asyncio.wait(offered(h, *(happened(str(n)) for n in range(MOST_EVENTS + 1))))
        await asyncio.wait(offered(h, *(happened(f"l{n}", data="x" * MOST_BYTES) for n in (1, 2))))
    assert writes.sizes == [MOST_EVENTS, 1, 1, 1]


async def test_the_same_event_twice_in_one_turn_is_a_duplicate(tmp_path: Path) -> None:
    async with harness(flow(), state=tmp_path) as h:
        first, second = offered(h, happened("e"), happened("e"))
        assert (await first).duplicate is False
        assert (await second).duplicate is True
        await h.wait_for_ends(1)
        assert h.engine.credits["flow"].used == 0


async def test_an_event_that_the_store_refuses_fails_alone(tmp_path: Path) -> None:
    async with harness(flow(), state=tmp_path) as h:
        before, wrong, after = offered(
            h, happened("before"), happened("wrong", type_=None), happened("after")
        )
        with pytest.raises(StoreError, match="NOT NULL"):
            await wrong
        assert (await before).event_id == "before"
        assert (await after).event_id == "after"
        await h.wait_for_ends(2)
        assert h.engine.credits["flow"].used == 0
        assert h.engine.bytes.used == 0


async def test_an_event_that_is_none_fails_alone(tmp_path: Path) -> None:
    async with harness(flow(), state=tmp_path) as h:
        naive = datetime(2026, 1, 1)  # noqa: DTZ001  # that is what is wrong
        wrong = Event(id="wrong", source="s", type="test", time=naive, data=1)
        before, no_event, after, not_json = [
            asyncio.ensure_future(h.engine.accept("s", (event,), {}, wait=True))
            for event in (
                happened("before"),
                wrong,
                happened("after"),
                happened("x", data=object()),
            )
        ]
        with pytest.raises(TypeError, match="naive"):
            await no_event
        with pytest.raises(ValueError, match="object"):
            await not_json
        assert [(await answer)[0].event_id for answer in (before, after)] == ["before", "after"]
        await h.wait_for_ends(2)
        assert h.engine.credits["flow"].used == 0
        assert h.engine.bytes.used == 0


async def test_an_event_without_credit_is_refused_and_those_before_it_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(flow(pending=2), state=tmp_path) as h:
        writes = Writes(h, monkeypatch)
        first, second, third = offered(h, happened("1"), happened("2"), happened("3"))
        with pytest.raises(OverloadedError):
            await third
        assert not first.done()
        assert [(await answer).event_id for answer in (first, second)] == ["1", "2"]
        await h.wait_for_ends(2)
        assert (await h.engine.accept_now("s", happened("3"))).duplicate is False
    assert writes.sizes == [2, 1]


async def test_where_all_are_refused_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(flow(pending=1), state=tmp_path) as h:
        h.engine.credits["flow"].force(1)
        writes = Writes(h, monkeypatch)
        for answer in offered(h, happened("1"), happened("2")):
            with pytest.raises(OverloadedError):
                await answer
        h.engine.credits["flow"].give(1, now=0.0)
        assert h.engine.bytes.used == 0
    assert writes.sizes == []


async def test_an_event_alone_is_written_in_the_next_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(flow(), state=tmp_path) as h:
        writes = Writes(h, monkeypatch)
        (answer,) = offered(h, happened("alone"))
        assert writes.sizes == []
        await asyncio.sleep(0)
        assert writes.sizes == [1]
        await answer


async def test_events_of_turn_after_turn_are_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(flow(), state=tmp_path) as h:
        writes = Writes(h, monkeypatch)
        answers = offered(h, happened("a"), happened("b"))
        for name in ("c", "d", "e"):
            # Not in every turn, but before as many have passed without one as end it.
            for _ in range(QUIET_TURNS):
                await asyncio.sleep(0)
            answers += offered(h, happened(name))
        assert writes.sizes == []
        for _ in range(QUIET_TURNS):
            await asyncio.sleep(0)
        assert writes.sizes == []
        await asyncio.sleep(0)
        assert writes.sizes == [5]
        assert [(await answer).event_id for answer in answers] == ["a", "b", "c", "d", "e"]


async def test_a_full_write_begins_while_more_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(flow(), state=tmp_path) as h:
        writes = Writes(h, monkeypatch)
        answers = offered(h, happened("a"), happened("b"))
        while len(answers) < MOST_EVENTS:
            assert writes.sizes == []
            answers += offered(h, happened(str(len(answers))))
            await asyncio.sleep(0)
        assert writes.sizes == [MOST_EVENTS]
        await asyncio.wait(answers)


async def test_where_turns_are_long_a_write_does_not_wait_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    async with harness(flow(), state=tmp_path) as h:
        writes = Writes(h, monkeypatch)
        answers = offered(h, happened("a"), happened("b"))
        await asyncio.sleep(0)
        assert writes.sizes == []
        answers += offered(h, happened("c"))
        loop.jump(LONGEST_SECONDS)
        await asyncio.sleep(0)
        assert writes.sizes == [3]
        await asyncio.wait(answers)


async def test_events_that_may_wait_are_one_write_as_far_as_there_is_credit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(flow(pending=3), state=tmp_path) as h:
        writes = Writes(h, monkeypatch)
        waiting = [
            asyncio.ensure_future(h.engine.accept("s", (happened(f"e-{n}"),), {}, wait=True))
            for n in range(5)
        ]
        accepted = await asyncio.gather(*waiting)
        await h.wait_for_ends(5)
        assert h.engine.credits["flow"].used == 0
    assert writes.sizes == [3, 1, 1]
    assert [one.event_id for [one] in accepted] == [f"e-{n}" for n in range(5)]


async def test_an_event_that_moves_a_cursor_is_a_write_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(flow(), state=tmp_path) as h:
        writes = Writes(h, monkeypatch)
        cursors = [{}, {"at": b"1"}, {}]
        accepting = [
            h.engine.accept("s", (happened(f"e-{n}"),), cursor, wait=True)
            for n, cursor in enumerate(cursors)
        ]
        await asyncio.gather(*accepting)
        assert await h.engine.store.cursor("s") == {"at": b"1"}
        await h.wait_for_ends(3)
    assert sorted(writes.sizes) == [1, 2]


async def test_whoever_no_longer_waits_takes_nothing_from_the_others(tmp_path: Path) -> None:
    async with harness(flow(), state=tmp_path) as h:
        gone, there = offered(h, happened("gone"), happened("there"))
        gone.cancel()
        assert (await there).event_id == "there"
        # It is durable all the same.
        assert (await h.engine.accept_now("s", happened("gone"))).duplicate is True


async def test_a_store_that_has_stopped_fails_all_and_their_credit_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise StoreStoppedError("the disk failed")

    async with harness(flow(), state=tmp_path) as h:
        monkeypatch.setattr(h.engine.store, "accept", stopped)
        answers = offered(h, happened("1"), happened("2"))
        for answer in answers:
            with pytest.raises(StoreStoppedError):
                await answer
        assert h.engine.credits["flow"].used == 0
        assert h.engine.bytes.used == 0
        assert h.engine.scheduler.running == 0


async def test_what_was_accepted_in_the_turn_in_which_the_drain_begins_is_finished(
    tmp_path: Path,
) -> None:
    async with harness(flow(), state=tmp_path) as h:
        (answer,) = offered(h, happened("last"))
        assert await h.engine.drain(1.0) == 0
        assert answer.done()
        assert answer.result().duplicate is False


async def test_what_was_accepted_in_the_turn_of_a_reload_goes_by_the_old_definitions(
    tmp_path: Path,
) -> None:
    async with harness(flow(), state=tmp_path) as h:
        (answer,) = offered(h, happened("last"))
        h.engine.define([], {})
        assert (await answer).duplicate is False
        await h.wait_for_ends(1)


async def test_a_fault_after_the_commit_reaches_all_who_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with harness(flow(), state=tmp_path) as h:
        monkeypatch.setattr(h.engine, "moved", lambda at: 1 / 0)
        for answer in offered(h, happened("1"), happened("2")):
            with pytest.raises(ZeroDivisionError):
                await answer
