"""The rounds of the long run in which the disk fails: each works, in its smallest size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.disk_rounds import play

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.disk_rounds import DiskKind

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(240)]


@pytest.mark.parametrize(("kind", "count"), [("cut", 5), ("fill", 1)])
def test_a_round_counts_what_it_tried(
    tmp_path: Path, torture_seed: int, kind: DiskKind, count: int
) -> None:
    tried: list[None] = []
    report = play(tmp_path / kind, kind, torture_seed, count, lambda: tried.append(None))
    assert report.findings == []
    assert len(tried) == count
    assert any(report.figures.values())
