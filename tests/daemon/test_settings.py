"""Settings: what goes before what, what a mistake says, and that the document names them all."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reactor.daemon.settings import PREFIX, Settings, load_settings, split_address
from reactor.errors import SettingsError
from reactor.model.duration import spell_duration

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
NAMES = sorted(Settings.model_fields)
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (?:`([^`]+)`|) \| (.*?) \| (.+?) \|$", re.MULTILINE)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working directory, and no setting in the environment."""
    for variable in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "reactor.toml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_the_defaults_hold() -> None:
    settings = load_settings({})
    assert settings == Settings()
    assert settings.state == Path(".reactor")
    assert settings.drain == timedelta(seconds=20)


def test_the_file_goes_before_the_defaults() -> None:
    write('threads = 3\nstate = "there"\npaths = ["a.py", "b"]\ndrain = "1m"')
    settings = load_settings({})
    assert (settings.threads, settings.state) == (3, Path("there"))
    assert settings.paths == (Path("a.py"), Path("b"))
    assert settings.drain == timedelta(minutes=1)


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("threads = 3\nprocesses = 2")
    monkeypatch.setenv("REACTOR_THREADS", "5")
    settings = load_settings({})
    assert (settings.threads, settings.processes) == (5, 2)


def test_a_flag_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    write('drain = "3s"')
    monkeypatch.setenv("REACTOR_DRAIN", "5s")
    assert load_settings({"drain": "7s"}).drain == timedelta(seconds=7)


def test_a_flag_that_was_not_given_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACTOR_DRAIN", "5s")
    assert load_settings({"drain": None, "state": None}).drain == timedelta(seconds=5)


def test_paths_in_the_environment_are_separated_as_those_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REACTOR_PATHS", os.pathsep.join(["a.py", "b c"]))
    assert load_settings({}).paths == (Path("a.py"), Path("b c"))


def test_a_file_that_is_named_is_read_instead_of_the_usual_one() -> None:
    write("threads = 3")
    other = write("processes = 2", "other.toml")
    settings = load_settings({}, file=other)
    assert (settings.threads, settings.processes) == (Settings().threads, 2)


def test_a_file_that_is_named_must_exist() -> None:
    with pytest.raises(SettingsError, match=r"missing\.toml cannot be read: No such file"):
        load_settings({}, file=Path("missing.toml"))


def test_a_folder_is_no_settings_file() -> None:
    Path("reactor.toml").mkdir()
    with pytest.raises(SettingsError, match=r"reactor\.toml cannot be read: Is a directory"):
        load_settings({})


