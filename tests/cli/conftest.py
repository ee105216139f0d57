"""A state directory with a known history, and a way to call the command line in this process."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest

from reactor.cli import main
from reactor.model.ids import spell_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOON = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
MS = 1000
HOSTILE = "evil\x1b[31m\n.csv"

EVENT_FIRED, EVENT_REFUSED = 101, 102
RUN_DONE, RUN_FAILED, RUN_RUNNING = 201, 202, 203
LETTER = 301


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Return standard output as the one JSON document that it must be."""
        return json.loads(self.out)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def call(*arguments: str) -> Answer:
        try:
            main(arguments)
        except SystemExit as ended:
            code = ended.code
        else:
            code = 0
        printed = capsys.readouterr()
        assert isinstance(code, int)
        return Answer(code, printed.out, printed.err)

    return call


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, in UTC, without the settings of whoever runs the tests."""
    place = tmp_path / "cwd"
    place.mkdir()
    monkeypatch.chdir(place)
    for name in ("REACTOR_STATE", "REACTOR_PATHS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A writer's connection to a new database, as the daemon leaves it open."""
    directory = tmp_path / "state"
    directory.mkdir()
    connection = sqlite3.connect(directory / "reactor.db", isolation_level=None)
    folder = resources.files("reactor.store.sqlite").joinpath("migrations")
    connection.execute("PRAGMA journal_mode = WAL")
    scripts = sorted(path.name for path in folder.iterdir() if path.name.endswith(".sql"))
    for script in scripts:
        connection.executescript(folder.joinpath(script).read_text(encoding="utf-8"))
    connection.execute(f"PRAGMA application_id = {0x52454143}")
    connection.execute(f"PRAGMA user_version = {len(scripts)}")
    yield connection
    connection.close()


@pytest.fixture
def state(database: sqlite3.Connection, tmp_path: Path) -> Path:
    """The state directory of a daemon with two workflows, two events and three runs."""
    for name, sensors in (("rates", ["files:inbox"]), ("nightly", ["cron:6h"])):
        chain = {"parse": [], "load": ["parse"], "announce": ["load"]}
        steps: list[dict[str, Any]] = [
            {"name": step, "upstream": upstream} for step, upstream in chain.items()
        ]
        definition = {"name": name, "sensors": sensors, "steps": steps}
        insert(database, "workflow", name=name, definition=json.dumps(definition), loaded_at=NOON)
    add_event(
        database,
        EVENT_FIRED,
        id="a1",
        data=b'{"path": "inbox/a.csv", "bytes": 9}',
        decisions=[["rates", "fired", spell_id(RUN_DONE), "a"]],
    )
    add_event(
        database,
        EVENT_REFUSED,
        id="b2",
        subject=HOSTILE,
        decisions=[
            ["rates", "refused", "where event.data.bytes > 0", "data.bytes = 0"],
            ["sums", "failed", "where event.data.total", "LookupError: there is no 'total'"],
        ],
    )
    add_run(database, RUN_DONE, "succeeded", key="a")
    add_run(database, RUN_FAILED, "failed", error="load: ValueError: no\nsuch row")
    add_run(database, RUN_RUNNING, None)
    add_steps(database)
    insert(
        database,
        "dead_letter",
        id=LETTER,
        sensor="webhook:/github",
        event_id="d9",
        reason="not_json",
        detail="expected value at line 1",
        raw=b"{oops",
        created_at=NOON,
    )
    insert(database, "skipped", sensor="cron:6h", occurrence="o1", reason="missed", at=NOON)
    for subject, name, kind, number in (
        ("sensor", "files:inbox", "accepted", 2),
        ("sensor", "webhook:/github", "rejected", 1),
        ("sensor", "cron:6h", "skipped", 1),
        ("workflow", "rates", "fired", 3),
    ):
        insert(database, "tally", subject=subject, name=name, kind=kind, count=number)
    return tmp_path / "state"


def insert(connection: sqlite3.Connection, table: str, **values: Any) -> None:
    places = ", ".join("?" * len(values))
    connection.execute(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", [*values.values()]
    )


def add_event(connection: sqlite3.Connection, seq: int, **values: Any) -> None:
    decisions = json.dumps(values.pop("decisions"))
    defaults = {
        "source": "files:inbox",
        "sensor": "files:inbox",
        "type": "file.arrived",
        "time": NOON - 5 * MS,
        "accepted_at": NOON,
        "data": b"{}",
    }
    insert(connection, "event_row", seq=seq, decisions=decisions, **(defaults | values))


def add_run(connection: sqlite3.Connection, id_: int, outcome: str | None, **values: Any) -> None:
    insert(
        connection,
        "run",
        id=id_,
        workflow="rates",
        event=EVENT_FIRED,
        state="finished" if outcome else "running",
        outcome=outcome,
        created_at=NOON,
        started_at=NOON + MS,
        finished_at=NOON + 101 * MS if outcome else None,
        **values,
    )


def add_steps(connection: sqlite3.Connection) -> None:
    def step(run: int, name: str, outcome: str, begin: int, end: int, **values: Any) -> None:
        times = {"started_at": NOON + begin * MS, "finished_at": NOON + end * MS}
        insert(connection, "step", run=run, name=name, outcome=outcome, **times, **values)

    step(RUN_DONE, "parse", "succeeded", 1, 51, attempt=1, result=b'[{"currency": "EUR"}]')
    step(RUN_DONE, "load", "succeeded", 76, 101, attempt=2, result=b"1")
    step(RUN_FAILED, "parse", "succeeded", 1, 51, attempt=1, result=b"[]")
    step(RUN_FAILED, "load", "failed", 51, 101, attempt=1, error="ValueError: no\nsuch row")
    step(RUN_FAILED, "announce", "skipped", 101, 101, attempt=0, error="load failed")
    insert(
        connection,
        "attempt",
        run=RUN_DONE,
        step="load",
        attempt=1,
        outcome="failed",
        started_at=NOON + 51 * MS,
        finished_at=NOON + 56 * MS,
        error="OSError: busy",
        next_at=NOON + 76 * MS,
    )


def files_of(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))
