"""Webhooks and timers through a whole daemon, and what it does when there is too much of them."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from reactor.testing.process import TELL

if TYPE_CHECKING:
    from collections.abc import Callable

    from reactor.testing.process import DaemonProcess

    Start = Callable[..., DaemonProcess]

pytestmark = pytest.mark.real_time

SECRET = "canary-4f9a1c"
HEAD = (
    TELL
    + """
from reactor import Context, Event, Workflow
from reactor_sensors import Cron, Every, Files, Webhook

"""
)
PUSHES = (
    HEAD
    + """
pushes = Workflow("pushes", on=Webhook("/github", scheme="github", secret="env:PUSH_SECRET"))

@pushes.step
async def look(event: Event) -> str:
    tell(f"{event.id} {event.data['ref']}")
    return event.data["ref"]
"""
)
# `busy` is full with one run at work and two that wait; `free` is not.
CROWDED = (
    HEAD
    + """
busy = Workflow("busy", on=Webhook("/busy", auth=None), concurrency=1, pending=2)
free = Workflow("free", on=Webhook("/free", auth=None))

@busy.step
async def hold(event: Event) -> None:
    door = Door(event.id)
    tell(f"hold {event.id}")
    await door.opened()

@free.step
async def go(event: Event) -> None:
    tell(f"go {event.id}")
