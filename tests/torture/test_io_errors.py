"""G7: whichever call to the disk fails, from then on nothing is acknowledged, and nothing acknowledged is lost."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.torture.ailing_daemon import fail_daemon
from tests.torture.failures import calls_of_a_run, fail

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]

FAILURES = 100
DELIVERIES = 6
# While it starts and makes the tables, while it takes events and runs them.
MOMENTS = (range(1, 11), range(11, 63), range(70, 110), range(110, 150))


async def test_the_nth_failure_ends_all_acknowledging_and_loses_nothing(
    tmp_path: Path, torture_seed: int
) -> None:
    seed = str(torture_seed)
    luck = random.Random(torture_seed)
    count = await calls_of_a_run(tmp_path / "sound", seed)
    said = 0
    for number in luck.sample(range(1, count + 1), FAILURES):
        lasts = luck.random() < 0.5
        failure = await fail(tmp_path / f"{number}", seed, number, lasts=lasts)
        assert failure.findings == [], f"seed {seed}, call {number} of {count}, {lasts=}"
        said += failure.said != ""
    assert said > FAILURES // 2


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment.start}-{moment.stop - 1}")
def test_a_daemon_whose_disk_fails_ends_with_exit_code_5_and_the_next_has_everything(
    tmp_path: Path, torture_seed: int, moment: range
) -> None:
    number = random.Random(torture_seed).choice(moment)
    has_failed, findings = fail_daemon(tmp_path / "daemon", number, deliveries=DELIVERIES)
    assert findings == [], f"call {number}"
    assert has_failed, f"call {number}"
