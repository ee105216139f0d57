"""Facts: their log lines and what they count."""

from __future__ import annotations

import dataclasses
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from reactor.telemetry import Metrics, Telemetry, facts
from reactor.telemetry.facts import (
    EventsAccepted,
    EventsDeadLettered,
    Fact,
    OccurrenceSkipped,
    RunFinished,
    RunParked,
    RunStarted,
    StepFinished,
)
from reactor.telemetry.families import MOST_WAITING

if TYPE_CHECKING:
    from collections.abc import Iterator

OCCURRED_AT = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = sorted((getattr(facts, name) for name in facts.__all__ if name != "Fact"), key=repr)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def telemetry(metrics: Metrics) -> Telemetry:
    return Telemetry(metrics)


@pytest.fixture(autouse=True)
def at_info() -> Iterator[None]:
    log = logging.getLogger("reactor")
    before = log.level
    log.setLevel(logging.INFO)
    yield
    log.setLevel(before)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def accepted(*, duplicate: bool = False) -> EventsAccepted:
    return EventsAccepted(
        sensor="files:inbox",
        event_ids=[] if duplicate else ["7"],
        duplicates=int(duplicate),
        ages_seconds=[] if duplicate else [2.0],
        took_seconds=0.5,
    )


def step(*, outcome: str = "succeeded", final: bool = True) -> StepFinished:
    return StepFinished(
        workflow="rates",
        step="load",
        run=1,
        attempt=1,
        outcome=outcome,
        duration_seconds=0.02,
        final=final,
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_every_kind_is_slotted_and_says_its_line(kind: type[Fact]) -> None:
    assert issubclass(kind, Fact)
    assert "__slots__" in vars(kind)
    assert all(field.kw_only for field in dataclasses.fields(kind))
    assert kind.level in {logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR}
    assert kind.message == kind.message.lower()
    assert kind.__doc__
    assert not kind.__doc__.startswith(kind.__name__)


def test_messages_are_unlike_each_other() -> None:
    assert len({kind.message for kind in KINDS}) == len(KINDS)


def test_an_accepted_event_counts_once_with_its_latencies(
    telemetry: Telemetry, metrics: Metrics
) -> None:
    telemetry.emit(accepted())
    assert value(metrics, "reactor_events_accepted_total", sensor="files:inbox") == 1
    assert value(metrics, "reactor_event_latency_seconds_sum", stage="observed") == 2
    assert value(metrics, "reactor_event_latency_seconds_sum", stage="durable") == 0.5


def test_a_duplicate_is_counted_apart(telemetry: Telemetry, metrics: Metrics) -> None:
    telemetry.emit(accepted(duplicate=True))
    assert value(metrics, "reactor_events_duplicate_total", sensor="files:inbox") == 1
    assert value(metrics, "reactor_events_accepted_total", sensor="files:inbox") is None
    assert value(metrics, "reactor_event_latency_seconds_count", stage="durable") is None


def test_events_one_by_one_are_all_counted_by_their_sensors(
    telemetry: Telemetry, metrics: Metrics
) -> None:
    for number in range(MOST_WAITING + 3):
        telemetry.emit(dataclasses.replace(accepted(), sensor="abc"[number % 3]))
        telemetry.emit(dataclasses.replace(accepted(duplicate=True), sensor="abc"[number % 3]))
    sums = {
        family: sum(
            value(metrics, f"reactor_events_{family}_total", sensor=name) or 0 for name in "abc"
        )
        for family in ("accepted", "duplicate")
    }
    assert sums == {"accepted": MOST_WAITING + 3, "duplicate": MOST_WAITING + 3}
    assert (
        value(metrics, "reactor_event_latency_seconds_count", stage="durable") == MOST_WAITING + 3
    )


def test_events_that_came_together_are_not_kept_until_they_are_counted(
    telemetry: Telemetry, metrics: Metrics
) -> None:
    ids = ["7", "8"]
    before = sys.getrefcount(ids)
    telemetry.emit(dataclasses.replace(accepted(), event_ids=ids, ages_seconds=[1.0, 2.0]))
    assert sys.getrefcount(ids) == before
    assert value(metrics, "reactor_events_accepted_total", sensor="files:inbox") == 2
    assert value(metrics, "reactor_event_latency_seconds_sum", stage="observed") == 3


def test_a_retried_step_counts_once_and_every_attempt_has_its_duration(
    telemetry: Telemetry, metrics: Metrics
) -> None:
    telemetry.emit(step(outcome="failed", final=False))
    telemetry.emit(step())
    of_step = {"workflow": "rates", "step": "load"}
    assert value(metrics, "reactor_steps_total", **of_step, outcome="succeeded") == 1
    assert value(metrics, "reactor_steps_total", **of_step, outcome="failed") is None
    assert value(metrics, "reactor_step_duration_seconds_count", **of_step) == 2


def test_a_skipped_step_has_no_duration(telemetry: Telemetry, metrics: Metrics) -> None:
    telemetry.emit(step(outcome="skipped"))
    of_step = {"workflow": "rates", "step": "load"}
    assert value(metrics, "reactor_steps_total", **of_step, outcome="skipped") == 1
    assert value(metrics, "reactor_step_duration_seconds_count", **of_step) is None


def test_a_run_counts_its_outcome_and_the_age_of_its_event(
    telemetry: Telemetry, metrics: Metrics
) -> None:
    telemetry.emit(RunStarted(workflow="rates", run=1, event_id="7", age_seconds=3))
    telemetry.emit(
        RunFinished(
            workflow="rates",
            run=1,
            outcome="timed_out",
            duration_seconds=1,
            age_seconds=4,
        )
    )
    assert value(metrics, "reactor_runs_total", workflow="rates", outcome="timed_out") == 1
    assert value(metrics, "reactor_event_latency_seconds_sum", stage="started") == 3
    assert value(metrics, "reactor_event_latency_seconds_sum", stage="finished") == 4


def test_more_facts_than_are_counted_at_once_are_all_counted(
    telemetry: Telemetry, metrics: Metrics
) -> None:
    for number in range(2 * MOST_WAITING + 1):
        telemetry.emit(step(outcome="failed" if number % 3 == 0 else "succeeded"))
    of_step = {"workflow": "rates", "step": "load"}
    failed = value(metrics, "reactor_steps_total", **of_step, outcome="failed")
    succeeded = value(metrics, "reactor_steps_total", **of_step, outcome="succeeded")
    assert (failed, succeeded) == (171, 342)
    assert value(metrics, "reactor_step_duration_seconds_count", **of_step) == 513


def test_facts_of_many_threads_are_counted_once_each_while_others_look(
    telemetry: Telemetry, metrics: Metrics
) -> None:
    def tell() -> None:
        for _ in range(1_000):
            telemetry.emit(step())

    tellers = [threading.Thread(target=tell) for _ in range(4)]
    for teller in tellers:
        teller.start()
    while any(teller.is_alive() for teller in tellers):
        metrics.render()
    of_step = {"workflow": "rates", "step": "load"}
    assert value(metrics, "reactor_steps_total", **of_step, outcome="succeeded") == 4_000


def test_a_resumed_run_does_not_spoil_the_latency_of_starting(
    telemetry: Telemetry, metrics: Metrics
) -> None:
    telemetry.emit(RunStarted(workflow="rates", run=1, event_id="7", age_seconds=None))
    assert value(metrics, "reactor_event_latency_seconds_count", stage="started") is None


def test_dead_letters_and_skips_count_by_sensor_and_reason(
    telemetry: Telemetry, metrics: Metrics
) -> None:
    telemetry.emit(
        EventsDeadLettered(sensor="s", reason="not_json", event_ids=["1", "2"], detail="line 1")
    )
    telemetry.emit(RunParked(sensor="s", workflow="w", run_id="1", event_id="1", deaths=3))
    telemetry.emit(
        OccurrenceSkipped(sensor="s", occurrence_id="1", reason="missed", due_at=OCCURRED_AT)
    )
    assert value(metrics, "reactor_dead_letters_total", sensor="s", reason="not_json") == 2
    assert value(metrics, "reactor_dead_letters_total", sensor="s", reason="process_died") == 1
    assert value(metrics, "reactor_skipped_occurrences_total", sensor="s", reason="missed") == 1


def test_a_fact_below_the_level_is_counted_but_not_logged(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry.emit(accepted())
    assert not caplog.records


def test_a_failed_step_is_a_warning_with_its_fields(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry.emit(step(outcome="failed"))
    [record] = caplog.records
    assert (record.levelno, record.name, record.message) == (
        logging.WARNING,
        "reactor",
        "step finished",
    )
    assert vars(record)["fields"] == {
        "workflow": "rates",
        "run_id": "0000000000001",
        "step": "load",
        "attempt": 1,
        "outcome": "failed",
        "duration_seconds": 0.02,
        "final": True,
    }


def test_sinks_get_every_fact_in_order_until_they_are_detached(metrics: Metrics) -> None:
    class Recorder:
        def __init__(self) -> None:
            self.taken: list[Fact] = []

        def take(self, fact: Fact) -> None:
            self.taken.append(fact)

    first, later = Recorder(), Recorder()
    telemetry = Telemetry(metrics, [first])
    one, two, three = accepted(), step(), step(outcome="failed")
    telemetry.emit(one)
    telemetry.attach(later)
    telemetry.emit(two)
    telemetry.detach(later)
    telemetry.emit(three)
    assert first.taken == [one, two, three]
    assert later.taken == [two]
