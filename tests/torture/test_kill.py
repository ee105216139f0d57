"""G1, G3, G4, G5, G12, G22, G33: kill -9 at random instants and right after named moments, under load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.conftest import KILLS
from tests.torture.moments import plans

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.round import Report

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]


def test_a_daemon_that_is_killed_again_and_again_keeps_its_promises(
    killed: tuple[Path, Report, str],
) -> None:
    _, report, again = killed
    assert report.findings == [], again


def test_the_kills_found_deliveries_files_and_steps_at_work(
    killed: tuple[Path, Report, str],
) -> None:
    _, report, again = killed
    assert report.figures["deaths"] == KILLS, again
    for what in ("acknowledged", "files", "skips", "called again"):
        assert report.figures[what] > 0, (what, again)


def test_the_same_seed_gives_the_same_ends_of_lives() -> None:
    assert plans("7", 40) == plans("7", 40)
    assert plans("7", 40) != plans("8", 40)
    assert {plan.moment for plan in plans("7", KILLS)} == {plan.moment for plan in plans("8", 40)}
