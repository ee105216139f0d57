"""What grows is told from what merely moves."""

from __future__ import annotations

from random import Random

import pytest

from tests.torture.slopes import BLOCKS, slope

HOUR = 3600.0


def test_a_line_has_its_own_slope_and_no_doubt() -> None:
    found = slope([(at, 5.0 + 2.0 * at / HOUR) for at in range(100)])
    assert found.per_hour == pytest.approx(2.0)
    assert found.at_least == pytest.approx(2.0)


def test_noise_that_goes_nowhere_is_not_growth() -> None:
    luck = Random(7)
    for _ in range(50):
        found = slope([(at, luck.gauss(100.0, 5.0)) for at in range(200)])
        # In the 200 seconds: less than half of what the noise is.
        assert found.at_least < HOUR * 0.01


def test_growth_below_its_noise_is_found() -> None:
    luck = Random(7)
    found = slope([(at, 0.1 * at + luck.gauss(100.0, 5.0)) for at in range(400)])
    assert 0.08 * HOUR < found.at_least < 0.1 * HOUR < found.per_hour * 1.1


def test_a_step_is_less_certain_than_a_line() -> None:
    line = slope([(at, float(at)) for at in range(120)])
    step = slope([(at, 120.0 * (at >= 60)) for at in range(120)])
    assert step.at_least / step.per_hour < line.at_least / line.per_hour


def test_too_few_looks_are_refused() -> None:
    with pytest.raises(ValueError, match=f"expected {BLOCKS} or more"):
        slope([(0.0, 1.0)] * (BLOCKS - 1))
