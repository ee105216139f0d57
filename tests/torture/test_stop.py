"""G23: SIGTERM under load, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.torture.conftest import PlayRound

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]

STOPS = 10


def test_sigterm_loses_nothing_repeats_nothing_and_ends_in_time(play_round: PlayRound) -> None:
    _, report, again = play_round("terminate", STOPS)
    assert report.findings == [], again
    assert report.figures["deaths"] == STOPS, again
    assert report.figures["called again"] == 0, again
