"""What the service manager hears, over a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reactor.daemon.notify import Notifier, watchdog_interval
from reactor.errors import SettingsError
from reactor.testing import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


@pytest.fixture
def notifier(manager: socket.socket) -> Notifier:
    return Notifier(manager.getsockname(), watchdog=timedelta(seconds=10))


def heard(manager: socket.socket) -> list[str]:
    """Return every message that has come; sending to such a socket delivers at once."""
    manager.setblocking(False)
    messages = []
    try:
        while True:
            messages.append(manager.recv(4096).decode())
    except BlockingIOError:
        return messages


def test_readiness_and_the_end_are_told(notifier: Notifier, manager: socket.socket) -> None:
    assert notifier.ready("2 workflows")
    assert notifier.stopping()
    assert heard(manager) == ["READY=1\nSTATUS=2 workflows", "STOPPING=1"]


def test_reloading_carries_the_monotonic_time(notifier: Notifier, manager: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    [message] = heard(manager)
    first, second = message.split("\n")
    assert first == "RELOADING=1"
    name, _, micros = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before - 1 <= int(micros) <= time.monotonic_ns() // 1000


def test_a_status_cannot_smuggle_an_assignment_in(
    notifier: Notifier, manager: socket.socket
) -> None:
    notifier.status("file a\nMAINPID=1\x1b")
    notifier.status("\udcff" * 10_000)
    first, second = heard(manager)
    assert first == "STATUS=file a\\nMAINPID=1\\x1b"
    assert len(second) < 600


@pytest.mark.skipif(sys.platform != "linux", reason="the abstract namespace is of Linux")
def test_a_name_with_an_at_sign_is_in_the_abstract_namespace() -> None:
    name = f"reactor-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        assert Notifier(f"@{name}").ready()
        assert heard(listener) == ["READY=1"]


def test_without_a_socket_nothing_is_sent() -> None:
    notifier = Notifier.from_environment({})
    assert not notifier.is_heard
    assert not notifier.ready()


def test_a_manager_that_is_away_is_logged_once_and_survived(
    notifier: Notifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "notify").unlink()
    assert not notifier.ping()
    assert not notifier.ping()
    assert [record.message for record in caplog.records] == ["service manager not reached"]


def test_a_manager_that_does_not_listen_never_makes_the_daemon_wait(
    notifier: Notifier, manager: socket.socket
) -> None:
    while notifier.ping():
        pass
    assert heard(manager)
    assert notifier.ping()


@pytest.mark.parametrize("address", ["notify", "vsock:2:1234"])
def test_an_address_it_does_not_know_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="NOTIFY_SOCKET"):
        Notifier.from_environment({"NOTIFY_SOCKET": address})


def test_the_watchdog_interval_is_for_the_named_process_only() -> None:
    asked = {"WATCHDOG_USEC": "30000000"}
    assert watchdog_interval(asked, pid=7) == timedelta(seconds=30)
    assert watchdog_interval({**asked, "WATCHDOG_PID": "7"}, pid=7) == timedelta(seconds=30)
    assert watchdog_interval({**asked, "WATCHDOG_PID": "8"}, pid=7) is None
    assert watchdog_interval({}, pid=7) is None


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "soon", "9" * 30, "٣"])
def test_a_watchdog_interval_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(
        SettingsError, match=r"WATCHDOG_USEC is .* expected a positive whole number"
    ):
        watchdog_interval({"WATCHDOG_USEC": text}, pid=7)


def test_pings_go_out_only_while_there_is_progress(
    notifier: Notifier, manager: socket.socket
) -> None:
    looked: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def progress() -> bool:
            looked.append(loop.time())
            return len(looked) != 2

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(17):
                await notifier.keep_alive(progress)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    assert looked == [0, 5, 10, 15]
    assert heard(manager) == ["WATCHDOG=1"] * 3


async def test_keeping_alive_ends_at_once_when_nobody_asked_for_it(
    manager: socket.socket,
) -> None:
    await Notifier(manager.getsockname()).keep_alive(lambda: True)
    assert heard(manager) == []
