"""Options that commands share, and where their defaults come from."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from reactor.errors import SettingsError

DEFAULT_STATE = Path(".reactor")
SETTINGS_FILE = Path("reactor.toml")

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="The state directory, else REACTOR_STATE or reactor.toml.  [default: .reactor]",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
LimitOption = Annotated[int, typer.Option(min=1, max=1_000_000, help="How many at most.")]
PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Module files, or folders of them.  [default: paths of reactor.toml]",
        metavar="PATH",
        show_default=False,
    ),
]


def state_directory(given: Path | None) -> Path:
    """Return the state directory: flag, then REACTOR_STATE, then reactor.toml, then `.reactor`."""
    if given is not None:
        return given
    if os.environ.get("REACTOR_STATE"):
        return Path(os.environ["REACTOR_STATE"])
    named = _file_setting("state") or str(DEFAULT_STATE)
    if not isinstance(named, str):
        raise SettingsError(f'{SETTINGS_FILE}: state is not a text, such as ".reactor"')
    return Path(named)


def project_paths(given: list[Path] | None) -> list[Path]:
    """Return the paths of the project: arguments, then REACTOR_PATHS, then reactor.toml."""
    if given:
        return given
    if os.environ.get("REACTOR_PATHS"):
        return [Path(path) for path in os.environ["REACTOR_PATHS"].split(os.pathsep)]
    named = _file_setting("paths") or []
    if not isinstance(named, list) or not all(isinstance(path, str) for path in named):
        raise SettingsError(f'{SETTINGS_FILE}: paths is not a list of texts, such as ["flows"]')
    paths = [Path(path) for path in named]
    if not paths:
        raise SettingsError(
            "no PATH was given; name a Python file with workflows, or a folder of them"
        )
    return paths


def _file_setting(name: str) -> Any:
    """Return one setting of reactor.toml as it stands there; `reactor run` checks them all."""
    try:
        return tomllib.loads(SETTINGS_FILE.read_text(encoding="utf-8")).get(name)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{SETTINGS_FILE} cannot be read: {error}") from None
