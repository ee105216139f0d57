"""The whole engine, simulated: seed after seed keeps every promise, and a seed always tells the same story."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.campaign import STORMS, Campaign, repeat_command
from tests.simulation.minimise import minimise
from tests.simulation.plan import PLAN, Plan, draw_plan, draw_storm
from tests.simulation.simulation import simulate

# Another seed each time finds more; the one of a failure repeats it.
SEED_VARIABLE = "TORTURE_SEED"
SEEDS = 120
CANCELS = 20_000
FOUND = sorted((Path(__file__).parent / "found").glob("*.json"))


@pytest.fixture(scope="module")
def first_seed() -> int:
    """The first seed of this session: $TORTURE_SEED, or else a new one."""
    return int(os.environ.get(SEED_VARIABLE) or secrets.randbelow(1_000_000)) * 1000


@pytest.mark.timeout(300)
def test_every_promise_is_kept_whatever_happens(first_seed: int) -> None:
    blocks = 0
    for seed in range(first_seed, first_seed + SEEDS):
        blocks += _judge(draw_plan(seed), repeat_command(seed))["blocks"]
    assert blocks, "no plan had events that were kept in a block"


@pytest.mark.timeout(300)
def test_a_storm_of_cancellations_tears_nothing(first_seed: int) -> None:
    cancels = 0
    seed = first_seed
    while cancels < CANCELS:
        cancels += _judge(draw_storm(seed, storms=STORMS), repeat_command(seed, is_storm=True))[
            "cancels"
        ]
        seed += 1


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_once_found_a_fault_finds_none(path: Path) -> None:
    outcome = simulate(PLAN.validate_json(path.read_bytes()))
    assert outcome.findings == []


@pytest.mark.parametrize("seed", [3, 14, 159])
def test_a_seed_tells_the_same_story_twice(seed: int) -> None:
    assert simulate(draw_plan(seed)).trace == simulate(draw_plan(seed)).trace


def test_other_seeds_tell_other_stories() -> None:
    assert len({simulate(draw_plan(seed)).trace for seed in range(10)}) == 10


@pytest.mark.real_time
def test_a_seed_tells_the_same_story_in_every_process() -> None:
    code = (
        "from tests.simulation.plan import draw_plan, draw_storm\n"
        "from tests.simulation.simulation import simulate\n"
        "plans = [draw_plan(seed) for seed in range(20)] + [draw_storm(5, storms=60)]\n"
        "print(*[simulate(plan).trace for plan in plans])\n"
    )
    stories = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(stories) == 1


def test_a_plan_survives_its_file() -> None:
    plan = draw_plan(7)
    assert PLAN.validate_json(PLAN.dump_json(plan)) == plan


def test_an_interrupted_campaign_goes_on_after_the_seeds_that_are_done(tmp_path: Path) -> None:
    campaign = Campaign.resume(tmp_path, seed=4, seeds=20, cancels=0)
    campaign.done = 15
    campaign.write()
    resumed = Campaign.resume(tmp_path, seed=None, seeds=20, cancels=0)
    assert (resumed.first, resumed.done) == (4, 15)
    assert resumed.run(lambda line: None) == []
    assert Campaign.resume(tmp_path, seed=4, seeds=20, cancels=0).done == 0


def _judge(plan: Plan, again: str) -> Counter[str]:
    """Simulate a plan and return its figures; where it fails, say so with the smallest plan that fails."""
    outcome = simulate(plan)
    if outcome.findings:
        small = PLAN.dump_json(minimise(plan), indent=1).decode()
        told = "\n".join(outcome.findings[:20])
        pytest.fail(f"{told}\nagain: {again}\nminimised, for tests/simulation/found:\n{small}")
    return outcome.figures
