"""G29: today's daemon over the database of each earlier schema, left by a kill with runs in every state."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from reactor.model.ids import spell_id
from reactor.store.sqlite.connection import DATABASE, migrations
from tests.torture.deaths import Deaths, reading
from tests.torture.journal import read_lines
from tests.torture.upgrade.make import deliver, project, restore
from tests.torture.upgrade.schema import content, write_version

if TYPE_CHECKING:
    from pathlib import Path

    from reactor.testing.process import DaemonProcess

UNFINISHED = "SELECT count(*) FROM run WHERE state <> 'finished' AND workflow <> 'beat'"
STATES = "SELECT DISTINCT state FROM run WHERE workflow <> 'beat'"
OUTCOMES = "SELECT workflow || ' ' || outcome FROM run WHERE workflow <> 'beat'"
RECORDED = "SELECT run, name FROM step WHERE outcome = 'succeeded'"
# The exit code for what the database says.
REFUSED = 5

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.torture_quick,
    pytest.mark.timeout(120),
]
earlier = pytest.mark.parametrize("version", range(1, len(migrations())))


@earlier
def test_every_run_that_an_earlier_release_left_is_finished_by_this_one(
    version: int, tmp_path: Path
) -> None:
    restore(version, tmp_path / "state" / DATABASE)
    deaths = Deaths()
    deaths.look(tmp_path / "state")
    recorded = steps_with_result(tmp_path / "state")
    assert {"running", "waiting", "pending"} <= {*select(tmp_path / "state", STATES)}
    with project(tmp_path) as daemon:
        settle(daemon)
        redriven = reactor(tmp_path, "redrive", "--reason", "process_died")
        settle(daemon)
        assert daemon.stop() == 0
    assert redriven.returncode == 0, redriven.stdout
    after = deaths.look(tmp_path / "state")
    assert (after["changed"], after["gone"]) == ([], [])
    assert outcomes(tmp_path / "state") == {
        "arrival succeeded": 1,
        "bulk succeeded": 2,
        "chain succeeded": 1,
        "failing failed": 1,
        "fatal succeeded": 1,
        "keyed succeeded": 5,
        "patient succeeded": 1,
        "single succeeded": 4,
    }
    again = Counter(line["key"] for line in read_lines(tmp_path / "effects"))
    assert max(again.values()) == 1
    assert not recorded & again.keys()
    audit = reactor(tmp_path, "audit")
    assert audit.returncode == 0, audit.stdout


@earlier
def test_an_upgraded_database_takes_new_events_beside_the_old_ones(
    version: int, tmp_path: Path
) -> None:
    restore(version, tmp_path / "state" / DATABASE)
    with project(tmp_path) as daemon:
        settle(daemon)
        answers = [deliver(daemon, name).json()["duplicate"] for name in ("order-0", "new")]
        settle(daemon)
        assert daemon.stop() == 0
    # What the earlier release accepted is known, so that a sender's repetition starts nothing.
    assert answers == [True, False]
    assert outcomes(tmp_path / "state")["chain succeeded"] == 2


def test_a_daemon_refuses_a_newer_schema_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    restore(1, tmp_path / "state" / DATABASE)
    write_version(tmp_path / "state" / DATABASE, len(migrations()) + 1)
    before = content(tmp_path / "state" / DATABASE)
    with contextlib.ExitStack() as stack:
        daemon = stack.push(project(tmp_path))
        daemon.start(wait_until_ready=False)
        assert daemon.wait() == REFUSED
    assert f"has schema version {len(migrations()) + 1}" in daemon.log
    assert content(tmp_path / "state" / DATABASE) == before


def settle(daemon: DaemonProcess) -> None:
    """Return once every run has ended, looked at with each beat of the daemon."""
    while select(daemon.state, UNFINISHED) != [0]:
        daemon.wait_until_told("beat")


def select(state: Path, query: str) -> list[Any]:
    """Return the first column that a query gives."""
    with reading(state) as database:
        return [row[0] for row in database.execute(query)]


def steps_with_result(state: Path) -> set[str]:
    """Return the idempotency keys of all steps whose result is durable."""
    with reading(state) as database:
        return {f"{spell_id(run)}/{name}" for run, name in database.execute(RECORDED)}


def outcomes(state: Path) -> Counter[str]:
    """Return how many runs of each workflow ended how."""
    return Counter(select(state, OUTCOMES))


def reactor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command of the command line over the daemon's state."""
    return subprocess.run(
        [sys.executable, "-m", "reactor", *arguments, "--state", folder / "state"],
        capture_output=True,
        check=False,
        timeout=60,
        cwd=folder,
    )
