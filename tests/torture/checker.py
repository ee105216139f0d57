"""Whether a round kept every promise. `check` returns what is wrong, one sentence each, with the promise's number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.torture.check_effects import check_effects
from tests.torture.check_intake import check_deliveries, check_files, check_timers
from tests.torture.check_runs import check_deaths, check_runs

if TYPE_CHECKING:
    from tests.torture.evidence import Evidence


def check(evidence: Evidence) -> list[str]:
    """Return all findings; none means that the round kept every promise that it looks at."""
    return [
        *evidence.failures,
        *check_deliveries(evidence),
        *check_files(evidence),
        *check_timers(evidence),
        *check_runs(evidence),
        *check_deaths(evidence),
        *check_effects(evidence),
    ]
