"""The page that Prometheus scrapes: its names, its bounds, its validity."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reactor.telemetry import Metrics, Readings
from reactor.telemetry.families import OTHER, Counter, Histogram, mirrored_gauge

if TYPE_CHECKING:
    from collections.abc import Callable

HOW_TO_GET = "promtool is not installed; on Debian and Ubuntu: apt install prometheus"
FAMILIES = {
    "reactor_events_accepted": {"sensor"},
    "reactor_events_duplicate": {"sensor"},
    "reactor_events_refused": {"sensor"},
    "reactor_requests_shed": {"reason"},
    "reactor_sensor_incidents": {"sensor", "reason"},
    "reactor_sensor_lag_records": {"sensor"},
    "reactor_sensor_lag_seconds": {"sensor"},
    "reactor_sensor_paused_partitions": {"sensor"},
    "reactor_dead_letters": {"sensor", "reason"},
    "reactor_skipped_occurrences": {"sensor", "reason"},
    "reactor_outbox_pending": {"workflow"},
    "reactor_outbox_records": {"outcome"},
    "reactor_outbox_stalls": set(),
    "reactor_runs": {"workflow", "outcome"},
    "reactor_steps": {"workflow", "step", "outcome"},
    "reactor_step_duration_seconds": {"workflow", "step"},
    "reactor_event_latency_seconds": {"stage"},
    "reactor_pending_runs": {"workflow"},
    "reactor_running_runs": {"workflow"},
    "reactor_credits": {"kind"},
    "reactor_sensor_up": {"sensor"},
    "reactor_commit_seconds": set(),
    "reactor_commit_batch_size": set(),
    "reactor_loop_lag_seconds": set(),
    "reactor_build_info": {"version", "python"},
}


def filled(names: list[str]) -> Metrics:
    metrics = Metrics(release="1.2.3")
    for name in names:
        metrics.events_accepted.add((name,))
        metrics.events_duplicate.add((name,))
        metrics.events_refused.add((name,))
        metrics.requests_shed.add((name,))
        metrics.sensor_incidents.add((name, name))
        metrics.dead_letters.add((name, name))
        metrics.skipped_occurrences.add((name, name))
        metrics.runs.add((name, "succeeded"))
        metrics.runs.add((name, "failed"))
        metrics.steps.add((name, name, "succeeded"))
        metrics.step_duration.observe((name, name), 0.2)
        metrics.event_latency.observe(("observed",), 0.2)
        # Neither is known; both must stay within bounds all the same.
        metrics.runs.add((name, name))
        metrics.event_latency.observe((name,), 0.2)
        metrics.outbox_records.add((name,))
        metrics.outbox_stalls.add(())
    numbers = dict.fromkeys(names, 1)
    readings = Readings(
        pending_runs=numbers,
        running_runs=numbers,
        credits_left=numbers,
        sensors_up=dict.fromkeys(names, True),
        lag_records=numbers,
        lag_seconds=numbers,
        outbox_pending=numbers,
        paused_partitions=numbers,
    )
    metrics.collect_from(lambda: readings)
    return metrics


def total(metrics: Metrics, name: str) -> float:
    samples = (sample for family in metrics.registry.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == name)


def series(metrics: Metrics) -> int:
    return sum(not line.startswith(b"#") for line in metrics.render()[0].splitlines())


def test_the_families_and_their_labels_are_the_documented_ones() -> None:
    page, _ = filled(["a"]).render()
    found = {
        family.name: {label for sample in family.samples for label in sample.labels} - {"le"}
        for family in text_string_to_metric_families(page.decode())
        if not family.name.startswith("process_")
    }
    assert found == FAMILIES


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
def test_the_process_tells_its_memory_and_descriptors() -> None:
    registry = Metrics().registry
    assert (registry.get_sample_value("process_resident_memory_bytes") or 0) > 1_000_000
    assert (registry.get_sample_value("process_open_fds") or 0) >= 3


@pytest.mark.real_time
def test_a_hundred_thousand_names_make_few_series_a_quick_scrape_and_lose_no_count() -> None:
    count = 100_000
    metrics = filled([f"inbox/{number}.csv" for number in range(count)])
    assert series(metrics) <= 2_000
    assert total(metrics, "reactor_events_accepted_total") == count
    assert total(metrics, "reactor_dead_letters_total") == count
    assert total(metrics, "reactor_runs_total") == 3 * count
    assert total(metrics, "reactor_step_duration_seconds_count") == count
    assert total(metrics, "reactor_pending_runs") == count
    # 50 ms where spelling the names takes 23: a machine that is slow is slow at both.
    ratios = [
        processor_seconds(metrics.render) / processor_seconds(lambda: spell_names(count))
        for _ in range(10)
    ]
    assert min(ratios) <= 50 / 23


def spell_names(count: int) -> dict[str, int]:
    return {f"inbox/{number}.csv": number for number in range(count)}


def processor_seconds(work: Callable[[], object]) -> float:
    # Of this thread: what others do on the machine meanwhile is not looked at.
    began = time.thread_time()
    work()
    return time.thread_time() - began


def test_names_that_were_there_first_keep_their_own_series() -> None:
    counter = Counter("c", "Documentation.", ("sensor",), limit=3)
    for name in "aabbccdd":
        counter.add((name,))
    [family] = counter.collect()
    assert {sample.labels["sensor"]: sample.value for sample in family.samples} == {
        "a": 2,
        "b": 2,
        OTHER: 4,
    }


def test_a_known_outcome_is_kept_where_the_workflow_is_not() -> None:
    counter = Counter(
        "c", "Documentation.", ("workflow", "outcome"), limit=4, closed={"outcome": ("ok", "bad")}
    )
    for labels in (("a", "ok"), ("b", "ok"), ("b", "bad"), ("c", "strange")):
        counter.add(labels)
    [family] = counter.collect()
    assert {tuple(sample.labels.values()): sample.value for sample in family.samples} == {
        ("a", "ok"): 1,
        (OTHER, "ok"): 1,
        (OTHER, "bad"): 1,
        (OTHER, OTHER): 1,
    }


def test_a_family_without_room_beside_the_shared_sets_is_refused() -> None:
    with pytest.raises(ValueError, match="leave no room"):
        Counter("c", "Documentation.", ("outcome",), limit=3, closed={"outcome": ("ok", "bad")})


def test_buckets_are_cumulative_and_a_negative_value_counts_as_zero() -> None:
    histogram = Histogram("h", "Documentation.", bounds=(0.5, 1.0))
    for value in (-3.0, 0.5, 0.7, 9.0):
        histogram.observe((), value)
    [family] = histogram.collect()
    assert [sample.value for sample in family.samples] == [2, 3, 4, 4, 10.2]


@pytest.mark.parametrize(
    "values", [[], [0.7], [-3.0, 0.5, 0.7, 9.0], [9.0, 1.0, 0.5, 0.5, -0.1, 0.0]]
)
def test_many_observations_count_as_one_by_one(values: list[float]) -> None:
    together = Histogram("h", "Documentation.", bounds=(0.5, 1.0))
    alone = Histogram("h", "Documentation.", bounds=(0.5, 1.0))
    together.observe_all((), values)
    for value in values:
        alone.observe((), value)
    ([one], [other]) = (list(together.collect()), list(alone.collect()))
    assert [sample.value for sample in one.samples] == pytest.approx(
        [sample.value for sample in other.samples]
    )


def test_a_gauge_forgets_what_is_gone_and_merges_what_does_not_fit() -> None:
    family = mirrored_gauge(
        "g", "Documentation.", "sensor", {"a": 1, "b": 1, "c": 0}, limit=2, merge=min
    )
    assert [(sample.labels["sensor"], sample.value) for sample in family.samples] == [
        ("a", 1),
        (OTHER, 0),
    ]


def test_hostile_names_neither_break_the_page_nor_add_lines() -> None:
    hostile = 'x"\n# HELP evil\r\x1b[2J\\\udcff\u202e'
    page, _ = filled([hostile, "y" * 5_000]).render()
    assert b"\x1b" not in page
    assert not any(line.startswith(b"# HELP evil") for line in page.splitlines())
    assert max(map(len, page.splitlines())) < 1_000
    list(text_string_to_metric_families(page.decode()))


def test_openmetrics_is_served_to_those_who_ask() -> None:
    page, content_type = filled(["a"]).render("application/openmetrics-text;version=1.0.0")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert page.endswith(b"# EOF\n")
    assert Metrics().render()[1].startswith("text/plain; version=0.0.4")


def test_counts_of_several_threads_are_all_kept() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(5_000):
            metrics.runs.add(("w", "succeeded"))
            metrics.step_duration.observe(("w", "s"), 0.1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(metrics, "reactor_runs_total") == 20_000
    assert total(metrics, "reactor_step_duration_seconds_count") == 20_000


def test_promtool_finds_no_fault() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail(HOW_TO_GET)
        pytest.skip(HOW_TO_GET)
    page, _ = filled(["a", "b"]).render()
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, timeout=20, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