@pytest.mark.parametrize("text", ["threads", "threads = ", "[", "a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_named_with_the_place(text: str) -> None:
    write(text)
    with pytest.raises(
        SettingsError, match=r"reactor\.toml is not TOML: .*\(at (line \d|end of document)"
    ):
        load_settings({})


def test_a_file_that_is_no_utf8_is_named() -> None:
    Path("reactor.toml").write_bytes(b'state = "\xff"')
    with pytest.raises(SettingsError, match=r"reactor\.toml is not TOML"):
        load_settings({})


def test_an_unknown_name_in_the_file_gets_the_nearest() -> None:
    write("thread = 3")
    with pytest.raises(
        SettingsError, match=r"reactor\.toml: unknown setting 'thread'; did you mean 'threads'\?"
    ):
        load_settings({})


def test_a_table_in_the_file_is_an_unknown_name() -> None:
    write("[reactor]\nthreads = 3")
    with pytest.raises(SettingsError, match=r"unknown setting 'reactor'; "):
        load_settings({})


def test_an_unknown_variable_gets_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACTOR_DRIAN", "5s")
    with pytest.raises(
        SettingsError, match="REACTOR_DRIAN in the environment; did you mean 'REACTOR_DRAIN'"
    ):
        load_settings({})


@pytest.mark.parametrize("variable", ["REACTOR_STATE", "REACTOR_PATHS", "REACTOR_DRAIN"])
def test_an_empty_variable_counts_as_unset(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "")
    assert load_settings({}) == Settings()


def test_a_truth_value_is_no_number() -> None:
    write("threads = true")
    with pytest.raises(SettingsError, match=r"^settings: threads: "):
        load_settings({})


def test_what_belongs_to_the_test_suite_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACTOR_TEST_SOMETHING", "1")
    monkeypatch.setenv("REACTORS", "1")
    assert load_settings({}) == Settings()


WRONG = [
    ("threads", "many"),
    ("threads", "0"),
    ("threads", "1001"),
    ("processes", "257"),
    ("most_running", "0"),
    ("most_bytes", "1023"),
    ("drain", "20"),
    ("drain", "-1s"),
    ("retention", "for ever"),
    ("log_level", "TRACE"),
    ("log_style", "xml"),
    ("hooks", "localhost"),
    ("admin", "127.0.0.1:65536"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_in_the_environment_names_its_setting(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"REACTOR_{name.upper()}", value)
    with pytest.raises(SettingsError, match=f"^settings: {name}: "):
        load_settings({})


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_in_the_file_names_its_setting(name: str, value: str) -> None:
    write(f'{name} = "{value}"')
    with pytest.raises(SettingsError, match=f"^settings: {name}: "):
        load_settings({})


@pytest.mark.parametrize("text", ['paths = "flows"', "state = 5", "hooks = 8080", "drain = 20"])
def test_a_value_of_another_type_is_refused(text: str) -> None:
    write(text)
    with pytest.raises(SettingsError, match=r"^settings: "):
        load_settings({})


def test_all_wrong_values_are_told_at_once() -> None:
    write('threads = 0\ndrain = "soon"')
    with pytest.raises(SettingsError, match=r"drain: .*; threads: |threads: .*; drain: "):
        load_settings({})


def test_a_flag_of_no_such_name_is_told_as_an_unknown_option() -> None:
    with pytest.raises(SettingsError, match="unknown option 'thread'; did you mean 'threads'"):
        load_settings({"thread": 3})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:80", ("::1", 80)),
        ("8080", ("127.0.0.1", 8080)),
        (":8080", ("127.0.0.1", 8080)),
    ],
)
def test_an_address_is_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert split_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "host", "host:", "host:port", "host:-1", "host:65536", "[::1]", "host:80/path"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r'is not HOST:PORT, such as "127\.0\.0\.1:8080"'):
        split_address(text)


@pytest.mark.parametrize("text", ["http://127.0.0.1:80", "a b:80", "127.0.0.1:²", "[::1:80"])
def test_what_only_looks_like_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT, such as"):
        split_address(text)


def test_settings_cannot_be_changed_once_loaded() -> None:
    settings: Any = load_settings({})
    with pytest.raises(ValueError, match="frozen"):
        settings.threads = 3


def documented() -> dict[str, tuple[str, str, str]]:
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    return {name: (variable, flag, default) for name, variable, flag, default, _ in rows}


def test_the_document_names_every_setting_and_no_other() -> None:
    assert sorted(documented()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_document_knows_variable_and_default(name: str) -> None:
    variable, _, default = documented()[name]
    value = Settings.model_fields[name].default
    spelled = {
        "paths": "none",
        "most_bytes": "`268435456` (256 MiB)",
    }.get(name, f"`{spell_duration(value) if isinstance(value, timedelta) else value}`")
    assert (variable, default) == (f"REACTOR_{name.upper()}", spelled)


def test_the_document_names_the_flags_that_there_are() -> None:
    from typer.main import get_command

    from reactor.cli.application import application

    command: Any = get_command(application(["run"]))
    flags = {
        parameter.name: parameter.opts[0] if parameter.opts[0].startswith("-") else "PATH"
        for parameter in command.commands["run"].params
        if parameter.name in NAMES
    }
    assert {name: flag for name, (_, flag, _) in documented().items() if flag} == flags


def test_a_retention_too_short_to_recognise_repetitions_is_refused() -> None:
    write('retention = "6d"')
    with pytest.raises(SettingsError, match='retention: must be "7d" or longer'):
        load_settings({})
