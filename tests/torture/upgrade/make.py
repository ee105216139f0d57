"""`python -m tests.torture.upgrade.make`: the database that a daemon leaves when it is killed with runs in every state.

Called once for each schema version, before the migration after it is written; `--code` takes the tree of an earlier
release. What it writes to `databases/` is committed, and every later release must be able to take it over.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from reactor.testing.process import DaemonProcess
from tests.torture.deaths import reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).parent
DATABASES = HERE / "databases"
HOLDS = ("right", "single", "keyed a", "keyed b", "bulk")
ORDERS: tuple[Mapping[str, object], ...] = (
    {"to": "chain"},
    {"to": "patient"},
    *({"to": "single", "n": n} for n in range(4)),
    *({"to": "keyed", "who": who} for who in "aaabb"),
    *({"to": "bulk", "n": n} for n in range(4)),
    {"to": "failing"},
)
# No `to`: each workflow's condition fails, and the event is a dead letter of each.
UNFIT: Mapping[str, object] = {"n": 1}
GARBAGE = b'{"n": '
DEATHS = 3
# Stands in the committed databases for the folder in which they were made.
HOME = "/srv/reactor"


def project(
    folder: Path, *, is_held: bool = False, code: Path | None = None, module: Path | None = None
) -> DaemonProcess:
    """Return a daemon over the project, copied into `folder`; of the release whose tree is `code`, or of this one."""
    copy = folder / "project.py"
    shutil.copy(module or HERE / "project.py", copy)
    (folder / "inbox").mkdir(exist_ok=True)
    # The committed databases are old, and all that they hold is looked at.
    environment = {"UPGRADE_EFFECTS": str(folder / "effects"), "REACTOR_RETENTION": "36500d"}
    if is_held:
        environment["UPGRADE_HOLD"] = "1"
    if code is not None:
        places = (code, code / "sensors", code / "handlers")
        environment["PYTHONPATH"] = os.pathsep.join(map(str, places))
    return DaemonProcess(
        copy,
        state=folder / "state",
        environment=environment,
        arguments=["--log-style", "json"],
        directory=folder,
    )


def make(folder: Path, code: Path | None) -> Path:
    """Return the state directory of a daemon that was killed with runs in every state. Nothing runs any more."""
    with project(folder, is_held=True, code=code) as daemon:
        _park(daemon)
        (folder / "inbox" / "one.txt").write_text("1")
        for number, order in enumerate(ORDERS):
            deliver(daemon, f"order-{number}", order)
        deliver(daemon, "unfit", UNFIT)
        httpx.post(
            f"{daemon.hooks}/orders", content=GARBAGE, headers={"content-type": "application/json"}
        )
        for hold in HOLDS:
            daemon.wait_until_told(f"held {hold}")
        while not _is_ripe(daemon.state):
            daemon.wait_until_told("beat")
        daemon.kill()
        return daemon.state


def _park(daemon: DaemonProcess) -> None:
    """Let one run, alone in flight, end three lives: the fourth parks it."""
    with contextlib.suppress(httpx.HTTPError):
        # It may die before it answers.
        deliver(daemon, "deadly", to="deadly")
    daemon.wait()
    for _ in range(DEATHS - 1):
        daemon.start(wait_until_ready=False)
        daemon.wait()
    daemon.start()


def deliver(
    daemon: DaemonProcess,
    delivery: str,
    order: Mapping[str, object] = ORDERS[0],
    to: str = "orders",
) -> httpx.Response:
    """Return the answer to a webhook. Raises httpx.HTTPError unless it is 2xx."""
    headers = {"idempotency-key": delivery}
    answer = httpx.post(f"{daemon.hooks}/{to}", json=order, headers=headers, timeout=30)
    return answer.raise_for_status()


def _is_ripe(state: Path) -> bool:
    """Return whether the slower things are durable: the wait for a retry, a failed run, a file, the parked run."""
    with reading(state) as database:
        seen = {row[0] for row in database.execute("SELECT workflow || ' ' || state FROM run")}
        letters = database.execute("SELECT count(*) FROM dead_letter WHERE run > 0").fetchone()[0]
        branches = database.execute("SELECT count(*) FROM step WHERE name = 'left'").fetchone()[0]
    wanted = {"patient waiting", "failing finished", "arrival finished"}
    return wanted <= seen and letters > 0 and branches > 0


def dump(state: Path) -> tuple[int, str]:
    """Return the schema version of a database that nobody uses, and all of it as SQL."""
    with closing(sqlite3.connect(state / "reactor.db")) as database:
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        application = database.execute("PRAGMA application_id").fetchone()[0]
        lines = [*database.iterdump()]
    identity = f"PRAGMA application_id = {application};\nPRAGMA user_version = {version};\n"
    return version, "\n".join(lines) + "\n" + identity


def restore(version: int, path: Path) -> None:
    """Make the committed database of a schema version anew, as `path`."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        # As the store has it: in the other modes a power cut may undo the last commit.
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript((DATABASES / f"{version}.sql").read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the database of the code's schema version; return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.upgrade.make")
    parser.add_argument("--code", type=Path, help="the tree of an earlier release")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        version, script = dump(make(Path(folder), options.code and options.code.resolve()))
    script = script.replace(folder, HOME)
    script = script.replace(folder.encode().hex().upper(), HOME.encode().hex().upper())
    place = DATABASES / f"{version}.sql"
    place.write_text(script, encoding="utf-8")
    print(f"wrote {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
