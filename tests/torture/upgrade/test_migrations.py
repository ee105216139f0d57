"""G29: a migration happens or does not, wherever the process is killed and whenever the power is cut."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from reactor.store.sqlite.connection import DATABASE, migrations, open_for_writing
from tests.torture.disks import IdleDisk
from tests.torture.images import Platter
from tests.torture.recording import Recording
from tests.torture.upgrade.make import DATABASES, restore
from tests.torture.upgrade.schema import Content, content, defined_by
from tests.torture.vfs import layered

HERE = Path(__file__).parent
CUTS = 150
# As our scripts are written.
STATEMENT = re.compile(r"^[A-Z]+ ", re.MULTILINE)

pytestmark = [pytest.mark.torture_quick, pytest.mark.timeout(120)]
from_each_version = pytest.mark.parametrize("version", range(len(migrations())))


@pytest.mark.parametrize("version", range(1, len(migrations())))
def test_each_earlier_schema_has_a_committed_database(version: int) -> None:
    assert (DATABASES / f"{version}.sql").exists(), (
        f"schema version {version} has been released and there is no database of it: run "
        "`python -m tests.torture.upgrade.make --code TREE` with the tree of that release, commit what it writes"
    )


@pytest.mark.real_time
@from_each_version
def test_a_kill_at_any_statement_of_a_migration_leaves_the_old_or_the_new_version(
    version: int, tmp_path: Path
) -> None:
    database = tmp_path / "old" / DATABASE
    before = old_database(version, database)
    played = subprocess.run(
        [sys.executable, HERE / "deadly_migration.py", database, tmp_path],
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert (played.returncode, played.stderr) == (0, b"")
    places = [place for place in tmp_path.iterdir() if place.name.isdecimal()]
    statements = sum(len(STATEMENT.findall(script)) for script in migrations()[version:])
    assert len(places) > statements
    for place in places:
        left = content(place / DATABASE)
        assert left.version in range(version, len(migrations()) + 1), place
        assert left.definitions == defined_by(left.version), place
        assert before is None or left.holds(before), place
        is_taken_over(place, before)


@from_each_version
def test_a_power_cut_at_any_moment_of_a_migration_leaves_a_database_that_is_upgraded(
    version: int, tmp_path: Path, torture_seed: int
) -> None:
    luck = random.Random(torture_seed)
    folder = tmp_path / "recorded"
    folder.mkdir()
    recording = Recording()
    with layered(folder, recording):
        before = old_database(version, folder / DATABASE)
        begun = len(recording.entries)
        with closing(open_for_writing(folder / DATABASE)):
            pass
    platter, done = Platter(), 0
    for number, position in enumerate(
        sorted(luck.randint(begun, len(recording.entries)) for _ in range(CUTS))
    ):
        for entry in recording.entries[done:position]:
            platter.follow(entry)
        done = position
        place = tmp_path / str(number)
        place.mkdir()
        for name, data in platter.image(luck).items():
            (place / name).write_bytes(data)
        with layered(place, IdleDisk()):
            is_taken_over(place, before)


def old_database(version: int, database: Path) -> Content | None:
    """Put the committed database of a version there; return what it holds, None for no database at all."""
    if not version:
        return None
    restore(version, database)
    return content(database)


def is_taken_over(place: Path, before: Content | None) -> None:
    """Assert that the store opens this database, and has all that was in it, under the newest schema."""
    with closing(open_for_writing(place / DATABASE)) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    after = content(place / DATABASE)
    assert after.version == len(migrations()), place
    assert after.definitions == defined_by(after.version), place
    assert before is None or after.holds(before), place
