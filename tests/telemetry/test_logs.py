"""Log lines: for people, for machines, and against hostile names."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.telemetry import configure_logs, printable
from reactor.telemetry.logs import (
    JsonFormatter,
    LogStyle,
    ReactorHandler,
    Repetitions,
    TextFormatter,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE = 'a\n{"level":"ERROR"}\r\x1b[2J\x07\x7f\x9b31m\u2028\u202e\udcff"'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, log = logging.getLogger(), logging.getLogger("reactor")
    levels = root.level, log.level
    yield
    for handler in [known for known in root.handlers if isinstance(known, ReactorHandler)]:
        root.removeHandler(handler)
    root.setLevel(levels[0])
    log.setLevel(levels[1])


def record(message: str = "step finished", **extra: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "reactor", "levelname": "INFO", "msg": message, **extra})
    made.created = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC).timestamp()
    return made


def test_a_json_line_holds_time_level_logger_message_and_fields() -> None:
    fields = {
        "step": "load",
        "duration": timedelta(milliseconds=20),
        "due_at": datetime(2026, 1, 1, tzinfo=UTC),
        "ratio": float("nan"),
        "rows": [1, None, True],
    }
    assert json.loads(JsonFormatter().format(record(fields=fields))) == {
        "time": "2026-01-01T12:00:00.250000Z",
        "level": "INFO",
        "logger": "reactor",
        "message": "step finished",
        "fields": {
            "step": "load",
            "duration_seconds": 0.02,
            "due_at": "2026-01-01T00:00:00.000000Z",
            "ratio": "nan",
            "rows": [1, None, True],
        },
    }


def test_what_an_author_gives_as_extra_is_a_field_too() -> None:
    line = json.loads(JsonFormatter().format(record(rows=7, fields={"step": "load"})))
    assert line["fields"] == {"rows": 7, "step": "load"}


def test_an_exception_is_one_member_of_the_json_line() -> None:
    line = JsonFormatter().format(failed_record("bad\nworse"))
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ValueError: bad\nworse")


def test_a_text_line_is_short_and_aligned() -> None:
    text = TextFormatter(colour=False).format(
        record(fields={"step": "load", "duration_seconds": 0.0204, "error": "no row"})
    )
    assert text[12:] == (
        ' INFO    step finished              step=load duration=20.4ms error="no row"'
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.5, "age=500ms"), (float("inf"), "age_seconds=inf"), (float("nan"), "age_seconds=nan")],
)
def test_seconds_are_spelled_as_a_duration_where_they_are_one(value: float, said: str) -> None:
    text = TextFormatter(colour=False).format(record(fields={"age_seconds": value}))
    assert text.endswith(said)


def talk(
    filtering: Repetitions, second: float, message: str = "no node %s", **given: Any
) -> logging.LogRecord | None:
    said = record(message, **{"name": "aiokafka.client", "levelno": logging.ERROR, **given})
    said.created = second
    return said if filtering.filter(said) else None


def test_a_talkative_library_repeats_a_warning_once_a_minute_and_how_often_it_was() -> None:
    filtering = Repetitions()
    let_through = [second for second in range(0, 140, 10) if talk(filtering, second)]
    assert let_through == [0, 60, 120]
    said = talk(filtering, 180)
    assert said is not None
    line = json.loads(JsonFormatter().format(said))
    assert (line["message"], line["fields"]) == ("no node %s", {"repeated": 1})


def test_what_is_no_repetition_is_never_held_back() -> None:
    filtering = Repetitions()
    assert talk(filtering, 0)
    assert talk(filtering, 1, "another")
    assert talk(filtering, 1, name="aiokafka")
    assert talk(filtering, 1, levelno=logging.INFO)
    assert talk(filtering, 1, levelno=logging.INFO)
    for name in ("project", "aiokafkaish", "reactor.sensor"):
        assert talk(filtering, 1, name=name)
        assert talk(filtering, 1, name=name)
    # The clock was set back.
    assert talk(filtering, -1)


def test_few_texts_are_kept_however_many_there_are() -> None:
    filtering = Repetitions()
    for number in range(5_000):
        assert talk(filtering, 0, f"no node {number}")
    assert len(filtering._said) <= 1_000


def test_the_log_of_the_process_holds_repetitions_back() -> None:
    stream = io.StringIO()
    configure_logs(stream)
    for number in range(3):
        logging.getLogger("aiokafka.client").error("no node %d", number)
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["no node 0"]


def test_a_traceback_in_text_stands_behind_a_bar() -> None:
    first, *rest = (
        TextFormatter(colour=False).format(failed_record("bad\n12:00 ERROR")).splitlines()
    )
    assert "step finished" in first
    assert rest
    assert all(line.startswith("    | ") for line in rest)


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter(colour=False)])
def test_hostile_text_stays_on_its_line_and_sends_no_terminal_sequence(
    formatter: logging.Formatter,
) -> None:
    line = formatter.format(record(HOSTILE, fields={"path": HOSTILE, HOSTILE: [HOSTILE]}))
    assert line.isprintable()
    line.encode()


@given(st.text(st.characters(codec=None)), st.none() | st.integers(2, 50))
def test_printable_text_prints_encodes_and_is_no_longer_than_asked(
    text: str, longest: int | None
) -> None:
    shown = printable(text, longest=longest)
    assert shown.isprintable()
    shown.encode()
    assert longest is None or len(shown) <= longest
    assert longest is not None or not text.isprintable() or shown == text


@given(st.dictionaries(st.text(st.characters(codec=None)), st.text(st.characters(codec=None))))
def test_any_fields_make_one_strict_json_line(fields: dict[str, str]) -> None:
    line = JsonFormatter().format(record(fields=fields))
    assert "\n" not in line
    assert line.isascii()
    json.loads(line, parse_constant=pytest.fail)


def test_huge_text_is_cut() -> None:
    for formatter in (JsonFormatter(), TextFormatter(colour=False)):
        assert len(formatter.format(record(fields={"error": "x" * 1_000_000}))) < 20_000


@pytest.mark.parametrize(
    ("stream", "style", "is_json", "is_coloured"),
    [
        (io.StringIO, "auto", True, False),
        (io.StringIO, "text", False, False),
        (Terminal, "auto", False, True),
        (Terminal, "json", True, False),
    ],
)
def test_the_style_follows_the_stream_unless_it_is_given(
    stream: type[io.StringIO],
    style: LogStyle,
    is_json: bool,
    is_coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    written = stream()
    configure_logs(written, style)
    logging.getLogger("reactor").info("daemon ready")
    line = written.getvalue()
    assert line.startswith("{") == is_json
    assert ("\x1b[" in line) == is_coloured


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    written = Terminal()
    configure_logs(written)
    logging.getLogger("reactor").info("daemon ready")
    assert "\x1b" not in written.getvalue()


def test_configuring_again_replaces_the_first_handler() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logs(first)
    configure_logs(second)
    logging.getLogger("reactor").info("daemon ready")
    assert first.getvalue() == ""
    assert second.getvalue().count("daemon ready") == 1


def test_debug_is_for_reactor_alone() -> None:
    written = io.StringIO()
    configure_logs(written, level=logging.DEBUG)
    logging.getLogger("reactor.sensor.x").debug("ours")
    logging.getLogger("someone.else").debug("theirs")
    assert "ours" in written.getvalue()
    assert "theirs" not in written.getvalue()


def failed_record(message: str) -> logging.LogRecord:
    try:
        raise ValueError(message)
    except ValueError as error:
        return record(exc_info=(type(error), error, error.__traceback__))
