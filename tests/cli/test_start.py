"""`reactor run`: both ways to it are one, and a start loads and builds no more than it needs."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from reactor.cli import main, start
from reactor.cli.application import application
from reactor.errors import SettingsError
from reactor.testing.process import TELL, DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WORDS = st.sampled_from(
    [
        "a.py",
        "flows",
        "",
        " ",
        "8080",
        ":0",
        "10s",
        "-",
        "--",
        "-h",
        "--help",
        "-x",
        "--x",
        "é",
        "a=b",
    ]
) | st.sampled_from([f"--{name}" for name in start.OPTIONS])
LINES = st.lists(WORDS, max_size=6)


def by_the_command(arguments: Sequence[str]) -> Mapping[str, Any] | None:
    """Return what the command itself hands on, without what was not given; None where it refuses or explains."""
    from reactor.cli import run

    handed: list[Mapping[str, Any]] = []

    def note(flags: Mapping[str, Any]) -> int:
        handed.append({name: value for name, value in flags.items() if value is not None})
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "start", note)
        try:
            application(["run"])(
                args=["run", *arguments], prog_name="reactor", standalone_mode=False
            )
        except Exception:
            return None
    return handed[0] if handed else None


@given(LINES)
def test_a_plain_command_line_means_what_the_command_takes_it_for(arguments: list[str]) -> None:
    flags = start.plain_flags(arguments)
    if flags is not None:
        plain = {name: value for name, value in flags.items() if value is not None}
        assert plain == by_the_command(arguments)


def test_every_option_of_the_command_is_known() -> None:
    command = typer.main.get_command(application(["run"]))
    run = command.commands["run"]  # type: ignore[attr-defined]  # a group: it has one command
    names = {name for parameter in run.params for name in parameter.opts if name.startswith("--")}
    assert names - {"--help"} == {f"--{name}" for name in start.OPTIONS}


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.py", "--state"],
        ["--state", "--hooks"],
        ["--state=x"],
        ["-h"],
        ["--no-such", "x"],
        ["--"],
    ],
)
def test_anything_else_is_left_to_the_command(arguments: list[str]) -> None:
    assert start.plain_flags(arguments) is None


def test_the_collector_works_again_after_a_start_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--drain", "soon"])
    assert ended.value.code == 2
    assert "drain" in capsys.readouterr().err
    assert gc.isenabled()


def test_what_a_setting_cannot_be_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        start.start({"paths": (tmp_path,), "config": tmp_path / "reactor.toml"})


# Each costs every start of a daemon milliseconds and megabytes, and a project of files needs none of them.
UNWANTED = {
    "aiokafka": "of the sensor Kafka",
    "anyio._backends._asyncio": "of steps in threads and processes, and of HTTP clients",
    "anyio.to_process": "of steps in processes",
    "confluent_kafka": "of the demo",
    "cronsim": "of the sensors of clocks",
    "fastavro": "of Kafka records in Avro",
    "httpx": "of commands that talk to a daemon",
    "jinja2": "of pages, which the daemon has none of",
    "jsonschema": "of Kafka records in JSON",
    "pydantic_settings": "of settings from files and the environment, which are read without",
    "reactor.cli.application": "of command lines that need more than reading",
    "reactor.testing": "of tests",
    "reactor_handlers": "of the handler kafka.produce",
    "reactor_sensors.kafka": "a sensor that the project does not use",
    "reactor_sensors.timers": "a sensor that the project does not use",
    "reactor_sensors.webhook": "a sensor that the project does not use",
    "rich": "of commands that print tables",
    "typer": "of command lines that need more than reading",
}
PROJECT = f"""\
{TELL}
import gc, json, sys
from reactor import Event, Workflow
from reactor_sensors import FileArrived, Files

arrivals = Workflow("arrivals", on=Files("inbox/*.dat"))

@arrivals.step
async def look(event: Event[FileArrived]) -> None:
    unwanted = {sorted(UNWANTED)}
    tell(json.dumps([[name for name in unwanted if name in sys.modules], gc.isenabled()]))
    tell("all")
"""


@pytest.mark.real_time
def test_a_daemon_that_watches_files_imports_nothing_that_only_others_need(tmp_path: Path) -> None:
    project = tmp_path / "arrivals.py"
    project.write_text(PROJECT, encoding="utf-8")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    with DaemonProcess(project, state=tmp_path / "state", directory=tmp_path) as daemon:
        (tmp_path / "draft").write_text("x")
        (tmp_path / "draft").rename(inbox / "a.dat")
        daemon.wait_until_told("all")
        imported, collects = json.loads(daemon.told_so_far()[0])
    assert imported == []
    assert collects
