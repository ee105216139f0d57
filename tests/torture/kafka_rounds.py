"""Rounds of the long run that need a Kafka broker: G14, G15 and G16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from reactor.testing.java import UnavailableError
from tests.torture.kafka_round import KafkaRound
from tests.torture.poison_round import PoisonRound
from tests.torture.round import Report
from tests.torture.slow_round import SlowRound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# kafka: G14, so many disturbances of members and broker. slow: G15, so many times a million records behind slow steps.
# poison: G16, so many times a topic with garbage beside a clean one.
KafkaKind = Literal["kafka", "slow", "poison"]


def play(
    folder: Path, kind: KafkaKind, seed: int, count: int, advance: Callable[[], object]
) -> Report:
    """Play one round in `folder`, which must not exist; `advance` is called `count` times."""
    try:
        if kind == "kafka":
            played = KafkaRound(folder, seed=seed, lives=count)
            return played.run(lambda number, disturbance: advance())
        folder.mkdir(parents=True)
        findings: list[str] = []
        figures: dict[str, int] = {}
        for number in range(count):
            part = folder / str(number)
            report = SlowRound(part).run() if kind == "slow" else PoisonRound(part).run()
            findings += report.findings
            figures |= report.figures
            advance()
    except UnavailableError as error:
        return Report(findings=[f"no Kafka broker: {error}"], figures={})
    return Report(findings=findings, figures=figures)
