"""G10, G11, G13, G16 to G20, G30: every hostile scenario in its short form, against a daemon of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.torture.edges.campaign import CASES, Portion, Progress
from tests.torture.edges.layer import compiler

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.edges.catalogue import Case

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.mark.real_time
@pytest.mark.torture_quick
@pytest.mark.timeout(240)
@each_case
def test_hostile_input_breaks_no_promise(case: Case, tmp_path: Path, torture_seed: int) -> None:
    if case.needs_compiler and compiler() is None and not os.environ.get("CI"):
        pytest.skip("no C compiler `cc`: no layer under the daemon can be made")
    portion = Portion(case=case, seed=torture_seed, size=case.quick)
    print(f"again: {portion.command}")
    findings, figures = case.run(tmp_path / case.name, size=portion.size, seed=portion.seed)
    print(figures)
    assert findings == [], portion.command


def test_the_long_run_goes_on_after_the_portions_that_are_done(tmp_path: Path) -> None:
    cases = [*CASES.values()]
    begun = Progress(tmp_path, 7)
    first, *others = begun.left(cases)
    begun.finish(first, {"files": 3})
    assert Progress(tmp_path, None).left(cases) == others
    assert Progress(tmp_path, 8).left(cases)[0].seed == 8000


def test_a_long_run_that_is_done_is_followed_by_one_with_another_seed(tmp_path: Path) -> None:
    case = next(iter(CASES.values()))
    progress = Progress(tmp_path, 7)
    for portion in progress.left([case]):
        progress.finish(portion, {"files": 1, "longest delay ms": 5})
    assert progress.figures(case)["longest delay ms"] == 5
    assert progress.figures(case)["files"] > 1
    assert {portion.seed // 1000 for portion in progress.left([case])} == {8}
