"""What the command line says of itself, of wrong commands and options, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from reactor.cli import application, main
from reactor.cli.output import message_lines
from reactor.cli.usage import UsageError
from reactor.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., Any]


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["evnts"], "no command 'evnts'; did you mean 'events'? See reactor --help"),
            (["qqq"], "no command 'qqq'; known: audit, check, dead, demo, emit, events, "),
            (
                ["events", "--limti", "3"],
                "no option '--limti'; did you mean '--limit'? See reactor events --help",
            ),
            (["runs", "--qqq"], "no option '--qqq'; see reactor runs --help"),
            (["--verison"], "no option '--verison' in front of a command; did you mean '--ver"),
            (["show"], "missing argument 'RUN'; see reactor show --help"),
            (["emit", "--sensor", "x"], "missing option '--data'; see reactor emit --help"),
            (["audit", "x"], "got unexpected extra argument"),
            (["runs", "--outcome", "done"], "invalid value for '--outcome': 'done' is not one of"),
        ],
    )
    def test_a_wrong_command_line_is_one_line_that_says_what_to_do(
        self, call: Call, arguments: list[str], message: str
    ) -> None:
        answer = call(*arguments)
        assert answer.code == 2
        assert answer.out == ""
        assert answer.err.startswith(f"reactor: {message}")
        assert answer.err.count("\n") == 1

    def test_a_wrong_command_line_has_a_document_too(self, call: Call) -> None:
        answer = call("events", "--json", "--limti", "3")
        assert answer.code == 2
        assert answer.document["error"].startswith("no option '--limti'; did you mean '--limit'?")

    def test_a_command_cannot_drive_the_terminal_by_its_name(self, call: Call) -> None:
        assert "\x1b" not in call("\x1b[31mevents").err
        assert "\x1b" not in call("events", "--\x1b[31m").err

    def test_what_typer_raises_for_a_wrong_command_line_is_known(self) -> None:
        assert UsageError.__name__ == "UsageError"
        assert issubclass(typer.BadParameter, UsageError)


class TestHelp:
    def test_without_a_command_the_help_is_printed(self, call: Call) -> None:
        answer = call()
        assert answer.code == 0
        assert answer.out == call("--help").out == call("-h").out

    def test_the_help_names_every_command_with_what_it_is_for(self, call: Call) -> None:
        lines = call("--help").out.splitlines()
        for name in application.COMMANDS:
            (line,) = [line for line in lines if line.startswith(f"  {name} ")]
            assert len(line.split()) > 2

    @pytest.mark.parametrize("name", [name for name in application.COMMANDS if name != "demo"])
    def test_the_help_of_a_command_is_not_cut_in_the_list(self, call: Call, name: str) -> None:
        lines = call("--help").out.splitlines()
        assert not any(line.startswith(f"  {name} ") and line.endswith("...") for line in lines)

    @pytest.mark.parametrize("name", [*application.COMMANDS])
    def test_every_command_has_help(self, call: Call, name: str) -> None:
        answer = call(name, "--help")
        assert answer.code == 0
        assert answer.out.startswith(f"Usage: reactor {name} ")

    def test_defaults_are_shown(self, call: Call) -> None:
        out = " ".join(call("run", "--help").out.split())
        assert "[default: .reactor]" in out
        assert "[default: 127.0.0.1:8081]" in out

    def test_the_version_is_that_of_the_installed_package(self, call: Call) -> None:
        from importlib.metadata import version

        assert call("--version").out == f"reactor {version('reactor')}\n"


class TestEnd:
    def test_each_fault_of_a_project_has_its_line(self) -> None:
        error = DefinitionError("a.py:1: one \x1b[0m\nb.py:2: two")
        assert message_lines(error) == ["a.py:1: one \\x1b[0m", "b.py:2: two"]

    def test_an_interrupt_ends_with_its_own_code(
        self, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("reactor.cli.events.state_directory", interrupted)
        answer = call("events")
        assert (answer.code, answer.err) == (130, "")

    def test_run_says_what_is_wrong_with_its_settings(self, call: Call) -> None:
        answer = call("run", "flow.py", "--drain", "soon")
        assert answer.code == 2
        assert answer.err.startswith("reactor: settings: drain: 'soon' is not a duration")


@pytest.mark.real_time
class TestProcess:
    def test_a_reader_that_has_enough_ends_it_without_a_trace(self, state: Path) -> None:
        script = "import os, sys; os.close(0)"
        reader = subprocess.Popen(
            [sys.executable, "-S", "-c", script], stdin=subprocess.PIPE, close_fds=True
        )
        assert reader.stdin is not None
        reader.wait()
        with reader.stdin:
            ended = subprocess.run(
                [sys.executable, "-m", "reactor", "runs", "--state", str(state)],
                stdout=reader.stdin,
                stderr=subprocess.PIPE,
                check=False,
            )
        assert (ended.returncode, ended.stderr) == (1, b"")

    @pytest.mark.parametrize("style", [[], ["--json"]])
    def test_an_answer_that_cannot_be_written_is_said_to_be_so(
        self, state: Path, style: list[str]
    ) -> None:
        full = Path("/dev/full")
        if not full.exists():
            pytest.skip("there is no /dev/full on this system")
        with full.open("wb") as out:
            ended = subprocess.run(
                [sys.executable, "-m", "reactor", "runs", "--state", str(state), *style],
                stdout=out,
                stderr=subprocess.PIPE,
                check=False,
            )
        said = b"reactor: the answer cannot be written: No space left on device\n"
        assert (ended.returncode, ended.stderr) == (1, said)

    @pytest.mark.parametrize(
        "command", [["--help"], ["run", "--help"], ["audit", "--json", "--state", "STATE"]]
    )
    def test_what_prints_no_table_does_not_wait_for_rich(
        self, state: Path, command: list[str]
    ) -> None:
        arguments = [str(state) if word == "STATE" else word for word in command]
        script = (
            "import sys\n"
            "from reactor.cli import main\n"
            "try:\n"
            f"    main({arguments!r})\n"
            "finally:\n"
            "    print([name for name in sys.modules if name.partition('.')[0] == 'rich'],"
            " file=sys.stderr)\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, check=True, text=True
        )
        assert ended.stderr == "[]\n"
        if "--json" in arguments:
            assert json.loads(ended.stdout)["balanced"]


def test_main_takes_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reactor", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("reactor ")
