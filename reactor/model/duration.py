"""Durations as people write them in options: "250ms", "30s", "5m", "1h30m", "7d"."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w)")
LONGEST = timedelta(days=36_500)


def parse_duration(text: object) -> timedelta:
    """Return the duration that `text` spells, or raise ValueError with an example of what is expected."""
    if isinstance(text, timedelta):
        duration = text
    else:
        compact = text.replace(" ", "") if isinstance(text, str) else ""
        parts = _PART.findall(compact)
        if not parts or "".join(number + unit for number, unit in parts) != compact:
            raise ValueError(
                f'{text!r} is not a duration; write it like "250ms", "30s", "5m" or "1h30m"'
            )
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        if seconds > LONGEST.total_seconds():
            raise ValueError(f"{text!r} is longer than 100 years")
        duration = timedelta(seconds=seconds)
    if duration < timedelta(0) or duration > LONGEST:
        raise ValueError(f"{text!r} is not between zero and 100 years")
    return duration


def spell_duration(duration: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads back as `duration`."""
    micros = duration // timedelta(microseconds=1)
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
