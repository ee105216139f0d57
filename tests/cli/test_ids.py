"""The spelling of ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.model.ids import parse_id, spell_id

IDS = st.integers(min_value=0, max_value=2**63 - 1)


@given(IDS)
def test_a_spelled_id_is_read_back(number: int) -> None:
    assert parse_id(spell_id(number)) == number


@given(IDS, IDS)
def test_spelled_ids_sort_like_their_numbers(one: int, other: int) -> None:
    assert (one < other) == (spell_id(one) < spell_id(other))


def test_an_id_has_thirteen_characters() -> None:
    assert spell_id(0) == "0000000000000"
    assert spell_id(2**63 - 1) == "7zzzzzzzzzzzz"


def test_what_people_read_wrongly_is_understood() -> None:
    assert parse_id("000000000oO1l") == parse_id("0000000000011")
    assert parse_id("7ZZZZZZZZZZZZ") == 2**63 - 1


@pytest.mark.parametrize(
    "text", ["", "1", "8000000000000", "000000000000u", "00000000000000", "é" * 13]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        parse_id(text)


@pytest.mark.parametrize("number", [-1, 2**63])
def test_numbers_that_are_no_ids_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="is not between"):
        spell_id(number)
