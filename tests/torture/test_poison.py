"""G16 for Kafka, its short form: what garbage becomes. How fast, `make torture` compares."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from reactor.testing.java import UnavailableError
from tests.torture.poison_round import ONE_IN, PoisonRound

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]


def test_garbage_is_parked_with_its_bytes_and_keeps_the_order_of_its_key_when_it_is_redriven(
    tmp_path: Path,
) -> None:
    poison = PoisonRound(tmp_path / "poison", records=20 * ONE_IN)
    try:
        report = poison.run()
    except UnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(f"no Kafka broker: {error}", pytrace=False)
        pytest.skip(f"no Kafka broker: {error}")
    assert report.findings == []
    assert report.figures["redriven"] == 10
