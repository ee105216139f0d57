"""An interrupted campaign goes on where it was, and tells how to repeat each round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.torture import __main__ as command
from tests.torture.campaign import LIVES_IN_ROUND, Campaign
from tests.torture.round import Round

if TYPE_CHECKING:
    from tests.torture.campaign import Kind

SIZES: dict[Kind, int] = {"kill": 2 * LIVES_IN_ROUND, "terminate": 10}


def test_it_goes_on_after_the_rounds_that_are_done(tmp_path: Path) -> None:
    campaign = Campaign.resume(tmp_path, seed=None, sizes=SIZES)
    first, *others = campaign.left()
    campaign.finish(first, {"runs": 7})
    resumed = Campaign.resume(tmp_path, seed=None, sizes=SIZES)
    assert (resumed.seed, [*resumed.left()]) == (campaign.seed, others)
    assert (resumed.lives_done, resumed.figures) == (LIVES_IN_ROUND, {"runs": 7})


def test_one_that_is_done_is_followed_by_a_new_one(tmp_path: Path) -> None:
    campaign = Campaign.resume(tmp_path, seed=4, sizes=SIZES)
    for task in campaign.left():
        campaign.finish(task, {})
    assert Campaign.resume(tmp_path, seed=4, sizes=SIZES).lives_done == 0


def test_another_seed_or_size_begins_anew(tmp_path: Path) -> None:
    campaign = Campaign.resume(tmp_path, seed=4, sizes=SIZES)
    campaign.finish(next(campaign.left()), {})
    assert Campaign.resume(tmp_path, seed=5, sizes=SIZES).lives_done == 0
    assert Campaign.resume(tmp_path, seed=4, sizes={**SIZES, "kill": 5}).lives_done == 0


def test_figures_are_added_up_but_for_the_longest(tmp_path: Path) -> None:
    campaign = Campaign.resume(tmp_path, seed=4, sizes=SIZES)
    for task, longest in zip(campaign.left(), (5, 9, 7), strict=True):
        campaign.finish(task, {"runs": 2, "longest outlived ms": longest})
    assert campaign.figures == {"runs": 6, "longest outlived ms": 9}


def test_an_aged_database_sees_every_life(tmp_path: Path) -> None:
    (task,) = Campaign.resume(tmp_path, seed=4, sizes={"age": 500}).left()
    assert task.lives == 500


def test_a_round_names_the_command_that_repeats_it(tmp_path: Path) -> None:
    *_, last = Campaign.resume(tmp_path, seed=4, sizes=SIZES).left()
    assert last.command.endswith("round --seed 4000 --lives 10 --ending terminate")


@pytest.mark.real_time
def test_a_round_may_be_played_in_a_relative_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is where `make torture` plays them."""
    monkeypatch.chdir(tmp_path)
    assert Round(Path("rounds/one"), seed=1, lives=1).run().findings == []


def test_every_command_plays_in_an_absolute_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that `make torture` names is relative, and daemons work elsewhere."""
    played: list[Path] = []

    def play(console: object, folder: Path, *_: object, **__: object) -> int:
        played.append(folder)
        return 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tests.torture.__main__.run", play)
    monkeypatch.setattr("tests.torture.edges.campaign.run", play)
    assert [command.main([what]) for what in ("run", "edges")] == [0, 0]
    assert played == [tmp_path / "build" / "torture", tmp_path / "build" / "torture" / "edges"]
