"""`reactor demo`: its plan, its data, its verdict; and the whole of it for real."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from rich.console import Console

from reactor.cli._demo_check import (
    count_differences,
    differences,
    percentile,
    step_differences,
    tick_differences,
    timer_run_differences,
)
from reactor.cli._demo_daemon import DemoError, free_address, wait_until
from reactor.cli._demo_data import (
    DataFile,
    data_files,
    data_folder,
    require_packages,
)
from reactor.cli._demo_feed import (
    Answer,
    Feeder,
    answer_differences,
    refused_and_repeated,
    signed,
    spell_answer,
)
from reactor.cli._demo_ledger import Counts, FinishedRun, Ledger, Parked
from reactor.cli._demo_plan import (
    BATCH_WORKFLOW,
    FILE_SENSORS,
    PLAN,
    PUSH_WORKFLOW,
    SENSORS,
    TIMER_SENSOR,
    TIMER_WORKFLOW,
    TOPIC_SENSOR,
    TREND_WORKFLOW,
    WEBHOOK_SENSOR,
    WORKFLOWS,
    Delivery,
    Drop,
    Expected,
    Produce,
    expected,
    push_payload,
    sent_to_sensors,
)
from reactor.cli._demo_screen import (
    Arrivals,
    Beside,
    Screen,
    event_table,
    run_table,
    spell_micros,
    spell_pair,
    spell_run,
)
from reactor.cli._demo_stage import prepared_folder, project_folder
from reactor.daemon.project import load_project
from reactor.errors import SettingsError
from reactor.testing import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SECRET = "a secret of the test"


@pytest.fixture(scope="module")
def files() -> dict[str, DataFile]:
    return data_files(data_folder())


def instants(*seconds: float) -> list[datetime]:
    return [NOON + SECOND * second for second in seconds]


class TestData:
    def test_every_row_of_the_sources_is_in_exactly_one_file(
        self, files: dict[str, DataFile]
    ) -> None:
        rows: dict[str, int] = {}
        for file in files.values():
            rows[file.table] = rows.get(file.table, 0) + file.rows
        lines = {
            "prices": (data_folder() / "stocks.csv").read_text().count("\n"),
            "weather": (data_folder() / "seattle-weather.csv").read_text().count("\n"),
        }
        assert rows["prices"] in (lines["prices"], lines["prices"] - 1)
        assert rows["weather"] in (lines["weather"], lines["weather"] - 1)
        assert rows["cars"] == len(orjson.loads((data_folder() / "cars.json").read_bytes()))

    def test_one_file_is_damaged_in_one_line(self, files: dict[str, DataFile]) -> None:
        damaged = [file for file in files.values() if file.is_damaged]
        assert [file.place for file in damaged] == ["prices/damaged.csv"]
        lines = damaged[0].content.decode().splitlines()
        assert [number for number, line in enumerate(lines, 1) if line.count(",") != 2] == [60]

    def test_missing_packages_are_named_with_the_way_to_get_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("reactor.cli._demo_data.NEEDED", ("httpx", "no_such_package"))
        with pytest.raises(SettingsError, match=r"needs no_such_package, .*make demo"):
            require_packages()


class TestPlan:
    def test_the_plan_delivers_each_data_file_once(self, files: dict[str, DataFile]) -> None:
        dropped = [act.place for act in PLAN.acts if isinstance(act, Drop)]
        assert sorted(dropped) == sorted(files)

    def test_the_plan_has_a_forged_a_repeated_and_a_slow_one(self) -> None:
        deliveries = [act for act in PLAN.acts if isinstance(act, Delivery)]
        numbers = [delivery.number for delivery in deliveries]
        assert sum(delivery.is_forged for delivery in deliveries) == 1
        assert len(numbers) - len({*numbers}) == 1
        assert any(isinstance(act, Drop) and act.how == "slow" for act in PLAN.before)

    def test_the_sensors_of_the_project_have_the_names_that_the_plan_counts_by(self) -> None:
        project = load_project([project_folder()])
        assert [str(fault) for fault in project.faults] == []
        names = {*FILE_SENSORS.values(), WEBHOOK_SENSOR, TIMER_SENSOR, TOPIC_SENSOR}
        assert {*project.sensors} == names == {*SENSORS}
        own = {PUSH_WORKFLOW, TIMER_WORKFLOW, TREND_WORKFLOW, BATCH_WORKFLOW}
        assert {*project.graphs} == {*FILE_SENSORS, *own} == {*WORKFLOWS}

    def test_what_is_sent_counts_forged_and_repeated_deliveries(
        self, files: dict[str, DataFile]
    ) -> None:
        sent = sent_to_sensors(PLAN.acts, files)
        one_each = [act for act in PLAN.acts if not isinstance(act, Produce)]
        assert sent.total() - sent[TOPIC_SENSOR] == len(one_each)
        assert sent[WEBHOOK_SENSOR] == sum(isinstance(act, Delivery) for act in PLAN.acts)

    def test_a_forged_delivery_is_expected_to_leave_nothing(self) -> None:
        wanted = expected([Delivery(at_seconds=0, number=1, is_forged=True)], {})
        assert wanted == Expected(events={}, runs={}, dead_letters={}, rows={})

    def test_a_delivery_sent_twice_is_expected_to_run_once(self) -> None:
        push = Delivery(at_seconds=0, number=1)
        wanted = expected([push, push], {})
        assert wanted.events == {WEBHOOK_SENSOR: 1}
        assert wanted.runs == {(PUSH_WORKFLOW, "succeeded"): 1}

    def test_a_push_to_another_branch_is_an_event_without_a_run(self) -> None:
        wanted = expected([Delivery(at_seconds=0, number=1, branch="feature")], {})
        assert (wanted.events, wanted.runs) == ({WEBHOOK_SENSOR: 1}, {})

    def test_a_ping_is_expected_as_a_dead_letter(self) -> None:
        wanted = expected([Delivery(at_seconds=0, number=1, what="ping")], {})
        assert (wanted.runs, wanted.dead_letters) == ({}, {PUSH_WORKFLOW: 1})

    def test_a_damaged_file_is_expected_to_fail_and_to_load_nothing(
        self, files: dict[str, DataFile]
    ) -> None:
        wanted = expected([Drop(at_seconds=0, place="prices/damaged.csv")], files)
        assert (wanted.runs, wanted.rows) == ({("prices", "failed"): 1}, {})


class TestVerdict:
    def test_equal_counts_have_no_differences(self) -> None:
        wanted = expected([Delivery(at_seconds=0, number=1)], {})
        counts = Counts(events={WEBHOOK_SENSOR: 1}, runs={(PUSH_WORKFLOW, "succeeded"): 1})
        assert count_differences(wanted, counts, {}) == []

    def test_each_count_that_differs_is_named_with_both_values(self) -> None:
        wanted = Expected(
            events={"s": 2}, runs={("w", "succeeded"): 1}, dead_letters={"w": 1}, rows={"t": 5}
        )
        counts = Counts(events={"s": 3}, runs={("w", "failed"): 1})
        assert count_differences(wanted, counts, {"t": 4}) == [
            "events of sensor s: expected 2, found 3",
            "runs of w, failed: expected 0, found 1",
            "runs of w, succeeded: expected 1, found 0",
            "dead letters of w: expected 1, found 0",
            "rows in table t: expected 5, found 4",
        ]

    def test_a_count_that_nobody_expected_is_a_difference(self) -> None:
        assert differences("rows in", {}, {"t": 1}) == ["rows in t: expected 0, found 1"]

    def test_the_timer_is_counted_apart(self) -> None:
        wanted = Expected(events={}, runs={}, dead_letters={}, rows={})
        counts = Counts(events={TIMER_SENSOR: 9}, runs={(TIMER_WORKFLOW, "succeeded"): 9})
        assert count_differences(wanted, counts, {}) == []
        assert timer_run_differences(9, counts) == []
        assert timer_run_differences(8, counts) != []

    def test_ticks_that_fired_or_were_skipped_without_a_gap_are_right(self) -> None:
        assert tick_differences(instants(0, 1, 4), instants(2, 3), period=SECOND) == []

    @pytest.mark.parametrize(
        ("fired", "skipped", "what"),
        [
            ([], [], "never fired"),
            ([0, 1, 3], [], "neither fired nor skipped 12:00:02"),
            ([0, 1, 1], [], "3 times for 2 instants"),
            ([0, 1, 2], [1], "both fired and skipped 12:00:01"),
            ([0, 1.5, 2], [1], "out of turn: 12:00:01.5"),
        ],
    )
    def test_a_tick_too_many_or_too_few_is_named(
        self, fired: list[float], skipped: list[float], what: str
    ) -> None:
        faults = tick_differences(instants(*fired), instants(*skipped), period=SECOND)
        assert len(faults) == 1
        assert what in faults[0]

    def test_a_recorded_step_that_changed_or_vanished_is_a_difference(self) -> None:
        before: dict[tuple[int, str], tuple[object, ...]] = {
            (1, "a"): ("succeeded", 1),
            (1, "b"): ("succeeded", 1),
            (2, "a"): ("failed", 1),
        }
        after = {(1, "a"): ("succeeded", 1), (1, "b"): ("succeeded", 2), (3, "a"): ("failed", 1)}
        faults = step_differences(before, after)
        assert [fault.split(":")[0] for fault in faults] == ["step b of run 1", "step a of run 2"]

    @pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 5), (0.95, 10), (1.0, 10)])
    def test_a_percentile_is_one_of_the_values(self, share: float, value: int) -> None:
        assert percentile([10, 3, 2, 1, 5, 4, 9, 8, 7, 6], share) == value


def answer(
    number: int, status: int, body: Mapping[str, Any], *, tries: int = 1, is_forged: bool = False
) -> Answer:
    delivery = Delivery(at_seconds=0, number=number, is_forged=is_forged)
    return Answer(delivery=delivery, status=status, body=body, tries=tries)


class TestAnswers:
    @pytest.mark.parametrize(
        "answers",
        [
            [answer(1, 202, {"id": "a", "duplicate": False})],
            [answer(1, 401, {}, is_forged=True)],
            [
                answer(1, 202, {"id": "a", "duplicate": False}),
                answer(1, 202, {"id": "a", "duplicate": True}),
            ],
            # The first try was accepted, but the kill swallowed the answer.
            [answer(1, 202, {"id": "a", "duplicate": True}, tries=2)],
        ],
    )
    def test_right_answers_have_no_differences(self, answers: list[Answer]) -> None:
        assert answer_differences(answers) == []

    @pytest.mark.parametrize(
        "answers",
        [
            [answer(1, 202, {"id": "a", "duplicate": False}, is_forged=True)],
            [answer(1, 401, {})],
            [answer(1, 202, {"id": "a", "duplicate": True})],
            [
                answer(1, 202, {"id": "a", "duplicate": False}),
                answer(1, 202, {"id": "a", "duplicate": False}),
            ],
            [
                answer(1, 202, {"id": "a", "duplicate": False}),
                answer(1, 202, {"id": "b", "duplicate": True}),
            ],
        ],
    )
    def test_a_wrong_answer_is_a_difference(self, answers: list[Answer]) -> None:
        assert len(answer_differences(answers)) == 1

    def test_refused_and_repeated_deliveries_are_counted(self) -> None:
        answers = [
            answer(1, 202, {"duplicate": False}),
            answer(1, 202, {"duplicate": True}),
            # The only one of its number: its first try was accepted and went unanswered.
            answer(2, 202, {"duplicate": True}, tries=2),
            answer(3, 401, {}, is_forged=True),
        ]
        assert refused_and_repeated(answers) == (1, 1)

    def test_an_answer_is_spelled_in_one_line(self) -> None:
        text = spell_answer(answer(4, 202, {"id": "a", "duplicate": True}, tries=3))
        assert text == "hook   push to main (4): 202 a duplicate, at try 3"


class TestFeeder:
    def test_a_delivery_is_signed_as_github_signs(self) -> None:
        headers, body = signed(Delivery(at_seconds=0, number=7), SECRET)
        digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers["X-Hub-Signature-256"] == f"sha256={digest}"
        assert orjson.loads(body) == push_payload(Delivery(at_seconds=0, number=7))

    def test_a_forged_delivery_has_another_signature(self) -> None:
        right, _ = signed(Delivery(at_seconds=0, number=7), SECRET)
        forged, _ = signed(Delivery(at_seconds=0, number=7, is_forged=True), SECRET)
        assert right["X-Hub-Signature-256"] != forged["X-Hub-Signature-256"]

    def test_a_sender_tries_again_until_somebody_answers(self, tmp_path: Path) -> None:
        outcomes: list[Any] = [httpx.ConnectError("refused"), 503, 202]

        def server(request: httpx.Request) -> httpx.Response:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return httpx.Response(outcome, json={"id": "a", "duplicate": False})

        feeder, _ = self.fed(tmp_path, {}, [Delivery(at_seconds=1, number=1)], server)
        assert [(one.status, one.tries) for one in feeder.answers] == [(202, 3)]

    @pytest.mark.parametrize("how", ["whole", "renamed", "slow"])
    def test_a_file_arrives_as_it_is(self, tmp_path: Path, how: Any) -> None:
        file = DataFile(place="prices/a.csv", content=b"0123456789" * 10, table="prices", rows=1)
        drop = Drop(at_seconds=0.5, place=file.place, how=how, over_seconds=4)
        _, said = self.fed(tmp_path, {file.place: file}, [drop])
        assert (tmp_path / "inbox" / file.place).read_bytes() == file.content
        assert said[-1].startswith("file   prices/a.csv is complete, 100 bytes")

    @staticmethod
    def fed(
        folder: Path, files: Mapping[str, DataFile], acts: list[Any], server: Any = None
    ) -> tuple[Feeder, list[str]]:
        said: list[str] = []
        feeder = Feeder(
            folder=folder, files=files, secret=SECRET, url=lambda: "http://test", say=said.append
        )

        async def main() -> None:
            async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as client:
                await feeder.perform(acts, client)

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(main())
        return feeder, said

    def test_waiting_in_vain_says_for_what(self) -> None:
        with (
            asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
            pytest.raises(DemoError, match="waited 5 s in vain for this: pigs fly"),
        ):
            runner.run(wait_until(lambda: False, what="pigs fly", within_seconds=5))


class TestLedger:
    @pytest.fixture
    def state(self, tmp_path: Path) -> Path:
        script = resources.files("reactor.store.sqlite") / "migrations" / "0001_initial.sql"
        database = sqlite3.connect(tmp_path / "reactor.db")
        database.executescript(script.read_text())
        database.executescript("""
            PRAGMA user_version = 1;
            INSERT INTO event VALUES (1, 's', 'a', 'files', 't', '/in/a.csv', 1000, 3000, x'7b7d', '[]');
            INSERT INTO event VALUES (2, 's', 'b', 'every', 't', NULL, 5000000, 5000100, x'7b7d', '[]');
            INSERT INTO run VALUES (3, 'w', 1, NULL, NULL, 'finished', 'succeeded', 0, 3000, 4000, 9000, NULL);
            INSERT INTO run VALUES (4, 'w', 1, NULL, NULL, 'running', NULL, 0, 3000, 4000, NULL, NULL);
            INSERT INTO run VALUES (5, 'beat', 2, NULL, NULL, 'pending', NULL, 0, 3000, NULL, NULL, NULL);
            INSERT INTO step VALUES (3, 'one', 'succeeded', 1, 4000, 5000, x'31', NULL);
            INSERT INTO step VALUES (3, 'two', 'succeeded', 1, 5000, 9000, CAST('"done"' AS BLOB), NULL);
            INSERT INTO dead_letter (id, sensor, event_id, workflow, reason, detail, raw, created_at)
                VALUES (7, 'hook', 'h', 'w', 'trigger_failed', 'KeyError', x'7b7d', 1);
            INSERT INTO skipped VALUES ('every', 'x', 'missed', 6000000);
        """)
        database.close()
        return tmp_path

    def test_without_a_database_everything_is_empty(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path)
        assert (ledger.counts(), ledger.in_flight(), ledger.steps()) == (Counts(), {}, {})

    def test_rows_are_counted(self, state: Path) -> None:
        counts = Ledger(state).counts()
        assert counts.events == {"files": 1, "every": 1}
        assert counts.runs == {("w", "succeeded"): 1, ("w", "running"): 1, ("beat", "pending"): 1}
        assert counts.skipped == {"every": 1}
        assert counts.dead_letters == {"w": 1}
        assert (counts.unfinished(), counts.unfinished(leave_out="beat")) == (2, 1)

    def test_a_finished_run_comes_with_its_last_result(self, state: Path) -> None:
        runs = Ledger(state).finished(leave_out=["beat"])
        assert [(run.id, run.subject, run.last_result) for run in runs] == [
            (3, "/in/a.csv", '"done"')
        ]

    def test_latencies_are_those_of_finished_runs(self, state: Path) -> None:
        found = Ledger(state).latencies()
        assert [*found] == ["w"]
        assert found["w"].occurred_to_accepted == [2000]
        assert found["w"].accepted_to_started == [1000]
        assert found["w"].started_to_finished == [5000]

    def test_ticks_and_skipped_ticks_are_told_apart(self, state: Path) -> None:
        fired, skipped = Ledger(state).ticks("every")
        assert skipped[0] - fired[0] == SECOND

    def test_runs_in_flight_and_steps_are_read(self, state: Path) -> None:
        assert Ledger(state).in_flight() == {4: "w"}
        assert {*Ledger(state).steps()} == {(3, "one"), (3, "two")}

    def test_a_retried_first_step_begins_with_its_first_attempt(self, state: Path) -> None:
        with sqlite3.connect(state / "reactor.db") as database:
            database.execute(
                "INSERT INTO attempt VALUES (3, 'one', 1, 'failed', 3500, 3600, 'no', 3900)"
            )
        database.close()
        assert Ledger(state).latencies()["w"].accepted_to_started == [500]

    def test_a_dead_letter_is_read_with_its_reason(self, state: Path) -> None:
        letter = Parked(workflow="w", sensor="hook", reason="trigger_failed", detail="KeyError")
        assert Ledger(state).dead_letters() == [letter]

    def test_events_in_batches_are_those_of_the_sensor_from_the_first_to_the_last(
        self, state: Path
    ) -> None:
        with sqlite3.connect(state / "reactor.db") as database:
            database.executescript("""
                INSERT INTO event VALUES (11, 's', 'k1', 'kafka', 't', NULL, 1, 2, x'7b7d', '[]');
                INSERT INTO event VALUES (12, 's', 'f', 'files', 't', NULL, 1, 2, x'7b7d', '[]');
                INSERT INTO event VALUES (13, 's', 'k2', 'kafka', 't', NULL, 1, 2, x'7b7d', '[]');
                INSERT INTO run VALUES (14, 'b', 11, 13, NULL, 'pending', NULL, 0, 3, NULL, NULL, NULL);
            """)
        database.close()
        ledger = Ledger(state)
        assert ledger.counts().batched == {"b": 2}
        assert sorted(ledger.batched_ids("b")) == sorted(ledger.event_ids("kafka")) == ["k1", "k2"]

    def test_a_dead_letter_without_an_event_counts_for_its_sensor(self, state: Path) -> None:
        with sqlite3.connect(state / "reactor.db") as database:
            database.execute("UPDATE dead_letter SET workflow = ''")
        database.close()
        counts = Ledger(state).counts()
        assert (counts.dead_letters, counts.parked) == ({}, {"hook": 1})


class TestAddress:
    def test_a_port_that_is_free_is_taken_as_wished(self) -> None:
        _, _, port = free_address().partition(":")
        assert free_address(int(port)) == f"127.0.0.1:{port}"

    def test_a_port_that_somebody_has_is_passed_over(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            assert free_address(taken) != f"127.0.0.1:{taken}"


class TestScreen:
    def test_without_a_terminal_it_prints_plain_lines(self) -> None:
        console = Console(force_terminal=False, record=True, file=io.StringIO())
        with Screen(console) as screen:
            screen.say("file   prices/a.csv is complete")
        assert "file    prices/a.csv is complete\n" in console.export_text()

    @pytest.mark.parametrize("size", [(80, 24), (100, 30), (100, 40), (200, 60)])
    def test_the_live_screen_shows_counts_and_the_latest_lines_and_fits(
        self, size: tuple[int, int]
    ) -> None:
        console = Console(width=size[0], height=size[1], file=io.StringIO())
        screen = Screen(console)
        screen.counts = Counts(events={WEBHOOK_SENSOR: 41}, runs={("prices", "waiting"): 42})
        for number in range(99):
            screen.say(f"file   number {number} is complete")
        with console.capture() as capture:
            console.print(screen)
        lines = capture.get().splitlines()
        assert len(lines) <= size[1]
        assert any("number 98 " in line for line in lines)
        assert not any("number 1 " in line for line in lines)
        if size[1] >= 30:
            assert any(WEBHOOK_SENSOR in line and "41" in line for line in lines)
        assert any("prices" in line and "42" in line for line in lines)

    @pytest.mark.parametrize(("width", "are_beside"), [(100, True), (80, False)])
    def test_tables_stand_side_by_side_where_there_is_room(
        self, width: int, *, are_beside: bool
    ) -> None:
        console = Console(width=width, file=io.StringIO())
        with console.capture() as capture:
            console.print(Beside(event_table(Counts()), run_table(Counts())))
        header = next(line for line in capture.get().splitlines() if "sensor" in line)
        assert ("workflow" in header) is are_beside

    def test_what_was_sent_stands_beside_what_was_accepted(self) -> None:
        arrivals = Arrivals(
            sent={WEBHOOK_SENSOR: 10}, refused={WEBHOOK_SENSOR: 1}, repeated={WEBHOOK_SENSOR: 2}
        )
        console = Console(width=100, file=io.StringIO())
        with console.capture() as capture:
            console.print(event_table(Counts(events={WEBHOOK_SENSOR: 7}), arrivals))
        row = next(line for line in capture.get().splitlines() if WEBHOOK_SENSOR in line)
        assert row.split() == [WEBHOOK_SENSOR, "10", "7", "1", "2"]

    def test_the_table_of_what_was_sent_fits_80_columns_without_cutting_a_name(self) -> None:
        many = dict.fromkeys(SENSORS, 1000)
        arrivals = Arrivals(sent=many, refused=many, repeated=many, parked=many)
        console = Console(width=80, file=io.StringIO())
        with console.capture() as capture:
            console.print(event_table(Counts(events=many, skipped=many), arrivals))
        lines = capture.get().splitlines()
        assert all(any(line.startswith(f"{sensor} ") for line in lines) for sensor in SENSORS)
        assert "…" not in capture.get()

    def test_a_failed_run_is_told_with_its_error(self) -> None:
        run = FinishedRun(
            id=1,
            workflow="prices",
            outcome="failed",
            subject="/x/inbox/prices/damaged.csv",
            error="Reject: line 60",
            last_result="[]",
        )
        assert spell_run(run) == "FAILED prices damaged.csv: Reject: line 60"

    def test_times_are_spelled_with_their_unit(self) -> None:
        assert spell_micros(1_234_567) == "1.23 s"
        assert spell_micros(1_234) == "1.2 ms"
        assert spell_pair([]) == "–"


class TestFolder:
    def test_a_folder_with_files_in_it_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").touch()
        with pytest.raises(SettingsError, match="is not empty"):
            prepared_folder(tmp_path)

    def test_a_new_folder_gets_an_inbox(self, tmp_path: Path) -> None:
        place = prepared_folder(tmp_path / "new")
        assert {path.name for path in (place / "inbox").iterdir()} == {
            "airports",
            "cars",
            "prices",
            "weather",
        }


@pytest.mark.real_time
@pytest.mark.timeout(120)
def test_the_demo_ends_with_every_count_equal_to_what_was_sent_in(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "reactor", "demo", "--folder", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    log = folder / "daemon.log"
    evidence = done.stdout + done.stderr + (log.read_text() if log.exists() else "")
    assert done.returncode == 0, evidence
    assert "Every count equals what was sent in." in done.stdout


@pytest.fixture
def staying(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`reactor demo --stay` and all that it said until it was ready to be fed."""
    with subprocess.Popen(
        [sys.executable, "-m", "reactor", "demo", "--stay", "--folder", str(tmp_path / "demo")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ctrl-C"):
                break
        # It logs on; nobody may stop reading, or its writing would wait.
        reading = threading.Thread(target=process.stdout.read, name="log of the demo")
        reading.start()
        try:
            yield process, "".join(said)
        finally:
            # Its daemon is a child of the demo, which ends it.
            process.send_signal(signal.SIGINT)
            process.wait()
            reading.join()


@pytest.mark.real_time
def test_the_project_that_stays_is_fed_by_the_commands_that_it_names(
    staying: tuple[subprocess.Popen[str], str],
) -> None:
    missing = [tool for tool in ("bash", "curl", "openssl") if shutil.which(tool) is None]
    assert not missing, f"install these, which the printed commands use: {missing}"
    process, said = staying
    lines = said.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("  cd "))
    script = [line for line in lines[first:] if line.startswith(("  cd ", "    "))]
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, said + done.stdout + done.stderr
    for wanted in (
        "202 Accepted",
        '"duplicate":false',
        "363 records are acknowledged",
        "inbox/cars/japan.json",
        "balanced",
    ):
        assert wanted in done.stdout, said + done.stdout
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
