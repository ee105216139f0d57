"""The daemon as its operator meets it: a process, its signals, its files and its exit codes."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reactor.testing.process import TELL, DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., DaemonProcess]

pytestmark = pytest.mark.real_time

HEAD = (
    TELL
    + """
from reactor import Context, Event, Workflow
from reactor_sensors import FileArrived, Files

"""
)
# One step that is over at once, one that waits at its door, one after it.
PROJECT = (
    HEAD
    + """
load = Workflow("load", on=Files("inbox/*.csv"))

@load.step
async def parse(event: Event[FileArrived]) -> str:
    tell(f"parse {event.data.name}")
    return event.data.name

@load.step
async def hold(parse: str) -> str:
    door = Door(parse)
    tell(f"hold {parse}")
    await door.opened()
    return parse

@load.step
async def report(hold: str) -> None:
    tell(f"report {hold}")
"""
)
# Starts once, holds nothing.
SIMPLE = (
    HEAD
    + """
note = Workflow("note", on=Files("inbox/*.csv"))

@note.step
async def name(event: Event[FileArrived]) -> None:
    tell(event.data.name)
"""
)


def drop(tmp_path: Path, name: str) -> None:
    """Let a complete file land in the inbox."""
    scratch = tmp_path / f"{name}.part"
    scratch.write_text("a,b\n1,2\n")
    scratch.rename(tmp_path / "inbox" / name)


def lines(daemon: DaemonProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in daemon.log.splitlines()]


def messages(daemon: DaemonProcess) -> list[str]:
    return [line["message"] for line in lines(daemon)]


def ended(daemon: DaemonProcess) -> tuple[int, str]:
    """Return the exit code of a daemon that could not start, and what it said."""
    return daemon.wait(), daemon.log


class TestLife:
    def test_it_is_ready_healthy_and_measured(self, start: Start) -> None:
        daemon = start(PROJECT)
        for path in ("/healthz", "/readyz"):
            answer = daemon.get(path)
            assert (answer.status_code, answer.json()) == (200, {"ok": True, "reasons": []})
        page = daemon.get("/metrics").text
        assert 'reactor_sensor_up{sensor="files:inbox/*.csv"} 1.0' in page
        assert 'reactor_credits{kind="bytes"}' in page
        assert 'reactor_pending_runs{workflow="load"} 0.0' in page

    def test_what_it_keeps_is_its_own_alone(self, start: Start) -> None:
        daemon = start(PROJECT)
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in (daemon.state, *daemon.state.iterdir())
        }
        assert modes.pop("state") == 0o700
        assert {"admin-token", "daemon.json", "reactor.db"} <= modes.keys()
        assert set(modes.values()) == {0o600}

    def test_a_file_becomes_a_run(self, start: Start, tmp_path: Path) -> None:
        daemon = start(SIMPLE)
        drop(tmp_path, "a.csv")
        daemon.wait_until_told("a.csv")
        assert daemon.stop() == 0
        assert messages(daemon)[-2:] == ["daemon draining", "daemon stopped"]

    def test_it_leaves_no_address_behind(self, start: Start) -> None:
        daemon = start(PROJECT)
        daemon.stop()
        assert not (daemon.state / "daemon.json").exists()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_lets_runs_in_hand_finish(
        self, start: Start, tmp_path: Path, number: signal.Signals
    ) -> None:
        daemon = start(PROJECT)
        drop(tmp_path, "a.csv")
        daemon.wait_until_told("hold a.csv")
        daemon.signal(number)
        daemon.wait_for_notice("STOPPING=1")
        daemon.open_door("a.csv")
        daemon.wait_until_told("report a.csv")
        assert daemon.wait() == 0
        assert lines(daemon)[-1]["fields"]["left_running"] == 0

    def test_a_second_signal_ends_it_at_once(self, start: Start, tmp_path: Path) -> None:
        daemon = start(PROJECT)
        drop(tmp_path, "a.csv")
        daemon.wait_until_told("hold a.csv")
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_notice("STOPPING=1")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 130

    def test_what_the_drain_cuts_off_is_resumed(self, start: Start, tmp_path: Path) -> None:
        daemon = start(PROJECT, "--drain", "10ms")
        drop(tmp_path, "a.csv")
        daemon.wait_until_told("hold a.csv")
        assert daemon.stop() == 0
        assert lines(daemon)[-1]["fields"]["left_running"] == 1
        daemon.start()
        daemon.wait_until_told("hold a.csv")
        daemon.open_door("a.csv")
        daemon.wait_until_told("report a.csv")
        assert "parse a.csv" in daemon.told_so_far()
        assert daemon.told_so_far().count("parse a.csv") == 1


class TestDeath:
    def test_a_killed_run_resumes_behind_its_last_recorded_step(
        self, start: Start, tmp_path: Path
    ) -> None:
        daemon = start(PROJECT)
        drop(tmp_path, "a.csv")
        daemon.wait_until_told("hold a.csv")
        daemon.kill()
        drop(tmp_path, "b.csv")
        daemon.start()
        for name in ("a.csv", "b.csv"):
            daemon.wait_until_told(f"hold {name}")
            daemon.open_door(name)
            daemon.wait_until_told(f"report {name}")
        told = daemon.told_so_far()
        assert told.count("parse a.csv") == told.count("parse b.csv") == 1

    def test_a_step_that_ends_the_process_is_parked_not_run_for_ever(
        self, start: Start, tmp_path: Path
    ) -> None:
        bomb = HEAD + (
            'bomb = Workflow("bomb", on=Files("inbox/*.csv"))\n'
            "@bomb.step\nasync def end(event: Event) -> None:\n    os._exit(9)\n"
        )
        daemon = start(bomb)
        drop(tmp_path, "a.csv")
        assert daemon.wait() == 9
        for _ in range(2):
            assert daemon.start(wait_until_ready=False).wait() == 9
        daemon.start()
        assert 'reactor_dead_letters_total{reason="process_died"' in daemon.get("/metrics").text
        assert daemon.post("/api/redrive", {"reason": "process_died"}).status_code == 200
        assert daemon.wait() == 9

    def test_one_daemon_at_a_time_owns_a_state_directory(self, start: Start) -> None:
        first = start(PROJECT)
        code, log = ended(start(PROJECT, wait_until_ready=False))
        assert code == 3
        assert f"is in use by process {first.pid}" in log


class TestReload:
    def test_a_new_workflow_is_taken_up(self, start: Start, tmp_path: Path) -> None:
        daemon = start(SIMPLE)
        (tmp_path / "project.py").write_text(SIMPLE.replace('"inbox/*.csv"', '"inbox/*.json"'))
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_notice("READY=1")
        drop(tmp_path, "b.json")
        daemon.wait_until_told("b.json")
        assert "project reloaded" in messages(daemon)

    def test_a_broken_project_leaves_the_old_one_at_work(
        self, start: Start, tmp_path: Path
    ) -> None:
        daemon = start(SIMPLE)
        (tmp_path / "project.py").write_text("import nothing_of_that_name\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_notice("READY=1")
        drop(tmp_path, "a.csv")
        daemon.wait_until_told("a.csv")
        (told,) = [line for line in lines(daemon) if line["message"] == "project not reloaded"]
        assert "project.py:1" in told["fields"]["error"]
        assert "nothing_of_that_name" in told["fields"]["error"]

    def test_a_run_in_flight_goes_on(self, start: Start, tmp_path: Path) -> None:
        daemon = start(PROJECT)
        drop(tmp_path, "a.csv")
        daemon.wait_until_told("hold a.csv")
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_notice("READY=1")
        daemon.open_door("a.csv")
        daemon.wait_until_told("report a.csv")
        assert daemon.told_so_far().count("parse a.csv") == 1


class TestBadInput:
    def test_a_fault_of_a_workflow_names_file_and_line(self, start: Start) -> None:
        faulty = HEAD + (
            'w = Workflow("w", on=Files("*.csv"))\n'
            "@w.step\nasync def a(b: int) -> int:\n    return 1\n"
            "@w.step\nasync def c(evnt: Event) -> int:\n    return 1\n"
        )
        code, log = ended(start(faulty, wait_until_ready=False))
        assert code == 4
        assert log.count("project.py:") == 2
        assert "'event'" in log

    def test_an_unknown_setting_gets_the_nearest_name(self, start: Start) -> None:
        code, log = ended(
            start(PROJECT, environment={"REACTOR_DRIAN": "1s"}, wait_until_ready=False)
        )
        assert code == 2
        assert (
            "unknown setting REACTOR_DRIAN in the environment; did you mean 'REACTOR_DRAIN'?" in log
        )

    def test_an_unknown_flag_gets_the_nearest_name(self, start: Start) -> None:
        code, log = ended(start(PROJECT, "--drian", "1s", wait_until_ready=False))
        assert code == 2
        assert "--drain" in log

    def test_a_port_in_use_is_named(self, start: Start) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            code, log = ended(start(PROJECT, "--hooks", address, wait_until_ready=False))
        assert code == 2
        assert f"{address} cannot be listened on: Address already in use" in log

    def test_no_path_at_all_says_what_is_expected(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "reactor", "run"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert "reactor run" in done.stderr

    def test_a_path_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "reactor", "run", "nowhere.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode in (2, 4)
        assert "nowhere.py" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_newer_database_is_refused_and_left_alone(self, start: Start) -> None:
        daemon = start(PROJECT)
        daemon.stop()
        database = daemon.state / "reactor.db"
        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        before = database.read_bytes()
        daemon.start(wait_until_ready=False)
        assert daemon.wait() == 5
        assert "99" in daemon.log.splitlines()[-1]
        assert database.read_bytes() == before

    def test_a_state_directory_that_cannot_be_made_is_named(
        self, start: Start, tmp_path: Path
    ) -> None:
        state = tmp_path / "project.py" / "state"
        code, log = ended(start(PROJECT, "--state", str(state), wait_until_ready=False))
        assert code == 2
        assert f"{state} cannot be made" in log

    def test_a_missing_folder_is_told_and_picked_up(self, start: Start, tmp_path: Path) -> None:
        (tmp_path / "inbox").rmdir()
        daemon = start(SIMPLE, wait_until_ready=False)
        daemon.wait_for_notice(
            f"STATUS=files:inbox/*.csv: {tmp_path / 'inbox'}: No such file or directory: "
            "the folder cannot be opened; it is picked up as soon as it can be read"
        )
        (tmp_path / "inbox").mkdir()
        daemon.wait_for_notice("READY=1")

    def test_folders_named_like_ours_are_the_users_own(self, start: Start, tmp_path: Path) -> None:
        for package in ("sensors", "handlers", "tests"):
            (tmp_path / package).mkdir()
            (tmp_path / package / "__init__.py").write_text(f"NAME = {package!r}\n")
        own = "import handlers, sensors\n" + SIMPLE.replace(
            "tell(event.data.name)", "tell(sensors.NAME + handlers.NAME)"
        )
        daemon = start(own)
        drop(tmp_path, "a.csv")
        daemon.wait_until_told("sensorshandlers")

    def test_a_step_that_blocks_the_loop_is_named(self, start: Start, tmp_path: Path) -> None:
        blocking = HEAD + (
            "import time\n"
            'w = Workflow("w", on=Files("inbox/*.csv"))\n'
            "@w.step\nasync def stare(event: Event) -> None:\n"
            "    time.sleep(0.4)  # the line\n    tell('done')\n"
        )
        daemon = start(blocking)
        drop(tmp_path, "a.csv")
        daemon.wait_until_told("done")
        daemon.stop()
        (told,) = [line for line in lines(daemon) if line["message"] == "event loop blocked"]
        line = blocking[: blocking.index("# the line")].count("\n") + 1
        assert told["fields"]["step"] == "w.stare"
        assert told["fields"]["file"].endswith("project.py")
        assert told["fields"]["line"] == line


class TestOperators:
    def test_emit_fires_as_if_the_sensor_had_seen_it(self, start: Start) -> None:
        project = HEAD + (
            'w = Workflow("w", on=Files("inbox/*.csv"))\n'
            "@w.step\nasync def look(event: Event[FileArrived]) -> None:\n"
            "    tell(event.id)\n"
        )
        daemon = start(project)
        body = {"sensor": "files:inbox/*.csv", "id": "e1", "data": {"path": "x"}}
        refused = daemon.post("/api/emit", body)
        assert refused.status_code == 422
        unknown = daemon.post("/api/emit", {"sensor": "file:inbox/*.csv"})
        assert unknown.status_code == 404
        assert "did you mean 'files:inbox/*.csv'?" in unknown.json()["error"]

    def test_a_trigger_that_raises_leaves_a_dead_letter_that_can_be_redriven(
        self, start: Start, tmp_path: Path
    ) -> None:
        project = SIMPLE.replace(
            'Files("inbox/*.csv")', 'Files("inbox/*.csv").where(lambda e: 1 / 0 > 1)'
        )
        daemon = start(
            project + "other = Workflow('other', on=Files('inbox/*.csv'))\n"
            "@other.step\nasync def see(event: Event) -> None:\n    tell('seen')\n"
        )
        drop(tmp_path, "a.csv")
        daemon.wait_until_told("seen")
        assert "reactor_dead_letters_total" in daemon.get("/metrics").text
        (tmp_path / "project.py").write_text(SIMPLE)
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_notice("READY=1")
        answer = daemon.post("/api/redrive", {"all": True})
        assert answer.json() == {"redriven": 1, "refused": []}
        daemon.wait_until_told("a.csv")
