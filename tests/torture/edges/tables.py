"""G21: random cron tables, around changes of the clock, against a search minute by minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, seed, settings

from tests.sensors.cron_oracle import Question, questions

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.torture.edges.catalogue import Outcome


def tables(folder: Path, size: int, luck: Random) -> Outcome:
    """`size` random questions; the first with another answer than the oracle's is made as small as it can be."""
    figures = {"tables": 0, "occurrences": 0}

    @seed(luck.randrange(2**32))
    @settings(
        max_examples=size,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(question=questions())
    def agree(question: Question) -> None:
        found, expected = question.occurrences(), question.expected()
        figures["tables"] += 1
        figures["occurrences"] += len(found)
        assert found == expected, f"{question}: {found}, the oracle says {expected}"

    try:
        agree()
    except AssertionError as error:
        return [f"G21: {error}"], figures
    return [], figures
