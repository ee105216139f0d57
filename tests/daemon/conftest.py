"""A daemon over a project of the test's own, in a process that does not outlive the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reactor.testing.process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Start = Callable[..., DaemonProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a daemon over a project; all are gone afterwards."""
    daemons: list[DaemonProcess] = []
    (tmp_path / "inbox").mkdir()

    def start_daemon(
        project: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        wait_until_ready: bool = True,
    ) -> DaemonProcess:
        module = tmp_path / "project.py"
        module.write_text(project)
        daemon = DaemonProcess(
            module,
            state=tmp_path / "state",
            arguments=arguments,
            environment=environment,
            directory=tmp_path,
        )
        daemons.append(daemon)
        return daemon.start(wait_until_ready=wait_until_ready)

    yield start_daemon
    for daemon in daemons:
        daemon.__exit__(None, None, None)
