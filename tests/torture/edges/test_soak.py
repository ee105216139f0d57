"""The soak finds leaks: the same project, whose steps leave something of each kind behind."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.torture.edges.soak import soak

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 25


@pytest.mark.real_time
@pytest.mark.torture_quick
@pytest.mark.timeout(120)
def test_a_daemon_that_leaks_is_found_by_what_it_leaks(tmp_path: Path) -> None:
    findings, figures = soak(tmp_path / "soak", SECONDS, Random(1), leaks=True)
    print(figures)
    grown = {finding.split(" grew")[0] for finding in findings if " grew by " in finding}
    assert {"resident bytes", "tasks", "descriptors"} <= grown
