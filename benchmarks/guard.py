"""`python -m benchmarks.guard` (`make bench-quick`): has something become much slower? For CI.

Only ratios are looked at: Reactor beside a bound that does the same work without it, measured in the same round. What
slows the machine down slows both. Noise makes a single round worse, hardly ever better, so one good round of
five is enough; a real loss shows in all of them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import runs, webhooks
from benchmarks.catalogue import BENCHMARKS
from benchmarks.figures import spell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.figures import Figure, Result

BASELINE = Path(__file__).with_name("baseline.json")
ROUNDS = 5
# A ratio may be worse than its baseline by this factor. Paired rounds on a busy machine spread by a third, on an
# overloaded one by half.
TOLERANCE = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A figure that must not become much worse than `baseline`, and the benchmark that measures it."""

    benchmark: str
    figure: Figure
    more_is_better: bool

    def quality(self, value: float, baseline: float) -> float:
        """Return 1 for as good as the baseline, less for worse."""
        return value / baseline if self.more_is_better else baseline / value


GUARDED = (
    Guarded(benchmark="runs", figure=runs.RATIO, more_is_better=True),
    Guarded(benchmark="alone", figure=runs.ALONE_RATIO, more_is_better=False),
    Guarded(benchmark="webhooks", figure=webhooks.RATIO, more_is_better=True),
)


def main() -> int:
    """Return 0, or 1 when a figure was far below its baseline in every round."""
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    is_good = True
    for guarded in GUARDED:
        benchmark = BENCHMARKS[guarded.benchmark]
        verdict = judge(
            guarded, baseline[benchmark.name], partial(benchmark.measure, "quick", False)
        )
        print(verdict.text)
        is_good = is_good and verdict.is_good
    return 0 if is_good else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a figure held, and the line that says so."""

    is_good: bool
    text: str


def judge(guarded: Guarded, baseline: float, measure: Callable[[], Result]) -> Verdict:
    """Measure until a round is good enough, ROUNDS times at most."""
    seen: list[float] = []
    for _ in range(ROUNDS):
        values: Mapping[Figure, float] = measure().values
        seen.append(values[guarded.figure])
        if guarded.quality(seen[-1], baseline) >= TOLERANCE:
            return Verdict(
                is_good=True,
                text=f"{guarded.figure.name}: {spell(seen[-1])} ×, baseline {spell(baseline)}",
            )
    rounds = ", ".join(map(spell, seen))
    return Verdict(
        is_good=False,
        text=(
            f"{guarded.figure.name}: {rounds} × in {ROUNDS} rounds; expected one within "
            f"{1 / TOLERANCE:.1f} times of the baseline of {spell(baseline)}. Something became "
            f'slower: `make bench BENCH_ARGS="--profile {guarded.benchmark}"` shows where the time '
            f"goes. If that is meant, change {BASELINE.name} in the same commit and say why"
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
