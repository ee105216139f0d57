"""G14: members of a group are killed, frozen, ended and joined, the broker goes down, partitions are added."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from tests.torture.conftest import DISTURBED
from tests.torture.kafka_round import Kind, disturbances

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.round import Report

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(400)]


def test_every_offset_is_journaled_once_per_store(disturbed: tuple[Path, Report, str]) -> None:
    _, report, again = disturbed
    assert report.findings == [], again


def test_the_disturbances_met_members_at_work(disturbed: tuple[Path, Report, str]) -> None:
    _, report, again = disturbed
    assert report.figures["disturbances"] == DISTURBED, again
    assert report.figures["records acknowledged"] > 1000, again


def test_the_same_seed_disturbs_in_the_same_way() -> None:
    assert disturbances("7", 40) == disturbances("7", 40)
    assert disturbances("7", 40) != disturbances("8", 40)
    assert {each.kind for each in disturbances("7", DISTURBED)} == {*get_args(Kind)}
