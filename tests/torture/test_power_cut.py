"""G2: what was acknowledged is there after a power cut, whatever became of all that was not synced."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from reactor.store.sqlite import connection
from reactor.store.sqlite.connection import DATABASE
from tests.torture.cuts import AHEAD, CHECKPOINT_BYTES, LIVES, Cuts, record
from tests.torture.images import Platter
from tests.torture.recording import Acknowledged, Created, Deleted, Truncated, Wrote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.torture.cuts import Loss, Record

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]

CUTS = 500
# As many as it takes to be sure of a loss where there is one.
FEW_CUTS = 60


@pytest.fixture
async def recorded(tmp_path: Path, torture_seed: int) -> Record:
    """A store at work on a sound disk."""
    return await record(tmp_path / "recorded", str(torture_seed))


async def losses(
    recorded: Record, scratch: Path, seed: int, count: int, platter: Platter | None = None
) -> Sequence[Loss]:
    """Cut `count` times at random."""
    scratch.mkdir()
    cuts = Cuts(recorded, scratch)
    await cuts.prepare()
    luck = random.Random(seed)
    positions = [luck.randint(0, len(recorded.entries)) for _ in range(count)]
    return await cuts.losses(positions, luck, platter=platter)


async def test_nothing_acknowledged_is_lost_and_nothing_is_there_by_half(
    recorded: Record, tmp_path: Path, torture_seed: int
) -> None:
    again = f"again: .venv/bin/python -m tests.torture round --ending cut --seed {torture_seed} --lives {CUTS}"
    assert await losses(recorded, tmp_path / "cut", torture_seed, CUTS) == [], again


async def test_the_recording_holds_all_that_a_disk_can_be_asked_for(recorded: Record) -> None:
    kinds = {type(entry) for entry in recorded.entries}
    assert kinds >= {Created, Deleted, Wrote, Truncated, Acknowledged}
    files = {entry.inode: entry.name for entry in recorded.entries if isinstance(entry, Created)}
    begun = [
        entry
        for entry in recorded.entries
        if isinstance(entry, Wrote)
        and files[entry.inode].endswith("-wal")
        and entry.offset == 0
        and any(entry.data)
    ]
    assert len(begun) > LIVES + 1, f"the journal was never emptied at {CHECKPOINT_BYTES} bytes"
    zeros = bytes(AHEAD["SLICE_BYTES"])
    assert any(isinstance(entry, Wrote) and entry.data == zeros for entry in recorded.entries)


async def test_identities_become_segments_while_it_is_recorded(
    recorded: Record, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "recorded" / DATABASE)) as database:
        whole = database.execute("SELECT count(*) FROM identity_segment").fetchone()[0]
    assert recorded.facts
    assert whole > 1, whole


async def test_a_disk_that_only_pretends_to_sync_is_found_out(
    recorded: Record, tmp_path: Path, torture_seed: int
) -> None:
    platter = Platter(heeds_sync=False)
    assert await losses(recorded, tmp_path / "cut", torture_seed, FEW_CUTS, platter)


async def test_names_that_are_never_synced_are_found_out(
    recorded: Record, tmp_path: Path, torture_seed: int
) -> None:
    platter = Platter(heeds_directory_sync=False)
    assert await losses(recorded, tmp_path / "cut", torture_seed, FEW_CUTS, platter)


async def test_a_store_that_does_not_sync_is_found_out(tmp_path: Path, torture_seed: int) -> None:
    pragmas = [*connection._PRAGMAS, "PRAGMA synchronous = OFF"]
    with patch.object(connection, "_PRAGMAS", pragmas):
        careless = await record(tmp_path / "recorded", str(torture_seed))
    assert await losses(careless, tmp_path / "cut", torture_seed, FEW_CUTS)


async def test_acknowledging_before_the_sync_is_found_out(
    recorded: Record, tmp_path: Path, torture_seed: int
) -> None:
    # Each acknowledgement comes before the sync, and the last of the writes, that it waited for.
    entries = [*recorded.entries]
    for position, entry in enumerate(entries):
        if isinstance(entry, Acknowledged):
            sooner = max(position - 20, 0)
            entries.insert(sooner, entries.pop(position))
    hasty = replace(recorded, entries=entries)
    assert await losses(hasty, tmp_path / "cut", torture_seed, FEW_CUTS)