"""
)


def push(daemon: DaemonProcess, delivery: str, *, secret: str = SECRET) -> httpx.Response:
    body = json.dumps({"ref": f"refs/{delivery}"}).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-github-delivery": delivery,
        "x-github-event": "push",
        "x-hub-signature-256": f"sha256={signature}",
    }
    return httpx.post(f"{daemon.hooks}/github", content=body, headers=headers)


def post(daemon: DaemonProcess, path: str, delivery: str) -> httpx.Response:
    return httpx.post(daemon.hooks + path, json={"n": 1}, headers={"idempotency-key": delivery})


def metric(daemon: DaemonProcess, line: str) -> float:
    """Return the value behind a whole name with labels; 0 where it is not shown yet."""
    for shown in daemon.get("/metrics").text.splitlines():
        if shown.startswith(line + " "):
            return float(shown.rpartition(" ")[2])
    return 0.0


def rows(daemon: DaemonProcess, query: str) -> list[Any]:
    with sqlite3.connect(daemon.state / "reactor.db") as database:
        found = database.execute(query).fetchall()
    database.close()
    return found


class TestWebhooks:
    def test_a_delivery_fires_once_however_often_it_comes(self, start: Start) -> None:
        daemon = start(PUSHES, environment={"PUSH_SECRET": SECRET})
        first, second = push(daemon, "d-1"), push(daemon, "d-1")
        assert (first.status_code, first.json()) == (202, {"id": "d-1", "duplicate": False})
        assert (second.status_code, second.json()) == (202, {"id": "d-1", "duplicate": True})
        daemon.wait_until_told("d-1 refs/d-1")
        push(daemon, "d-2")
        daemon.wait_until_told("d-2 refs/d-2")
        assert daemon.told_so_far() == ["d-1 refs/d-1", "d-2 refs/d-2"]

    def test_it_is_known_again_after_a_kill(self, start: Start) -> None:
        daemon = start(PUSHES, environment={"PUSH_SECRET": SECRET})
        push(daemon, "d-1")
        daemon.kill()
        daemon.start()
        assert push(daemon, "d-1").json()["duplicate"] is True
        push(daemon, "d-2")
        daemon.wait_until_told("d-2 refs/d-2")
        daemon.stop()
        assert rows(daemon, "SELECT count(*) FROM run") == [(2,)]

    def test_a_forged_one_is_refused_and_counted(self, start: Start) -> None:
        daemon = start(PUSHES, environment={"PUSH_SECRET": SECRET})
        answer = push(daemon, "d-1", secret="guess")
        assert answer.status_code == 401
        assert metric(daemon, 'reactor_requests_shed_total{reason="status_401"}') == 1

    def test_what_is_genuine_but_wrong_is_parked_with_its_bytes(self, start: Start) -> None:
        daemon = start(PUSHES, environment={"PUSH_SECRET": SECRET})
        body = b"{not json"
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "x-github-delivery": "d-9",
            "x-hub-signature-256": f"sha256={signature}",
        }
        answer = httpx.post(f"{daemon.hooks}/github", content=body, headers=headers)
        assert answer.status_code == 422
        assert rows(daemon, "SELECT raw, reason FROM dead_letter") == [(body, "not_json")]

    def test_no_secret_shows_anywhere(self, start: Start) -> None:
        daemon = start(PUSHES, "--log-level", "DEBUG", environment={"PUSH_SECRET": SECRET})
        push(daemon, "d-1")
        push(daemon, "d-2", secret="guess")
        daemon.wait_until_told("d-1 refs/d-1")
        shown = daemon.get("/metrics").text + daemon.log
        daemon.stop()
        token = (daemon.state / "admin-token").read_text().strip()
        kept = b"".join(
            path.read_bytes() for path in daemon.state.iterdir() if path.name != "admin-token"
        )
        for secret in (SECRET, token):
            assert secret not in shown + daemon.log
            assert secret.encode() not in kept

    def test_a_secret_that_is_not_set_is_named_and_the_rest_runs(self, start: Start) -> None:
        daemon = start(
            PUSHES
            + "\nbeat = Workflow('beat', on=Every('50ms'))\n"
            + "@beat.step\nasync def tick(event: Event) -> None:\n    tell('tick')\n",
            wait_until_ready=False,
        )
        daemon.wait_until_told("tick")
        answer = daemon.get("/readyz")
        assert answer.status_code == 503
        assert "the environment variable PUSH_SECRET is not set" in answer.text


class TestTimers:
    def test_occurrences_continue_after_a_kill(self, start: Start) -> None:
        beat = HEAD + (
            "beat = Workflow('beat', on=Every('100ms', missed='all'))\n"
            "@beat.step\nasync def tick(event: Event) -> None:\n"
            "    tell(event.data.scheduled_at.isoformat())\n    tell('tick')\n"
        )
        daemon = start(beat)
        daemon.wait_until_told("tick")
        daemon.kill()
        daemon.start()
        # The first is told again if the kill came before its result was durable.
        for _ in range(4):
            daemon.wait_until_told("tick")
        daemon.stop()
        times = [time for (time,) in rows(daemon, "SELECT time FROM event ORDER BY time")]
        assert len(times) >= 4
        assert {later - earlier for earlier, later in itertools.pairwise(times)} == {100_000}


class TestBackPressure:
    def test_a_full_workflow_refuses_and_another_goes_on(self, start: Start) -> None:
        daemon = start(CROWDED)
        for number in range(3):
            assert post(daemon, "/busy", f"b{number}").status_code == 202
        daemon.wait_until_told("hold b0")
        refused = post(daemon, "/busy", "b3")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert metric(daemon, 'reactor_events_refused_total{sensor="webhook:/busy"}') == 1
        assert post(daemon, "/free", "f1").status_code == 202
        daemon.wait_until_told("go f1")
        daemon.open_door("b0")
        daemon.wait_until_told("hold b1")
        assert post(daemon, "/busy", "b3").status_code == 202

    def test_what_waits_is_still_counted_after_a_kill(self, start: Start) -> None:
        daemon = start(CROWDED)
        for number in range(3):
            post(daemon, "/busy", f"b{number}")
        daemon.wait_until_told("hold b0")
        daemon.kill()
        daemon.start()
        daemon.wait_until_told("hold b0")
        assert metric(daemon, 'reactor_pending_runs{workflow="busy"}') == 2
        assert post(daemon, "/busy", "b3").status_code == 503


def test_every_event_is_accounted_for(start: Start) -> None:
    daemon = start(PUSHES, environment={"PUSH_SECRET": SECRET})
    for number in range(50):
        push(daemon, f"d-{number}")
    daemon.wait_until_told("d-49 refs/d-49")
    assert daemon.stop() == 0
    assert rows(daemon, "SELECT count(*) FROM event") == [(50,)]
    assert rows(daemon, "SELECT state, outcome, count(*) FROM run GROUP BY 1, 2") == [
        ("finished", "succeeded", 50)
    ]
