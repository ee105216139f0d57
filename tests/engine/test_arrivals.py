"""Which events of a call become blocks, and that a block is the same events as their rows."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor import Event
from reactor.engine.arrivals import LARGEST_BLOCK_BYTES, SMALLEST_BLOCK, Arrivals
from reactor.store.sqlite.blocks import rows_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MANY = range(100, 100 + SMALLEST_BLOCK)


def arrivals(*ids: str, source: str = "s") -> Arrivals:
    """Return events of these ids that nobody listens to, with numbers as data."""
    return Arrivals.of([event(each, number, source) for number, each in enumerate(ids)], ())


def event(id: str, data: int = 1, source: str = "s", subject: str | None = None) -> Event[int]:  # noqa: A002  # its name
    return Event(id=id, source=source, type="t", time=NOON, data=data, subject=subject)


def sizes(*ids: str) -> list[int]:
    """Return how many events are in each block."""
    return [len(block.numbers) for block in arrivals(*ids).blocks(1, "sensor", 5, "[]")]


def test_events_of_a_series_are_a_block() -> None:
    (block,) = arrivals(*[f"t/0/{n}" for n in MANY]).blocks(7, "sensor", 5, "[]")
    assert (block.first, block.series, [*block.numbers]) == (7, "t/0/", [*MANY])
    assert [*block.data] == [b"%d" % n for n in range(SMALLEST_BLOCK)]


def test_series_that_come_one_after_the_other_are_a_block_each() -> None:
    assert sizes(*[f"{name}/{n}" for name in "ab" for n in MANY]) == [SMALLEST_BLOCK] * 2


def test_numbers_of_more_digits_begin_a_block() -> None:
    assert sizes(*[f"e{n}" for n in range(100 - 20, 100 + 20)]) == [20, 20]


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param([f"e{n}" for n in MANY[1:]], id="too few"),
        pytest.param([f"{'ab'[n % 2]}{n}" for n in chain(MANY, MANY)], id="series by turns"),
        pytest.param([f"e{n}" for n in reversed(MANY)], id="falling"),
        pytest.param(["e100", *[f"e{n}" for n in MANY]], id="twice the same"),
        pytest.param([f"{n}e" for n in MANY], id="no number at the end"),
        pytest.param([f"e0{n}" for n in MANY], id="zeros in front"),
        pytest.param([f"e{10**18 + n}" for n in MANY], id="too many digits"),
        pytest.param([f"e{n}\u0663" for n in MANY], id="digits of another script"),
        pytest.param([], id="none"),
    ],
)
def test_what_is_no_series_is_no_block(ids: list[str]) -> None:
    assert sizes(*ids) == []


def test_what_is_too_much_to_be_read_for_one_event_is_no_block() -> None:
    for spare in (0, -1):
        size_bytes = LARGEST_BLOCK_BYTES // len(MANY) - spare
        made = Arrivals.of([event(f"e{n}") for n in MANY], (), [b"1" * size_bytes] * len(MANY))
        assert len(made.blocks(1, "sensor", 5, "[]")) == 1 + spare


def test_of_another_source_or_type_is_of_another_block() -> None:
    events = [event(f"e{n}", source="ab"[n >= MANY[0] + 20]) for n in range(100, 140)]
    assert len(Arrivals.of(events, ()).blocks(1, "sensor", 5, "[]")) == 2


@given(
    st.lists(st.integers(100, 999), min_size=SMALLEST_BLOCK, unique=True).map(sorted),
    st.lists(st.none() | st.text(), min_size=1),
)
def test_a_block_is_the_events_of_its_rows(numbers: list[int], subjects: list[str | None]) -> None:
    made = Arrivals.of(
        [
            event(f"e{number}", number, subject=subjects[number % len(subjects)])
            for number in numbers
        ],
        (),
    )
    (block,) = made.blocks(3, "sensor", 5, "[]")
    assert rows_of(block) == made.rows(3, "sensor", 5, ["[]"] * len(numbers))


def test_behind_a_gap_the_same_block_goes_on() -> None:
    assert sizes(*[f"e{n}" for n in (*MANY, *[n + 500 for n in MANY])]) == [2 * SMALLEST_BLOCK]


@st.composite
def spans(draw: st.DrawFn) -> list[str]:
    """Return ids of some series, each of some numbers without a gap."""
    ids: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        series = draw(st.sampled_from(["t/0/", "t/1/", "%d{}", ""]))
        first = draw(st.integers(0, 120) | st.sampled_from([10**17, 10**18 - 20]))
        ids += [f"{series}{n}" for n in range(first, first + draw(st.integers(1, 40)))]
    return ids


@given(spans())
def test_whichever_way_they_are_found_blocks_are_the_same(ids: list[str]) -> None:
    """The quick way leaves to the other what is not for it."""
    made = arrivals(*ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Arrivals, "_with_few_gaps", lambda _: None)
        expected = made.blocks(7, "sensor", 5, "[]")
    found = made.blocks(7, "sensor", 5, "[]")
    assert [(b.first, b.series, [*b.numbers], b.data) for b in found] == [
        (b.first, b.series, [*b.numbers], b.data) for b in expected
    ]


def test_json_at_hand_is_taken_as_it_is() -> None:
    made = Arrivals.of([event("e", 1)], (), [b" 1 "])
    assert [row.data for row in made.rows(1, "sensor", 5, ["[]"])] == [b" 1 "]
