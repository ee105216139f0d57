"""`reactor redrive` and `reactor emit`, against a listener that answers as the daemon does."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call = Callable[..., Any]

pytestmark = pytest.mark.real_time


class FakeDaemon:
    """Answers every POST with `answer`, and remembers the last request."""

    def __init__(self, state: Path) -> None:
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.path = ""
        self.headers: dict[str, str] = {}
        self.body: Any = None
        self.state = state
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                daemon.path, daemon.headers = self.path, dict(self.headers)
                daemon.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, body = daemon.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as inherited
                """Stay silent."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.write(pid=os.getpid(), admin=f"127.0.0.1:{self.server.server_port}")
        (state / "admin-token").write_text("s3cret\n")

    def write(self, **told: Any) -> None:
        (self.state / "daemon.json").write_text(json.dumps(told))

    def says(self, status: int, **body: Any) -> None:
        self.answer = status, json.dumps(body).encode()


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    monkeypatch.setenv("REACTOR_STATE", str(tmp_path))
    daemon = FakeDaemon(tmp_path)
    thread = threading.Thread(target=daemon.server.serve_forever, args=(0.01,))
    thread.start()
    yield daemon
    daemon.server.shutdown()
    thread.join()
    daemon.server.server_close()


class TestEmit:
    def test_an_event_is_handed_to_the_daemon(self, call: Call, daemon: FakeDaemon) -> None:
        daemon.says(202, id="e1", duplicate=False)
        answer = call("emit", "--sensor", "bell", "--data", '{"a": 1}', "--id", "e1")
        assert (answer.code, answer.out) == (0, "accepted e1\n")
        assert daemon.path == "/api/emit"
        assert daemon.body == {"sensor": "bell", "data": {"a": 1}, "id": "e1"}
        assert daemon.headers["Authorization"] == "Bearer s3cret"
        assert daemon.headers["X-Reactor"] == "cli"

    def test_a_daemon_on_all_addresses_is_called_on_loopback_by_its_own_name(
        self, call: Call, daemon: FakeDaemon
    ) -> None:
        address = f"0.0.0.0:{daemon.server.server_port}"
        daemon.write(pid=os.getpid(), admin=address)
        daemon.says(202, id="e1", duplicate=False)
        assert call("emit", "--sensor", "bell", "--data", "1").code == 0
        assert daemon.headers["Host"] == address

    def test_a_known_event_is_said_to_be_known(self, call: Call, daemon: FakeDaemon) -> None:
        daemon.says(202, id="e1", duplicate=True)
        out = call("emit", "--sensor", "bell", "--data", "1").out
        assert out == "accepted e1; it was known and fired nothing\n"

    def test_the_document_is_the_daemons_answer(self, call: Call, daemon: FakeDaemon) -> None:
        daemon.says(202, id="e1", duplicate=False)
        answer = call("emit", "--sensor", "bell", "--data", "1", "--json")
        assert answer.document == {"id": "e1", "duplicate": False}

    def test_data_that_is_no_json_is_refused_with_an_example(
        self, call: Call, daemon: FakeDaemon
    ) -> None:
        answer = call("emit", "--sensor", "bell", "--data", "text")
        assert answer.code == 2
        assert "--data is not JSON" in answer.err

    @pytest.mark.parametrize(("status", "code"), [(404, 1), (422, 2), (401, 2), (503, 1), (507, 5)])
    def test_the_daemons_no_is_repeated_in_its_words(
        self, call: Call, daemon: FakeDaemon, status: int, code: int
    ) -> None:
        daemon.says(status, error="no sensor 'bel'; did you mean 'bell'?")
        answer = call("emit", "--sensor", "bel", "--data", "1")
        assert answer.code == code
        assert answer.err == "reactor: no sensor 'bel'; did you mean 'bell'?\n"

    def test_what_the_daemon_says_cannot_drive_the_terminal(
        self, call: Call, daemon: FakeDaemon
    ) -> None:
        daemon.says(422, error="no \x1b]0;owned\x07 sensor")
        answer = call("emit", "--sensor", "bell", "--data", "1")
        assert answer.err == "reactor: no \\x1b]0;owned\\x07 sensor\n"


class TestRedrive:
    @pytest.mark.parametrize(
        ("arguments", "body"),
        [
            (["000000000009d", "000000000009e"], {"ids": ["000000000009d", "000000000009e"]}),
            (["--reason", "not_json"], {"reason": "not_json"}),
            (["--all"], {"all": True}),
        ],
    )
    def test_dead_letters_are_named_in_one_of_three_ways(
        self, call: Call, daemon: FakeDaemon, arguments: list[str], body: Any
    ) -> None:
        daemon.says(200, redriven=2, refused=[])
        answer = call("redrive", *arguments)
        assert (answer.code, answer.out) == (0, "2 dead letters redriven\n")
        assert (daemon.path, daemon.body) == ("/api/redrive", body)

    def test_those_that_are_refused_are_named(self, call: Call, daemon: FakeDaemon) -> None:
        daemon.says(200, redriven=1, refused=[{"id": "000000000009d", "why": "still not JSON"}])
        answer = call("redrive", "--all")
        assert answer.code == 1
        assert answer.out.splitlines() == [
            "1 dead letter redriven",
            "000000000009d refused: still not JSON",
        ]

    @pytest.mark.parametrize("arguments", [[], ["000000000009d", "--all"]])
    def test_exactly_one_way_is_needed(
        self, call: Call, daemon: FakeDaemon, arguments: list[str]
    ) -> None:
        answer = call("redrive", *arguments)
        assert answer.code == 2
        assert "by one of: ID…, --reason REASON, --all" in answer.err


class TestDaemonDown:
    def test_without_its_file_it_is_said_to_be_down(self, call: Call, tmp_path: Path) -> None:
        answer = call("redrive", "--all", "--state", str(tmp_path))
        assert answer.code == 2
        assert answer.err == (
            f"reactor: no daemon runs on {tmp_path}; start it with: "
            f"reactor run PATH --state {tmp_path}\n"
        )

    def test_a_dead_process_is_said_to_be_down(self, call: Call, daemon: FakeDaemon) -> None:
        daemon.write(pid=2**22 + 1, admin="127.0.0.1:1")
        assert "no daemon runs on" in call("redrive", "--all").err

    def test_a_refused_connection_is_said_to_be_down(self, call: Call, daemon: FakeDaemon) -> None:
        daemon.write(pid=os.getpid(), admin="127.0.0.1:1")
        assert "no daemon runs on" in call("redrive", "--all").err

    def test_a_damaged_file_is_named(self, call: Call, daemon: FakeDaemon) -> None:
        daemon.write(admin="127.0.0.1:1")
        answer = call("redrive", "--all")
        assert answer.code == 2
        assert "daemon.json cannot be read" in answer.err

    def test_a_token_that_cannot_be_read_is_named(self, call: Call, daemon: FakeDaemon) -> None:
        (daemon.state / "admin-token").unlink()
        assert "the admin token cannot be read" in call("redrive", "--all").err

    def test_an_answer_of_something_else_is_no_answer(self, call: Call, daemon: FakeDaemon) -> None:
        daemon.answer = (200, b"<html>")
        answer = call("redrive", "--all")
        assert answer.code == 2
        assert "something else than Reactor answered" in answer.err
