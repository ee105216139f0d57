"""Durations as people write them in options: "250ms", "30s", "5m", "1h30m", "7d"."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

# In microseconds, and decimal below: floats of seconds cannot tell the microseconds of a few years apart.
_UNITS = {
    "us": 1,
    "ms": 1000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(us|ms|s|m|h|d|w) *")
_LONGEST_TEXT = 200
LONGEST = timedelta(days=36_500)
_MICROSECOND = timedelta(microseconds=1)


def parse_duration(text: object) -> timedelta:
    """Return the duration that `text` spells, or raise ValueError with an example of what is expected."""
    if isinstance(text, timedelta):
        duration = text
    else:
        spelled = text.strip(" ") if isinstance(text, str) and len(text) <= _LONGEST_TEXT else ""
        if not spelled or _PART.sub("", spelled):
            raise ValueError(
                f'{text!r} is not a duration; write it like "250ms", "30s", "5m" or "1h30m"'
            )
        micros = sum(Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(spelled))
        if micros > LONGEST // _MICROSECOND:
            raise ValueError(f"{text!r} is longer than 100 years")
        duration = timedelta(microseconds=round(micros))
    if duration < timedelta(0) or duration > LONGEST:
        raise ValueError(f"{text!r} is not between zero and 100 years")
    return duration


def spell_duration(duration: timedelta) -> str:
    """Return a short text that `parse_duration` reads back as `duration`."""
    micros = duration // _MICROSECOND
    if micros == 0:
        return "0s"
    spelled = []
    for unit, size in (
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1000),
    ):
        count, micros = divmod(micros, size)
        if count:
            spelled.append(f"{count}{unit}")
    if micros:
        spelled.append(f"{micros}us")
    return "".join(spelled)


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(spell_duration, return_type=str)
]
