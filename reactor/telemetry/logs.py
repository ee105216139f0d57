"""Log lines: short and coloured at a terminal, one JSON object a line for everything else.

Names, error texts and tracebacks come from outside and may be hostile. A record never takes more
lines than its layout gives it and never sends a control character: what does not print is spelled
out. Nothing is searched for secrets, because that fails quietly; payloads, headers and values of
settings are never handed to the log in the first place.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import starmap
from typing import TYPE_CHECKING, Literal

from reactor.model.duration import spell_duration
from reactor.telemetry.printable import printable

if TYPE_CHECKING:
    from typing import TextIO

LogStyle = Literal["auto", "text", "json"]

_LONGEST_TEXT = 4_000
# A hundred years; what is longer is no duration.
_LONGEST_SECONDS = 3e9
_LONGEST_TRACEBACK = 16_000
_DEEPEST = 4
_MOST_ITEMS = 100
# What every record has; anything else on one was given by its author as `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "fields"}

_RESET, _DIM, _BOLD = "\x1b[0m", "\x1b[2m", "\x1b[1m"
_COLOURS = {"DEBUG": "\x1b[36m", "INFO": "\x1b[32m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m"}
_LEVEL_WIDTH = 7
# Says each of its tries while a broker is away: forty lines a second. The sensor says it once, and why.
_TALKATIVE = frozenset({"aiokafka"})
_REPETITION_SECONDS = 60.0
_MOST_KNOWN = 1_000
_MESSAGE_WIDTH = 26


class ReactorHandler(logging.StreamHandler["TextIO"]):
    """Marks the handler that `configure_logs` installed, so that it finds it again."""


def configure_logs(
    stream: TextIO, style: LogStyle = "auto", level: int = logging.INFO
) -> ReactorHandler:
    """Send every log record of the process to `stream`, and return the handler that does.

    `auto` is text on a terminal and JSON elsewhere; text is coloured on a terminal unless NO_COLOR
    (https://no-color.org) is set. `level` is for Reactor and its steps; other libraries keep quiet
    below INFO, and talkative ones repeat a warning once a minute. May be repeated: the last call counts.
    """
    at_terminal = stream.isatty()
    handler = ReactorHandler(stream)
    handler.addFilter(Repetitions())
    if style == "json" or (style == "auto" and not at_terminal):
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter(colour=at_terminal and not os.environ.get("NO_COLOR")))
    root = logging.getLogger()
    for earlier in [known for known in root.handlers if isinstance(known, ReactorHandler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("reactor").setLevel(level)
    return handler


class Repetitions(logging.Filter):
    """Lets a warning of a talkative library through once a minute, with a count `repeated` of those it held back."""

    def __init__(self) -> None:
        super().__init__()
        # By logger and text without its arguments: when it was said, and how often it was held back since.
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or record.name.partition(".")[0] not in _TALKATIVE:
            return True
        key = record.name, str(record.msg)
        said_at, repeated = self._said.get(key, (-math.inf, 0))
        if 0 <= record.created - said_at < _REPETITION_SECONDS:
            self._said[key] = said_at, repeated + 1
            return False
        if len(self._said) >= _MOST_KNOWN:
            self._said.clear()
        self._said[key] = record.created, 0
        if repeated:
            record.repeated = repeated
        return True


class JsonFormatter(logging.Formatter):
    """One ASCII JSON object a line: time, level, logger, message; fields and exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _spell_instant(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if fields := fields_of(record):
            line["fields"] = {_json_key(name, value): value for name, value in fields.items()}
        if exception := _traceback(self, record):
            line["exception"] = exception
        # ASCII escapes everything but DEL, which is a control character all the same.
        return json.dumps(_as_json(line)).replace("\x7f", "\\u007f")


class TextFormatter(logging.Formatter):
    """`12:34:56.789 WARNING step finished   workflow=rates …`, tracebacks indented behind a bar."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        # Local time: a person compares it with the clock on the wall.
        time = datetime.fromtimestamp(record.created, UTC).astimezone()
        clock = f"{time:%H:%M:%S}.{time.microsecond // 1000:03d}"
        level = f"{record.levelname:<{_LEVEL_WIDTH}}"
        message = printable(record.getMessage(), longest=_LONGEST_TEXT)
        fields = [
            f"{self._paint(printable(name) + '=', _DIM)}{_as_text(value)}"
            for name, value in starmap(_readably, fields_of(record).items())
        ]
        padded = f"{message:<{_MESSAGE_WIDTH}}" if fields else message
        line = " ".join(
            [
                self._paint(clock, _DIM),
                self._paint(level, _COLOURS.get(record.levelname, _BOLD)),
                padded,
                *fields,
            ]
        )
        # A bar in front: a line of a traceback cannot pass for a record.
        trace = [f"    | {printable(text)}" for text in _traceback(self, record).splitlines()]
        return "\n".join([line, *trace])

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour else text


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what the author of the record gave as `extra`; a fact gives a dictionary `fields`."""
    given = vars(record)
    fields = {name: value for name, value in given.items() if name not in _OWN}
    own = given.get("fields")
    if isinstance(own, Mapping):
        fields.update((str(name), value) for name, value in own.items())
    return fields


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    text = "\n".join(parts)
    if len(text) > _LONGEST_TRACEBACK:
        # The end says what went wrong, the beginning where it started.
        half = _LONGEST_TRACEBACK // 2
        text = f"{text[:half]}\n…\n{text[-half:]}"
    return text


def _json_key(name: str, value: object) -> str:
    if isinstance(value, timedelta) and not name.endswith("_seconds"):
        return f"{name}_seconds"
    return name


def _as_json(value: object, depth: int = 0) -> object:
    """Return `value` as strict JSON can hold it: bounded, finite, and free of lone surrogates."""
    if type(value) is str:
        # Nearly all, and the checks below would take longer than the rest of a line.
        return _encodable(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return _spell_instant(value)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        items = list(value.items())[:_MOST_ITEMS]
        return {_encodable(str(key)): _as_json(item, depth + 1) for key, item in items}
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        return [_as_json(item, depth + 1) for item in value[:_MOST_ITEMS]]
    return _encodable(str(value))


def _encodable(text: str) -> str:
    if len(text) > _LONGEST_TRACEBACK + 3:
        text = text[:_LONGEST_TRACEBACK] + "…"
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def _readably(name: str, value: object) -> tuple[str, object]:
    """Return a field as a person reads it: a number of seconds is a duration."""
    if name.endswith("_seconds") and isinstance(value, float) and abs(value) < _LONGEST_SECONDS:
        return name.removesuffix("_seconds"), timedelta(seconds=value)
    return name, value


def _as_text(value: object) -> str:
    if isinstance(value, timedelta):
        return _spell_roughly(value)
    if isinstance(value, datetime):
        return _spell_instant(value)
    text = printable(str(value), longest=_LONGEST_TEXT)
    # Quoted wherever it could be taken for two fields, or for none.
    if text == "" or " " in text or '"' in text or "=" in text:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


def _spell_roughly(duration: timedelta) -> str:
    """Return the duration to three digits or so; a person does not read microseconds of an hour."""
    seconds = duration.total_seconds()
    if seconds < 0:
        return f"{seconds:.3g}s"
    if seconds < 0.001:
        return spell_duration(duration)
    if seconds < 1:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    return spell_duration(timedelta(seconds=round(seconds)))


def _spell_instant(instant: datetime) -> str:
    if instant.tzinfo is None:
        return instant.isoformat()
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
