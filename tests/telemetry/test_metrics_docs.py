"""docs/metrics.md names every family with its labels and its bound, and no other."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from prometheus_client import Metric

from reactor.telemetry.families import Counter, Histogram
from reactor.telemetry.metrics import DELIVERIES, OUTCOMES, STAGES, Metrics, Readings

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(reactor_\w+)(?:\{([\w,]+)\})?` \| (\w+) \| (\d+) \|", re.MULTILINE)
SUFFIX = re.compile(r"_(total|info|bucket|sum|count)$")
MANY = [f"name {number}" for number in range(320)]


def overfull() -> Metrics:
    """Return metrics in which every family has more label sets than it may show."""
    metrics = Metrics(release="1.2.3")
    known = {"outcome": (*OUTCOMES, *DELIVERIES, "odd"), "stage": (*STAGES, "odd")}
    for family in vars(metrics).values():
        if not isinstance(family, Counter | Histogram):
            continue
        closed = next((label for label in family.labels if label in known), None)
        for name in MANY:
            for value in known[closed] if closed else (name,):
                labels = tuple(value if label == closed else name for label in family.labels)
                if isinstance(family, Counter):
                    family.add(labels)
                else:
                    family.observe(labels, 0.1)
    numbers = dict.fromkeys(MANY, 1)
    readings = Readings(
        pending_runs=numbers,
        running_runs=numbers,
        credits_left=numbers,
        sensors_up=dict.fromkeys(MANY, True),
        lag_records=numbers,
        lag_seconds=numbers,
        outbox_pending=numbers,
        paused_partitions=numbers,
    )
    metrics.collect_from(lambda: readings)
    return metrics


def base(name: str) -> str:
    return SUFFIX.sub("", name)


FAMILIES: dict[str, Metric] = {family.name: family for family in overfull().registry.collect()}
OURS = sorted(name for name in FAMILIES if name.startswith("reactor_"))
ROWS = {
    base(name): (name, labels, kind, int(sets))
    for name, labels, kind, sets in ROW.findall(DOCUMENT)
}


def label_sets(family: Metric) -> set[tuple[tuple[str, str], ...]]:
    return {
        tuple(sorted((label, value) for label, value in sample.labels.items() if label != "le"))
        for sample in family.samples
    }


def test_every_family_has_its_row_and_no_row_is_without_one() -> None:
    assert sorted(ROWS) == sorted(map(base, OURS))


def test_no_query_asks_for_what_there_is_not() -> None:
    named = {base(name) for name in re.findall(r"\breactor_[a-z_]+\b", DOCUMENT)}
    assert named == {base(name) for name in OURS}


@pytest.mark.skipif(sys.platform != "linux", reason="the process tells of itself on Linux only")
def test_what_the_process_tells_is_named() -> None:
    named = set(re.findall(r"\bprocess_[a-z_]+\b", DOCUMENT))
    assert {base(name) for name in named} == {
        base(name) for name in FAMILIES if name.startswith("process_")
    }


@pytest.mark.parametrize("name", OURS)
def test_a_row_tells_name_labels_type_and_bound(name: str) -> None:
    family = FAMILIES[name]
    documented, labels, kind, sets = ROWS[base(name)]
    found = label_sets(family)
    assert {label for label, _ in next(iter(found))} == set(filter(None, labels.split(",")))
    assert documented in {sample.name for sample in family.samples} | {name}
    assert kind == family.type.replace("info", "gauge")
    assert sets == len(found)


def test_all_families_together_keep_to_the_bound() -> None:
    page, _ = overfull().render()
    assert sum(not line.startswith(b"#") for line in page.splitlines()) <= 2_000
