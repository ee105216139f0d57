"""What commands print: for people on a terminal, as one JSON document for programs.

Rich is imported where something is made for people: help, `--json` and `reactor run` do without.
"""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC
from typing import TYPE_CHECKING, Any

from reactor.clock import from_micros
from reactor.errors import (
    DefinitionError,
    ReactorError,
    SettingsError,
    StateInUseError,
    StoreError,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NO, USAGE, IN_USE, FAULTS, STORE = range(1, 6)
# Where output goes to a file or another program there is no width; nothing is cut.
PIPE_WIDTH = 1_000_000
SHORT = 72
STYLES = {
    "succeeded": "green",
    "fired": "green",
    "failed": "red",
    "timed_out": "red",
    "dead": "bold red",
    "refused": "yellow",
    "cancelled": "yellow",
    "skipped": "yellow",
    "running": "cyan",
    "waiting": "cyan",
    "pending": "dim",
    "not begun": "dim",
}


class NotFoundError(ReactorError):
    """There is nothing of that name or id. Exit code 1."""


def exit_code(error: ReactorError) -> int:
    """Return the documented exit code of an error."""
    for kind, code in (
        (StateInUseError, IN_USE),
        (SettingsError, USAGE),
        (DefinitionError, FAULTS),
        (StoreError, STORE),
    ):
        if isinstance(error, kind):
            return code
    return NO


def printable(value: str, *, longest: int | None = None) -> str:
    """Return `value` with everything that does not print spelled out; see the function it calls."""
    # Its package brings the metrics along, which `reactor --help` should not wait for.
    from reactor.telemetry.printable import printable as spell

    return spell(value, longest=longest)


def console() -> Console:
    """Return where results are printed: no markup, no highlighting, no emoji in data."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    return Console(
        width=None if is_terminal else PIPE_WIDTH,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=not is_terminal,
    )


def print_json(document: Any) -> None:
    """Print the one document of `--json`; undecodable text is escaped, so it always encodes."""
    print(json.dumps(document, indent=2, ensure_ascii=True))


def text(value: object, style: str = "") -> Text:
    """Return `value` as text of one line without control characters."""
    from rich.text import Text

    return Text(printable(str(value)), style=style or STYLES.get(str(value), ""))


def line(*parts: tuple[object, str]) -> Text:
    """Return one line made of values and their styles, without control characters."""
    from rich.text import Text

    return Text.assemble(*((printable(str(value)), style) for value, style in parts))


def message_lines(error: ReactorError) -> list[str]:
    """Return an error fit for a terminal: one line, or one for each fault of a project."""
    if isinstance(error, DefinitionError):
        return [printable(line) for line in str(error).split("\n")]
    return [one_line(str(error))]


def one_line(message: str) -> str:
    """Return a message made fit for one line of a terminal."""
    return printable(" ".join(message.split("\n")))


def shorten(raw: bytes | None, longest: int = SHORT) -> str:
    """Return JSON, or whatever the bytes are, in at most `longest` printable characters."""
    if raw is None:
        return ""
    return printable(raw[: longest * 4].decode("utf-8", "backslashreplace"), longest=longest)


def as_json(raw: bytes | None) -> Any:
    """Return the value that stored JSON spells, as it is where it spells none."""
    if raw is None:
        return None
    try:
        return json.loads(raw, parse_float=_finite, parse_constant=str)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "backslashreplace")


def _finite(digits: str) -> float | str:
    """Return a number, or its digits where a document could only hold them as Infinity."""
    number = float(digits)
    return number if math.isfinite(number) else digits


def spell_instant(micros: int | None) -> str:
    """Return an instant for people: local time to the second."""
    if micros is None:
        return ""
    return from_micros(micros).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short_instant(micros: int, now: int) -> str:
    """Return an instant for lists: local time to the second, without the year if it is this one."""
    spelled = spell_instant(micros)
    year = spell_instant(now)[:5]
    return spelled.removeprefix(year)


def iso_instant(micros: int | None) -> str | None:
    """Return an instant for programs: ISO 8601 in UTC to the microsecond."""
    if micros is None:
        return None
    return from_micros(micros).astimezone(UTC).isoformat(timespec="microseconds")


def spell_span(micros: int | None) -> str:
    """Return a length of time with three digits: 950 µs, 12.3 ms, 4.56 s, 12 m 5 s, 3 h 2 m."""
    if micros is None:
        return ""
    micros = max(micros, 0)
    for unit, size in (("µs", 1), ("ms", 1000), ("s", 1_000_000)):
        if micros < size * 1000 and (unit != "s" or micros < 60 * size):
            return f"{micros / size:.3g} {unit}"
    seconds = micros // 1_000_000
    for unit, size, smaller, part in (("d", 86_400, "h", 3600), ("h", 3600, "m", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // part} {smaller}"
    return f"{seconds // 60} m {seconds % 60} s"


def count(number: int, noun: str) -> str:
    """Return "1 run", "2 runs", "1,000 runs"."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"
