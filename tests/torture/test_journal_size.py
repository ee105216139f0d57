"""G9: the journal stays bounded beside readers, and the database is never locked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.flood import Flood

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]

SECONDS = 6.0


async def test_the_journal_stays_small_beside_readers_and_nobody_is_locked_out(
    tmp_path: Path,
) -> None:
    flood = Flood(tmp_path / "state", SECONDS)
    await flood.run()
    assert flood.findings == []
    assert flood.events > 0
    assert flood.reads > 0
    print(flood)
