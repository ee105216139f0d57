"""Commands that read the state directory: what they say, and that they leave it alone."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from reactor.store.sqlite.reader import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., Any]

RUN_DONE, RUN_FAILED, RUN_RUNNING = "0000000000069", "000000000006a", "000000000006b"
READING = [
    ("events",),
    ("runs",),
    ("show", RUN_DONE),
    ("explain", "a1"),
    ("dead",),
    ("audit",),
]


def add_emitted(database: sqlite3.Connection) -> None:
    """Keep one record in the outbox and one as a dead letter; three were delivered."""
    database.executescript(
        "INSERT INTO outbox (lane, workflow, run, step, part, outlet, options, target, attributes,"
        " payload, created_at)"
        " VALUES ('l', 'rates', 1, 'load', 1, 'kafka', '{}', 'orders', '{}', x'01', 0);"
        "INSERT INTO dead_letter (id, sensor, event_id, workflow, reason, detail, raw, created_at,"
        " outgoing) VALUES (99, 'outlet kafka', '1/load/2', 'rates', 'undeliverable', '', x'01', 0, '{}');"
        "INSERT INTO tally VALUES ('workflow', 'rates', 'emitted', 5);"
        "INSERT INTO tally VALUES ('workflow', 'rates', 'delivered', 3);"
    )


class TestEvents:
    def test_events_are_listed_newest_first_with_what_they_fired(
        self, call: Call, state: Path
    ) -> None:
        lines = call("events", "--state", str(state)).out.splitlines()
        assert "nothing" in lines[2]
        assert "rates" in lines[3]
        assert '{"path": "inbox/a.csv", "bytes": 9}' in lines[3]

    def test_control_characters_of_names_are_spelled_out(self, call: Call, state: Path) -> None:
        out = call("events", "--state", str(state)).out
        assert "evil\\x1b[31m\\n.csv" in out
        assert "\x1b" not in out

    def test_the_document_holds_data_and_decisions(self, call: Call, state: Path) -> None:
        document = call("events", "--state", str(state), "--json").document
        event = document["events"][1]
        assert event["data"] == {"path": "inbox/a.csv", "bytes": 9}
        assert event["accepted_at"] == "2026-01-01T12:00:00.000000+00:00"
        assert event["decisions"] == [
            {"workflow": "rates", "verdict": "fired", "run": RUN_DONE, "key": "a"}
        ]

    @pytest.mark.parametrize(
        ("options", "count"),
        [
            (["--limit", "1"], 1),
            (["--sensor", "cron:6h"], 0),
            (["--sensor", "files:inbox"], 2),
            (["--since", "2026-01-01T12:00:00+00:00"], 2),
            (["--since", "2026-01-01T12:00:01Z"], 0),
            (["--since", "36500d"], 2),
        ],
    )
    def test_events_are_chosen(
        self, call: Call, state: Path, options: list[str], count: int
    ) -> None:
        document = call("events", "--state", str(state), "--json", *options).document
        assert len(document["events"]) == count

    def test_numbers_that_no_document_can_hold_are_texts(
        self, call: Call, state: Path, database: sqlite3.Connection
    ) -> None:
        data = b"[NaN, -Infinity, 1e999, 1.5]"
        database.execute("UPDATE event_row SET data = ? WHERE seq = 101", (data,))
        document = call("events", "--state", str(state), "--json").document
        assert document["events"][1]["data"] == ["NaN", "-Infinity", "1e999", 1.5]

    def test_data_nested_too_deeply_to_read_is_shown_as_it_is(
        self, call: Call, state: Path, database: sqlite3.Connection
    ) -> None:
        deep = "[" * 100_000 + "]" * 100_000
        database.execute("UPDATE event_row SET data = ? WHERE seq = 101", (deep.encode(),))
        document = call("events", "--state", str(state), "--json").document
        assert document["events"][1]["data"] == deep

    def test_since_when_is_told_by_example(self, call: Call, state: Path) -> None:
        answer = call("events", "--state", str(state), "--since", "yesterday")
        assert answer.code == 2
        assert "--since 'yesterday' is neither a duration" in answer.err


class TestExplain:
    def test_a_workflow_that_fired_is_named_with_its_run(self, call: Call, state: Path) -> None:
        out = call("explain", "a1", "--state", str(state)).out
        assert f"rates     fired      run {RUN_DONE}  key a" in out

    def test_a_clause_that_refused_is_named_with_the_actual_value(
        self, call: Call, state: Path
    ) -> None:
        out = call("explain", "b2", "--state", str(state)).out
        assert "refused    where event.data.bytes > 0, but data.bytes = 0" in out
        assert "raised LookupError: there is no 'total'" in out

    def test_workflows_that_were_not_asked_are_named_with_what_they_listen_to(
        self, call: Call, state: Path
    ) -> None:
        out = call("explain", "a1", "--state", str(state)).out
        assert "nightly   not asked  listens to cron:6h" in out

    def test_an_event_is_found_by_its_seq(self, call: Call, state: Path) -> None:
        assert "event    b2" in call("explain", "0000000000036", "--state", str(state)).out

    def test_rejected_input_is_explained(self, call: Call, state: Path) -> None:
        out = call("explain", "d9", "--state", str(state)).out
        assert "reason   not_json: expected value at line 1" in out

    def test_a_skipped_occurrence_is_explained(self, call: Call, state: Path) -> None:
        assert "cron:6h skipped its occurrence" in call("explain", "o1", "--state", str(state)).out

    def test_an_unknown_event_is_said_to_be_so(self, call: Call, state: Path) -> None:
        answer = call("explain", "zz", "--state", str(state))
        assert answer.code == 1
        assert answer.err.startswith("reactor: no event 'zz' is stored")

    def test_an_event_id_in_two_sources_is_explained_twice(
        self, call: Call, state: Path, database: sqlite3.Connection
    ) -> None:
        database.execute(
            "INSERT INTO event_row SELECT 103, 'other', id, 'other', type, subject, time, accepted_at,"
            " data, '[]' FROM event WHERE seq = 101"
        )
        document = call("explain", "a1", "--state", str(state), "--json").document
        assert [event["sensor"] for event in document["events"]] == ["files:inbox", "other"]
        assert document["events"][0]["not_listening"] == ["nightly"]


class TestRuns:
    def test_runs_are_listed_newest_first(self, call: Call, state: Path) -> None:
        lines = call("runs", "--state", str(state)).out.splitlines()
        assert [line.split()[0] for line in lines[2:]] == [RUN_RUNNING, RUN_FAILED, RUN_DONE]
        assert "failed" in lines[3]
        assert "load: ValueError: no such row" in lines[3]

    @pytest.mark.parametrize(
        ("options", "runs"),
        [
            (["--outcome", "failed"], [RUN_FAILED]),
            (["--in", "running"], [RUN_RUNNING]),
            (["--workflow", "none"], []),
            (["--limit", "1"], [RUN_RUNNING]),
        ],
    )
    def test_runs_are_chosen(
        self, call: Call, state: Path, options: list[str], runs: list[str]
    ) -> None:
        document = call("runs", "--state", str(state), "--json", *options).document
        assert [run["id"] for run in document["runs"]] == runs

    def test_an_unknown_outcome_is_a_usage_error(self, call: Call, state: Path) -> None:
        answer = call("runs", "--state", str(state), "--outcome", "done")
        assert answer.code == 2
        assert "succeeded" in answer.err


class TestShow:
    def test_each_attempt_has_a_bar_where_it_was_in_time(self, call: Call, state: Path) -> None:
        out = call("show", RUN_DONE, "--state", str(state)).out
        bars = [line for line in out.splitlines() if "█" in line or "▒" in line]
        assert [line.split()[0] for line in bars] == ["parse", "load", "load"]
        begins = [min(line.find(mark) for mark in "█▒" if mark in line) for line in bars]
        first = begins[0]
        assert [begin - first for begin in begins] == [0, 18, 27]
        assert [line.count("█") + line.count("▒") for line in bars] == [18, 2, 9]

    def test_results_and_errors_are_shown_shortened(self, call: Call, state: Path) -> None:
        out = call("show", RUN_DONE, "--state", str(state)).out
        assert 'parse → [{"currency": "EUR"}]' in out
        assert "load try 1: OSError: busy" in out

    def test_steps_without_a_record_are_running_or_not_begun(self, call: Call, state: Path) -> None:
        lines = call("show", RUN_RUNNING, "--state", str(state)).out.splitlines()
        assert [line.split(None, 1)[1] for line in lines[-3:]] == [
            "running",
            "not begun",
            "not begun",
        ]

    def test_a_retry_to_come_is_named_with_its_instant(
        self, call: Call, state: Path, database: sqlite3.Connection
    ) -> None:
        database.execute(
            "INSERT INTO attempt (run, step, attempt, outcome, started_at, finished_at, error,"
            " next_at) SELECT 203, step, attempt, outcome, started_at, finished_at, error, next_at"
            " FROM attempt"
        )
        out = call("show", RUN_RUNNING, "--state", str(state)).out
        (waiting,) = [line for line in out.splitlines() if "waiting" in line]
        assert waiting.split() == ["load", "2", "waiting"]
        assert "load try 1: OSError: busy; again at 20" in out

    def test_the_document_holds_steps_and_attempts(self, call: Call, state: Path) -> None:
        document = call("show", RUN_FAILED, "--state", str(state), "--json").document
        assert document["outcome"] == "failed"
        assert document["event"]["id"] == "a1"
        assert {step["name"]: step["outcome"] for step in document["steps"]} == {
            "parse": "succeeded",
            "load": "failed",
            "announce": "skipped",
        }

    def test_an_unknown_run_is_said_to_be_so_in_the_document_too(
        self, call: Call, state: Path
    ) -> None:
        answer = call("show", "0000000000000", "--state", str(state), "--json")
        assert answer.code == 1
        assert "no run '0000000000000' is stored" in answer.document["error"]
        assert answer.err.count("\n") == 1

    def test_what_is_no_id_is_a_usage_error(self, call: Call, state: Path) -> None:
        answer = call("show", "latest", "--state", str(state))
        assert answer.code == 2
        assert "is not an id" in answer.err


class TestDeadLetters:
    def test_dead_letters_are_listed_with_what_to_do(self, call: Call, state: Path) -> None:
        out = call("dead", "--state", str(state)).out
        assert "000000000009d" in out
        assert "1 dead letter, 1 shown; accept again: reactor redrive ID…" in out

    def test_a_reason_that_none_has_lists_none(self, call: Call, state: Path) -> None:
        out = call("dead", "--state", str(state), "--reason", "other").out
        assert out == "no dead letters with the reason 'other'\n"

    def test_those_that_were_redriven_are_left_out(
        self, call: Call, state: Path, database: sqlite3.Connection
    ) -> None:
        database.execute("UPDATE dead_letter SET redriven_at = 1")
        assert call("dead", "--state", str(state), "--json").document == {
            "reasons": {},
            "letters": [],
        }


class TestAudit:
    def test_sums_that_agree_are_balanced(self, call: Call, state: Path) -> None:
        answer = call("audit", "--state", str(state))
        assert answer.code == 0
        assert "balanced: everything that was accepted is accounted for" in answer.out

    def test_what_retention_removed_is_accounted_for(
        self, call: Call, state: Path, database: sqlite3.Connection
    ) -> None:
        database.executescript(
            "DELETE FROM event_row WHERE seq = 102;"
            "INSERT INTO tally VALUES ('sensor', 'files:inbox', 'removed', 1);"
            "DELETE FROM step WHERE run = 202; DELETE FROM run WHERE id = 202;"
            "INSERT INTO tally VALUES ('workflow', 'rates', 'removed_failed', 1);"
        )
        assert call("audit", "--state", str(state), "--json").document["balanced"]

    @pytest.mark.parametrize(
        ("damage", "fault"),
        [
            ("DELETE FROM event_row WHERE seq = 102", "sensor files:inbox: 2 accepted, but 1 "),
            ("DELETE FROM dead_letter", "sensor webhook:/github: 1 rejected, but 0 "),
            ("DELETE FROM skipped", "sensor cron:6h: 1 skipped, but 0 "),
            ("UPDATE tally SET count = 4 WHERE kind = 'fired'", "workflow rates: 4 fired, but 3 "),
            ("UPDATE tally SET count = 2 WHERE kind = 'fired'", "3 are accounted for: 1 too many"),
        ],
    )
    def test_a_sum_that_does_not_agree_is_named(
        self, call: Call, state: Path, database: sqlite3.Connection, damage: str, fault: str
    ) -> None:
        database.execute(damage)
        answer = call("audit", "--state", str(state))
        assert answer.code == 1
        assert fault in answer.out
        assert "NOT balanced" in answer.out

    def test_what_was_emitted_is_delivered_dead_or_pending(
        self, call: Call, state: Path, database: sqlite3.Connection
    ) -> None:
        add_emitted(database)
        answer = call("audit", "--state", str(state))
        assert answer.code == 0
        assert "emitted" in answer.out
        [line] = call("audit", "--state", str(state), "--json").document["outbox"]
        assert line == {
            "workflow": "rates",
            "what": "emitted",
            "counted": 5,
            "parts": {"pending": 1, "delivered": 3, "dead": 1},
            "difference": 0,
        }

    @pytest.mark.parametrize("table", ["outbox", "dead_letter"])
    def test_a_record_that_vanished_from_the_outbox_is_missed(
        self, call: Call, state: Path, database: sqlite3.Connection, table: str
    ) -> None:
        add_emitted(database)
        database.execute(f"DELETE FROM {table} WHERE workflow = 'rates'")
        answer = call("audit", "--state", str(state))
        assert answer.code == 1
        assert "workflow rates: 5 emitted, but 4 are accounted for: 1 missing" in answer.out

    @pytest.mark.parametrize("version", [1, 2])
    def test_a_database_of_an_earlier_schema_is_read_as_well(
        self, call: Call, state: Path, database: sqlite3.Connection, version: int
    ) -> None:
        database.executescript(
            "DROP VIEW event; DROP TABLE event_block; ALTER TABLE event_row RENAME TO event;"
        )
        if version == 1:
            database.executescript(
                "DROP TABLE outbox; ALTER TABLE dead_letter DROP COLUMN outgoing;"
            )
        database.execute(f"PRAGMA user_version = {version}")
        assert call("audit", "--state", str(state), "--json").document["balanced"]
        assert call("dead", "--state", str(state)).code == 0
        assert len(call("events", "--state", str(state), "--json").document["events"]) == 2
        assert call("explain", "a1", "--state", str(state)).code == 0
        assert call("explain", "0000000000036", "--state", str(state)).code == 0
        assert call("show", RUN_DONE, "--state", str(state)).code == 0

    def test_a_new_store_is_balanced(
        self, call: Call, tmp_path: Path, database: sqlite3.Connection
    ) -> None:
        answer = call("audit", "--state", str(tmp_path / "state"))
        assert (answer.code, answer.out) == (
            0,
            "nothing was accepted yet; the sums agree\n",
        )


class TestStateDirectory:
    @pytest.mark.parametrize("command", READING)
    def test_reading_leaves_no_trace_while_the_daemon_is_down(
        self, call: Call, state: Path, database: sqlite3.Connection, command: tuple[str, ...]
    ) -> None:
        database.close()
        before = {name: (state / name).stat().st_mtime_ns for name in os.listdir(state)}
        assert [*before] == ["reactor.db"]
        assert call(*command, "--state", str(state)).code == 0
        assert {name: (state / name).stat().st_mtime_ns for name in os.listdir(state)} == before

    @pytest.mark.parametrize("command", READING)
    def test_reading_goes_on_while_a_writer_is_in_a_transaction(
        self, call: Call, state: Path, database: sqlite3.Connection, command: tuple[str, ...]
    ) -> None:
        database.execute("BEGIN IMMEDIATE")
        database.execute("DELETE FROM tally")
        assert call(*command, "--state", str(state)).code == 0
        database.execute("ROLLBACK")

    def test_reading_does_not_checkpoint(
        self, call: Call, state: Path, database: sqlite3.Connection
    ) -> None:
        journal = state / "reactor.db-wal"
        before = journal.read_bytes()
        call("audit", "--state", str(state))
        assert journal.read_bytes() == before

    def test_a_journal_that_a_killed_daemon_left_is_read(
        self, call: Call, state: Path, database: sqlite3.Connection, tmp_path: Path
    ) -> None:
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in os.listdir(state):
            (copy / name).write_bytes((state / name).read_bytes())
        assert len(call("runs", "--state", str(copy), "--json").document["runs"]) == 3

    def test_the_environment_names_it(
        self, call: Call, state: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REACTOR_STATE", str(state))
        assert call("runs").code == 0

    def test_the_settings_file_names_it(self, call: Call, state: Path, tmp_path: Path) -> None:
        (tmp_path / "cwd" / "reactor.toml").write_text(f'state = "{state}"')
        assert call("runs").code == 0

    def test_a_missing_database_is_said_to_be_so(self, call: Call) -> None:
        answer = call("runs")
        assert answer.code == 2
        assert answer.err.startswith("reactor: there is no database at .reactor/reactor.db; name")
        assert answer.err.count("\n") == 1
        assert not os.path.exists(".reactor")

    def test_a_newer_database_is_refused(
        self, call: Call, state: Path, database: sqlite3.Connection
    ) -> None:
        database.execute("PRAGMA user_version = 99")
        answer = call("runs", "--state", str(state))
        assert answer.code == 5
        assert f"has schema version 99; this Reactor knows up to {SCHEMA_VERSION}" in answer.err

    def test_a_foreign_database_is_refused(
        self, call: Call, state: Path, database: sqlite3.Connection
    ) -> None:
        database.execute("PRAGMA application_id = 7")
        answer = call("runs", "--state", str(state))
        assert answer.code == 5
        assert "not one of Reactor's" in answer.err

    @pytest.mark.parametrize("setting", ["state = 7", "state = ['x']"])
    def test_a_settings_file_with_another_type_is_refused(
        self, call: Call, tmp_path: Path, setting: str
    ) -> None:
        (tmp_path / "cwd" / "reactor.toml").write_text(setting)
        answer = call("runs")
        assert answer.code == 2
        assert answer.err == 'reactor: reactor.toml: state is not a text, such as ".reactor"\n'

    def test_a_file_that_is_no_database_is_refused(self, call: Call, tmp_path: Path) -> None:
        (tmp_path / "reactor.db").write_text("hello " * 1000)
        answer = call("runs", "--state", str(tmp_path))
        assert answer.code == 5
        assert "is not a database" in answer.err
