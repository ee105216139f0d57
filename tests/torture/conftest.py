"""One round of kills that its own test and the self-tests of the checker look at."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest

from reactor.testing.java import UnavailableError
from tests.torture.campaign import Task
from tests.torture.evidence import Evidence, load_evidence
from tests.torture.kafka_round import KafkaRound
from tests.torture.round import Report, Round

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.torture.round import Ending

    PlayRound = Callable[[Ending, int], tuple[Path, Report, str]]

# Another seed each time finds more; the one of a failure repeats it.
SEED_VARIABLE = "TORTURE_SEED"
KILLS = 12
# As many as G14 promises; each kind of disturbance comes at least once.
DISTURBED = 10


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "torture_quick: the short form of `make torture`; a daemon is ended many times"
    )


@pytest.fixture(scope="session")
def torture_seed() -> int:
    """The seed of all rounds of this session: $TORTURE_SEED, or else a new one."""
    return int(os.environ.get(SEED_VARIABLE) or secrets.randbelow(1_000_000))


@pytest.fixture(scope="session")
def play_round(torture_seed: int, tmp_path_factory: pytest.TempPathFactory) -> PlayRound:
    """Return a function that plays a round and returns its folder, its report, and how to repeat it."""

    def play(ending: Ending, lives: int) -> tuple[Path, Report, str]:
        task = Task(ending=ending, seed=torture_seed, lives=lives)
        again = f"{ending} round with the seed {torture_seed}; again: {task.command}"
        print(again)
        folder = tmp_path_factory.mktemp("torture") / task.name
        return folder, Round(folder, seed=task.seed, lives=lives, ending=ending).run(), again

    return play


@pytest.fixture(scope="session")
def killed(play_round: PlayRound) -> tuple[Path, Report, str]:
    """A round in which the daemon was killed 12 times: its folder, its report, and how to repeat it."""
    return play_round("kill", KILLS)


@pytest.fixture
def killed_evidence(killed: tuple[Path, Report, str]) -> Evidence:
    """The evidence of that round, read anew."""
    return load_evidence(killed[0])


@pytest.fixture(scope="session")
def disturbed(
    torture_seed: int, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Report, str]:
    """A round of Kafka members that were disturbed 10 times: its folder, its report, and how to repeat it."""
    task = Task(ending="kafka", seed=torture_seed, lives=DISTURBED)
    again = f"kafka round with the seed {torture_seed}; again: {task.command}"
    print(again)
    folder = tmp_path_factory.mktemp("torture") / task.name
    try:
        return folder, KafkaRound(folder, seed=task.seed, lives=task.lives).run(), again
    except UnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(f"no Kafka broker: {error}", pytrace=False)
        pytest.skip(f"no Kafka broker: {error}")
