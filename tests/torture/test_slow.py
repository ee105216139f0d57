"""G15, its short form: records behind steps that do not return for longer than `max_poll_interval`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from reactor.testing.java import UnavailableError
from tests.torture.slow_round import PENDING, PLACES, SlowRound

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]


def test_slow_steps_cost_neither_a_partition_nor_memory(tmp_path: Path) -> None:
    slow = SlowRound(tmp_path / "slow", records=20_000, hold_seconds=8)
    try:
        report = slow.run()
    except UnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(f"no Kafka broker: {error}", pytrace=False)
        pytest.skip(f"no Kafka broker: {error}")
    assert report.findings == [], report.figures
    assert report.figures["assignments"] == 1
    # They wait in the topic, not with us.
    assert 0 < report.figures["runs pending at most"] <= PENDING + PLACES
