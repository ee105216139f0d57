"""The Kafka topic of `reactor demo`: its records, its broker, and the verdict on what became of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from reactor.cli._demo_check import (
    count_differences,
    id_differences,
    order_differences,
)
from reactor.cli._demo_data import (
    INDUSTRIES,
    Record,
    data_folder,
    job_records,
)
from reactor.cli._demo_ledger import Counts
from reactor.cli._demo_plan import (
    BATCH_WORKFLOW,
    PLAN,
    SENSORS,
    TOPIC,
    TOPIC_SENSOR,
    TREND_WORKFLOW,
    WORKFLOWS,
    Expected,
    Produce,
    expected,
)
from reactor.cli._demo_produce import main as produce_main
from reactor.cli._demo_produce import produce
from reactor.cli._demo_stage import project_folder, project_paths
from reactor.cli._demo_topic import (
    Sent,
    Topic,
    followed_by_industry,
    open_topic,
    sent_by_industry,
)
from reactor.daemon.project import load_project

if TYPE_CHECKING:
    from collections.abc import Iterator

SOUND = Record(key=b"k", value=b'{"industry": "government", "month": "2006-01-01", "thousands": 7}')
POISONED = Record(key=b"k", value=b"{", is_poison=True)
TWO_RECORDS = Produce(at_seconds=0, first=0, count=2)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return job_records(data_folder())


class TestRecords:
    def test_the_records_are_a_figure_of_each_industry_and_month_and_some_poison(
        self, records: list[Record]
    ) -> None:
        sound = [orjson.loads(record.value) for record in records if not record.is_poison]
        assert len({(jobs["industry"], jobs["month"]) for jobs in sound}) == len(sound) == 360
        assert all(record.key.decode() in {*INDUSTRIES, "poison"} for record in records)
        assert 0.005 <= sum(record.is_poison for record in records) / len(records) <= 0.015


class TestPlan:
    def test_without_a_topic_the_project_is_all_but_what_reads_it(self) -> None:
        project = load_project(project_paths(project_folder(), has_topic=False))
        assert [str(fault) for fault in project.faults] == []
        assert {*project.sensors} == {*SENSORS} - {TOPIC_SENSOR}
        assert {*project.graphs} == {*WORKFLOWS} - {TREND_WORKFLOW, BATCH_WORKFLOW}

    def test_without_a_topic_the_plan_is_all_but_what_it_produces(self) -> None:
        acts = PLAN.without_topic().acts
        assert acts == [act for act in PLAN.acts if not isinstance(act, Produce)]
        assert len(acts) < len(PLAN.acts)

    def test_the_plan_produces_each_record_once_in_order_in_every_phase(
        self, records: list[Record]
    ) -> None:
        acts = [act for act in PLAN.acts if isinstance(act, Produce)]
        assert [record for act in acts for record in act.of(records)] == records
        for phase in (PLAN.before, PLAN.down, PLAN.after):
            assert any(isinstance(act, Produce) for act in phase)

    def test_a_sound_record_is_expected_in_a_run_of_its_own_and_in_a_batch(self) -> None:
        wanted = expected([TWO_RECORDS], {}, [SOUND, POISONED])
        assert (wanted.events, wanted.runs) == (
            {TOPIC_SENSOR: 1},
            {(TREND_WORKFLOW, "succeeded"): 1},
        )
        assert (wanted.batched, wanted.rows) == ({BATCH_WORKFLOW: 1}, {"jobs": 1})

    def test_a_poisoned_record_is_expected_as_a_dead_letter_without_an_event(self) -> None:
        wanted = expected([TWO_RECORDS], {}, [POISONED, POISONED])
        assert wanted == Expected(
            events={}, runs={}, dead_letters={}, rows={}, parked={TOPIC_SENSOR: 2}
        )


class TestVerdict:
    def test_how_many_batches_there_were_is_no_difference_but_a_failed_one_is(self) -> None:
        wanted = Expected(events={}, runs={}, dead_letters={}, rows={})
        runs = {(BATCH_WORKFLOW, "succeeded"): 7}
        assert count_differences(wanted, Counts(runs=runs), {}) == []
        failed = Counts(runs={**runs, (BATCH_WORKFLOW, "failed"): 1})
        assert len(count_differences(wanted, failed, {})) == 1

    def test_parked_input_and_events_in_batches_are_compared(self) -> None:
        wanted = Expected(
            events={}, runs={}, dead_letters={}, rows={}, parked={"s": 1}, batched={"w": 2}
        )
        assert count_differences(wanted, Counts(batched={"w": 3}), {}) == [
            "input without an event of sensor s: expected 1, found 0",
            "events in batches of w: expected 2, found 3",
        ]

    def test_each_id_once_is_right(self) -> None:
        assert id_differences("events", ["a", "b"], ["b", "a"]) == []

    def test_ids_that_are_missing_strange_or_repeated_are_counted_with_an_example(self) -> None:
        assert id_differences("events", ["a", "b", "c"], ["c", "c", "z"]) == [
            "events: 2 missing, such as a",
            "events: 1 never sent, such as z",
            "events: 1 there more than once, such as c",
        ]

    @pytest.mark.parametrize(
        ("followed", "where"),
        [(["1", "3", "2"], 2), (["1", "2"], 3), (["1", "2", "2", "3"], 3), ([], 1)],
    )
    def test_records_of_a_key_that_are_not_once_each_in_order_are_a_difference(
        self, followed: list[str], where: int
    ) -> None:
        sent = {"k": ["1", "2", "3"]}
        assert order_differences(sent, sent) == []
        faults = order_differences(sent, {"k": followed})
        assert len(faults) == 1
        assert f"from number {where} on" in faults[0]


class TestProducing:
    def test_without_an_address_it_says_what_it_wants(self) -> None:
        with pytest.raises(SystemExit, match="expected the address of the broker"):
            produce_main([])

    @pytest.mark.real_time
    def test_each_line_is_a_record_with_its_key_before_the_tabulator(self, tmp_path: Path) -> None:
        topic = open_topic()
        assert isinstance(topic, Topic), topic
        (tmp_path / "two.txt").write_bytes(b'government\t{"a": 1}\n{"b": "no key"}\n')
        lines = (tmp_path / "two.txt").read_bytes().splitlines()
        assert produce(topic.address, lines) == "2 records are acknowledged"
        reader = Consumer(
            {
                "bootstrap.servers": topic.address,
                "group.id": "test",
                "auto.offset.reset": "earliest",
                "log_level": 3,
            }
        )
        reader.assign([TopicPartition(TOPIC, number, 0) for number in range(4)])
        found = reader.consume(2, timeout=10)
        reader.close()
        topic.close()
        assert {(one.key(), one.value()) for one in found} == {
            (b"government", b'{"a": 1}'),
            (None, b'{"b": "no key"}'),
        }


class TestTopic:
    @pytest.fixture
    def topic(self) -> Iterator[Topic]:
        found = open_topic()
        assert isinstance(found, Topic), found
        yield found
        found.close()

    @pytest.mark.real_time
    async def test_what_is_acknowledged_is_logged_with_where_it_lies(self, topic: Topic) -> None:
        await topic.send([SOUND, POISONED])
        await topic.send([SOUND])
        # One key, so one partition, in order.
        assert [(sent.record, sent.offset) for sent in topic.log] == [
            (SOUND, 0),
            (POISONED, 1),
            (SOUND, 2),
        ]
        assert topic.log[2].event_id == f"jobs/{topic.log[0].partition}/2"

    def test_a_package_that_cannot_be_imported_is_the_reason_to_run_without(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "confluent_kafka", None)
        why = open_topic()
        assert isinstance(why, str)
        assert why.startswith("confluent_kafka cannot be imported (")

    def test_what_was_sent_and_what_was_followed_are_spelled_alike(self, tmp_path: Path) -> None:
        (tmp_path / "trend").mkdir()
        text = "offset,month,thousands,change\n4,2006-01-01,7,+0.0\n"
        (tmp_path / "trend" / "government.csv").write_text(text)
        log = [
            Sent(record=POISONED, partition=1, offset=3),
            Sent(record=SOUND, partition=1, offset=4),
        ]
        wanted = {"government": ["2006-01-01 7"]}
        assert sent_by_industry(log) == followed_by_industry(tmp_path) == wanted
