"""G4, G5 for `executor="process"`: kill -9 of daemons whose workers are at work, and of the workers themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.torture.campaign import Task
from tests.torture.check_workers import check_workers
from tests.torture.evidence import EFFECTS, Evidence, load_evidence
from tests.torture.journal import read_lines
from tests.torture.worker_round import WorkerRound

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.journal import Line
    from tests.torture.round import Report

    Played = tuple[Path, Report, str]

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]

# Of the daemon, before the one in which everything is finished and a worker is killed, too.
LIVES = 1


@pytest.fixture(scope="module")
def played(torture_seed: int, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A round of lives with workers: its folder, its report, and how to repeat it."""
    task = Task(ending="worker", seed=torture_seed, lives=LIVES)
    print(f"again: {task.command}")
    folder = tmp_path_factory.mktemp("workers") / task.name
    return folder, WorkerRound(folder, seed=task.seed, lives=LIVES).run(), task.command


@pytest.fixture
def known(played: Played) -> tuple[Evidence, list[Line]]:
    """The evidence of the round and its log of effects, read anew."""
    return load_evidence(played[0]), read_lines(played[0] / EFFECTS)


def test_steps_in_processes_keep_their_promises_across_kills(played: Played) -> None:
    _, report, again = played
    assert report.findings == [], again
    assert report.figures["deaths"] == LIVES, again
    assert report.figures["workers killed"] > 0, again
    assert report.figures["calls in workers"] > 0, again


def test_a_worker_that_goes_on_after_the_death_of_its_daemon_is_seen(
    known: tuple[Evidence, list[Line]],
) -> None:
    evidence, lines = known
    call = next(line for line in lines if line.get("step") == "crunch")
    late = [{**call, "at": call["at"] + 3600, "token": token} for token in ("one", "two")]
    assert any("calls after the death" in found for found in check_workers(evidence, lines + late))


def test_a_call_that_a_death_does_not_explain_is_seen(known: tuple[Evidence, list[Line]]) -> None:
    evidence, lines = known
    first = next(effect for effect in evidence.effects if effect.step == "crunch")
    again = replace(evidence, effects=[first, *evidence.effects])
    assert any("called twice in life" in found for found in check_workers(again, lines))


def test_an_attempt_that_no_kill_explains_is_seen(known: tuple[Evidence, list[Line]]) -> None:
    evidence, lines = known
    failed = {(effect.run, effect.step, 1): "failed" for effect in evidence.effects}
    assert any(
        "attempts failed; " in found
        for found in check_workers(replace(evidence, attempts=failed), lines)
    )


def test_a_call_in_the_daemon_itself_is_seen(known: tuple[Evidence, list[Line]]) -> None:
    evidence, lines = known
    call = next(line for line in lines if line.get("step") == "polish")
    strays = [*lines, {**call, "daemon": str(call["worker"])}]
    deaths = [*evidence.deaths, {**evidence.deaths[-1], "daemon": str(call["worker"])}]
    findings = check_workers(replace(evidence, deaths=deaths), strays)
    assert any("was called in the daemon itself" in found for found in findings)
