"""What an operator may set: `reactor.toml` < environment `REACTOR_…` < flags. Declared once, here."""

from __future__ import annotations

import os
import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from reactor.errors import SettingsError
from reactor.model.duration import Duration, spell_duration
from reactor.model.sensor import nearest, spell_validation_error

# Senders of webhooks repeat a delivery for days.
SHORTEST_RETENTION = timedelta(days=7)
SETTINGS_FILE = "reactor.toml"
PREFIX = "REACTOR_"
# Read by the test suite; and set by Kubernetes in every pod beside a Service named reactor.
FOREIGN = ("REACTOR_TEST_", "REACTOR_SERVICE_", "REACTOR_PORT")
_ADDRESS = re.compile(
    r"(?:(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<host>[A-Za-z0-9._-]*)):)?(?P<port>[0-9]{1,5})"
)


class Settings(BaseModel):
    """Every setting of the daemon. Sizes are bytes; durations are written like "20s"."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    paths: tuple[Path, ...] = Field(
        default=(), description="Module files, or folders of them, with the workflows."
    )
    state: Path = Field(
        default=Path(".reactor"), description="The state directory: database, lock, admin token."
    )
    hooks: str = Field(
        default="127.0.0.1:8080", description="HOST:PORT on which webhooks are served."
    )
    admin: str = Field(
        default="127.0.0.1:8081", description="HOST:PORT of metrics, health and the admin API."
    )
    drain: Duration = Field(
        default=timedelta(seconds=20),
        description="How long runs in hand may take to finish at the end.",
    )
    retention: Duration = Field(
        default=timedelta(days=14), description="How long settled events and runs are kept."
    )
    most_running: int = Field(
        default=1024, ge=1, le=100_000, description="Runs at once, all workflows together."
    )
    most_bytes: int = Field(
        default=256 * 1024 * 1024, ge=1024, description="Bytes of events held in memory at once."
    )
    threads: int = Field(
        default=64,
        ge=1,
        le=1000,
        description="Plain `def` steps at once; an eighth is kept for workflows that use few.",
    )
    processes: int = Field(
        default=4, ge=1, le=256, description='Steps with executor="process" at once.'
    )
    blocked: Duration = Field(
        default=timedelta(milliseconds=100),
        description="A step that blocks the loop for longer is named in the log.",
    )
    stalled: Duration = Field(
        default=timedelta(seconds=60),
        description="/healthz fails when work waits and none moved for so long.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe messages that are logged."
    )
    log_style: Literal["auto", "text", "json"] = Field(
        default="auto",
        description='"text" for people, "json" for machines; "auto" looks for a terminal.',
    )

    @field_validator("most_running", "most_bytes", "threads", "processes", mode="before")
    @classmethod
    def _is_no_truth_value(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("must be a whole number")
        return value

    @field_validator("retention")
    @classmethod
    def _covers_repetitions(cls, retention: timedelta) -> timedelta:
        if retention < SHORTEST_RETENTION:
            raise ValueError(
                f'must be "{spell_duration(SHORTEST_RETENTION)}" or longer: for so long a repeated delivery '
                "must be recognised by the event that is kept"
            )
        return retention

    @field_validator("hooks", "admin")
    @classmethod
    def _is_address(cls, text: str) -> str:
        split_address(text)
        return text


def load_settings(flags: dict[str, Any], *, file: Path | None = None) -> Settings:
    """Return the settings; `flags` holds those given on the command line. Raises SettingsError."""
    values: dict[str, Any] = {}
    path = file or Path(SETTINGS_FILE)
    names = [*Settings.model_fields]
    if file is not None or path.exists():
        values |= _read_file(path, names)
    values |= _read_environment(names)
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(f"settings: {spell_validation_error(error, names)}") from None


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of "HOST:PORT", "[::1]:80" or "PORT". Raises ValueError."""
    found = _ADDRESS.fullmatch(text)
    host = (found["v6"] or found["host"] or "127.0.0.1") if found else ""
    port = found["port"] if found else ""
    if not found or int(port) > 65_535:
        raise ValueError(f'{text!r} is not HOST:PORT, such as "127.0.0.1:8080"')
    return host, int(port)


def _read_file(path: Path, names: list[str]) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    for name in values:
        if name not in names:
            raise SettingsError(f"{path}: unknown setting {name!r}{nearest(name, names)}")
    return values


def _read_environment(names: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, text in os.environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(FOREIGN):
            continue
        if not text:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in names:
            known = [PREFIX + known.upper() for known in names]
            raise SettingsError(
                f"unknown setting {variable} in the environment{nearest(variable, known)}"
            )
        values[name] = text.split(os.pathsep) if name == "paths" else text
    return values
