"""Ids as people read and type them."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reactor.clock import ManualClock, SystemClock
from reactor.model.ids import parse_id, spell_id

quick = settings(max_examples=200, deadline=None)
numbers = st.integers(0, 2**63 - 1)


@quick
@given(numbers)
@example(0)
@example(2**63 - 1)
def test_what_is_spelled_is_read_back(number: int) -> None:
    assert parse_id(spell_id(number)) == number


@quick
@given(numbers, numbers)
def test_spelled_ids_sort_as_their_integers_do(one: int, other: int) -> None:
    assert (spell_id(one) < spell_id(other)) == (one < other)


@quick
@given(numbers)
def test_an_id_is_one_word_that_a_double_click_takes(number: int) -> None:
    text = spell_id(number)
    assert len(text) == 13
    assert text.isascii()
    assert text.isalnum()
    assert not set(text) & set("ilou")


@quick
@given(numbers, st.data())
def test_case_and_what_people_read_wrongly_do_not_matter(number: int, data: st.DataObject) -> None:
    readings = {"0": "0oO", "1": "1iIlL"}
    typed = "".join(
        data.draw(st.sampled_from(readings.get(character, character + character.upper())))
        for character in spell_id(number)
    )
    assert parse_id(typed) == number


@pytest.mark.parametrize("number", [-1, 2**63, 2**64])
def test_a_number_that_is_no_id_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=r"is not between 0 and 2\*\*63 - 1"):
        spell_id(number)


@pytest.mark.parametrize(
    "junk",
    ["", "0", "0" * 12, "0" * 14, "z" * 13, "8" + "0" * 12, "u" * 13, "0000-00000000", "０" * 13],
)
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        parse_id(junk)


@quick
@given(st.text(max_size=14))
def test_any_text_is_an_id_that_is_spelled_alike_or_a_value_error(text: str) -> None:
    try:
        number = parse_id(text)
    except ValueError:
        return
    plain = text.lower().translate(str.maketrans("oil", "011"))
    assert spell_id(number) == plain


def test_text_without_end_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="is not an id"):
        parse_id("z" * 1_000_000)


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()], ids=["system", "manual"])
def test_a_clock_makes_ids_that_only_grow(clock: SystemClock | ManualClock) -> None:
    made = [clock.next_id() for _ in range(1000)]
    clock.never_below(2**62)
    made += [clock.next_id() for _ in range(3)]
    assert made == sorted(set(made))
    assert made[-3] > 2**62
    assert [parse_id(spell_id(number)) for number in made] == made
