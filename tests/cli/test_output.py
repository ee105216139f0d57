"""How times, counts and listings are spelled."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from reactor.cli.listing import Listing
from reactor.cli.output import count, exit_code, one_line, shorten, spell_span
from reactor.errors import (
    DefinitionError,
    ReactorError,
    SchemaError,
    SettingsError,
    StateInUseError,
)


@pytest.mark.parametrize(
    ("micros", "spelled"),
    [
        (0, "0 µs"),
        (950, "950 µs"),
        (12_345, "12.3 ms"),
        (999_400, "999 ms"),
        (1_000_000, "1 s"),
        (59_900_000, "59.9 s"),
        (61_000_000, "1 m 1 s"),
        (3_720_000_000, "1 h 2 m"),
        (90_000_000_000, "1 d 1 h"),
        (-5, "0 µs"),
        (None, ""),
    ],
)
def test_a_length_of_time_is_spelled_with_its_unit(micros: int | None, spelled: str) -> None:
    assert spell_span(micros) == spelled


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ReactorError(), 1),
        (SettingsError(), 2),
        (StateInUseError(), 3),
        (DefinitionError(), 4),
        (SchemaError(), 5),
    ],
)
def test_each_error_has_the_documented_exit_code(error: ReactorError, code: int) -> None:
    assert exit_code(error) == code


def test_counts_have_their_plural() -> None:
    assert [count(number, "run") for number in (0, 1, 1000)] == ["0 runs", "1 run", "1,000 runs"]


def test_a_message_is_one_line_without_control_characters() -> None:
    assert one_line("two\nlines \x1b[31m") == "two lines \\x1b[31m"


def test_bytes_that_are_no_text_are_shown() -> None:
    assert shorten(b"\xff\x00") == "\\xff\\x00"
    assert shorten(b"a" * 500, 10) == "a" * 9 + "…"


def test_only_flexible_columns_give_way_in_a_narrow_terminal() -> None:
    rows = Listing("id", "data", flexible=["data"])
    rows.add("0123456789abc", "d" * 100)
    out = io.StringIO()
    rows.print(Console(file=out, width=40))
    lines = out.getvalue().splitlines()
    assert lines[2].split() == ["0123456789abc", "d" * 24 + "…"]
    assert all(len(line) <= 40 for line in lines)
