"""Durations as people write them: what is read, what is written back, what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from reactor.model.duration import LONGEST, Duration, parse_duration, spell_duration

quick = settings(max_examples=200, deadline=None)
durations = st.timedeltas(min_value=timedelta(0), max_value=LONGEST)
MICROS = {"us": 1, "ms": 10**3, "s": 10**6, "m": 6 * 10**7, "h": 36 * 10**8, "d": 864 * 10**8}


@quick
@given(durations)
def test_what_is_spelled_is_read_back_to_the_microsecond(duration: timedelta) -> None:
    assert parse_duration(spell_duration(duration)) == duration


@quick
@given(durations)
def test_a_timedelta_is_taken_as_it_is(duration: timedelta) -> None:
    assert parse_duration(duration) is duration


@quick
@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from(sorted(MICROS))), min_size=1))
def test_parts_add_up_whatever_their_order_and_spaces(parts: list[tuple[int, str]]) -> None:
    total = timedelta(microseconds=sum(count * MICROS[unit] for count, unit in parts))
    spelled = [f"{count}{unit}" for count, unit in parts][:30]
    expected = total if len(parts) <= 30 else None
    for text in ("".join(spelled), " ".join(spelled), f" {' '.join(spelled)} "):
        if expected is not None and expected <= LONGEST:
            assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("1h30m", timedelta(minutes=90)),
        ("1 h 30 m", timedelta(minutes=90)),
        ("1.5s", timedelta(milliseconds=1500)),
        ("0.1us", timedelta(0)),
        ("2w", timedelta(days=14)),
        ("0s", timedelta(0)),
        ("36500d", LONGEST),
        # A float of seconds is a microsecond off here.
        ("36499d23h59m59s999999us", LONGEST - timedelta(microseconds=1)),
    ],
)
def test_a_duration_is_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "junk",
    [
        "",
        " ",
        "s",
        "5",
        "5 apples",
        "-5s",
        "+5s",
        ".5s",
        "5.s",
        "1 0s",
        "1,5s",
        "1e3s",
        "5S",
        "٣s",
        "5s\n",
    ],
)
def test_junk_is_refused_with_an_example(junk: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write it like") as caught:
        parse_duration(junk)
    assert repr(junk) in str(caught.value)
    assert '"1h30m"' in str(caught.value)


@pytest.mark.parametrize("junk", [None, 5, 5.0, True, b"5s", ["5s"]])
def test_a_bare_number_or_another_type_is_refused(junk: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(junk)


@pytest.mark.parametrize("text", ["36501d", "9" * 150 + "w", "36500d1us"])
def test_more_than_a_hundred_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="longer than 100 years"):
        parse_duration(text)


@pytest.mark.parametrize("odd", [timedelta(microseconds=-1), LONGEST + timedelta(microseconds=1)])
def test_a_timedelta_out_of_range_is_refused(odd: timedelta) -> None:
    with pytest.raises(ValueError, match="not between zero and 100 years"):
        parse_duration(odd)


@pytest.mark.parametrize("hostile", ["9" * 100_000 + "s", "1s" * 50_000, " " * 100_000])
def test_text_without_end_is_refused_at_once(hostile: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(hostile)


@quick
@given(st.text(alphabet="0123456789.smhduw -", max_size=12))
def test_any_text_is_a_duration_in_range_or_a_value_error(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert timedelta(0) <= duration <= LONGEST


class Options(BaseModel):
    pause: Duration = timedelta(seconds=1)


def test_an_option_is_read_and_written_as_text() -> None:
    options = Options.model_validate({"pause": "90s"})
    assert options.pause == timedelta(seconds=90)
    assert options.model_dump() == {"pause": "1m30s"}


def test_a_wrong_option_is_a_validation_error() -> None:
    with pytest.raises(ValidationError, match="is not a duration"):
        Options.model_validate({"pause": 90})
