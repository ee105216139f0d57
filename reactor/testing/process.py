"""A real daemon in a process of its own: for tests across kill -9, signals and sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

# How long a thing may take that takes milliseconds, and a drain 20 seconds; only ever waited for in full when it never
# comes.
PATIENCE_SECONDS = 30.0
# The name of the socket that `tell` and `door` of a project under test meet this process at.
TELL_VARIABLE = "REACTOR_TEST_TELL"
END = b"END"
# To be put at the head of a project's module.
TELL = f"""\
import asyncio, os, socket

def tell(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"TOLD=" + str(text).encode(), "\\0" + os.environ["{TELL_VARIABLE}"])

class Door:
    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind("\\0" + os.environ["{TELL_VARIABLE}"] + "/" + name)

    async def opened(self):
        with self.socket:
            await asyncio.get_running_loop().sock_recv(self.socket, 1)
"""


class DaemonProcess:
    """`reactor run PATHS --state STATE` on free ports. Nothing is polled: the daemon tells when it is ready.

    A context that leaves no process behind. The same object may be started again after its end: a restart.
    """

    def __init__(
        self,
        *paths: Path,
        state: Path,
        arguments: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.state = state
        self.log_file = state.with_name(state.name + ".log")
        self._directory = directory
        self._command = [
            *(sys.executable, "-m", "reactor", "run", *map(str, paths), "--state", str(state)),
            *("--hooks", "127.0.0.1:0", "--admin", "127.0.0.1:0", *arguments),
        ]
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._name = name = f"reactor-test-{os.getpid()}-{id(self):x}"
        self._notices.bind("\0" + name)
        self._environment = {
            **os.environ,
            **(environment or {}),
            "NOTIFY_SOCKET": "@" + name,
            TELL_VARIABLE: name,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._unread: list[str] = []
        self._heard: list[str] = []
        self._changed = threading.Condition()
        # Read all the time: the kernel keeps only a few datagrams, and a daemon that tells more would wait.
        self._listener = threading.Thread(target=self._listen, name="notices", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_running:
            self.kill()
        self._send(self._name, END)
        self._listener.join()
        self._notices.close()

    def start(self, *, wait_until_ready: bool = True) -> Self:
        """Start, and return once every sensor runs. Raises AssertionError with the log when it ends instead."""
        # What an earlier process said must not be taken for the words of the next.
        with self._changed:
            self._unread.clear()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        # Rouses whoever waits for words that will not come.
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()
        if wait_until_ready:
            self.wait_for_notice("READY=1")
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """All that the daemon and its predecessors wrote to standard error."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    @property
    def hooks(self) -> str:
        """The URL of the hooks listener."""
        return f"http://{self._addresses()['hooks']}"

    @property
    def admin(self) -> str:
        """The URL of the admin listener."""
        return f"http://{self._addresses()['admin']}"

    def get(self, path: str) -> httpx.Response:
        """GET a path of the admin listener, without a token."""
        return httpx.get(self.admin + path, timeout=PATIENCE_SECONDS)

    def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """POST to a path of the admin API, with the token."""
        token = (self.state / "admin-token").read_text(encoding="ascii").strip()
        headers = {"authorization": f"Bearer {token}", "x-reactor": "test"}
        return httpx.post(self.admin + path, json=body, headers=headers, timeout=PATIENCE_SECONDS)

    def wait_for_notice(self, wanted: str) -> None:
        """Return once the daemon has told the service manager `wanted`, such as "STOPPING=1"."""
        self._wait_for(wanted)

    def wait_until_told(self, text: str) -> None:
        """Return once a step has called `tell(text)`."""
        self._wait_for(f"TOLD={text}")

    def told_so_far(self) -> list[str]:
        """Return all that steps have told and that has been received, in order."""
        return [line.removeprefix("TOLD=") for line in self._heard if line.startswith("TOLD=")]

    def heard(self) -> list[str]:
        """Return every line that the service manager would have been told so far, in order."""
        return [*self._heard]

    def open_door(self, name: str) -> None:
        """Let the step go on that waits for `Door(name).opened()`."""
        self._send(f"{self._name}/{name}", b"1")

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait for the end."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """SIGTERM; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code once the process has ended."""
        assert self._process is not None
        return self._process.wait(PATIENCE_SECONDS)

    def _wait_for(self, wanted: str) -> None:
        with self._changed:
            is_told = self._changed.wait_for(
                lambda: wanted in self._unread or not self.is_running, PATIENCE_SECONDS
            )
            if wanted in self._unread:
                self._unread.remove(wanted)
                return
        why = "ended" if is_told else "did not say so in time"
        raise AssertionError(f"waited for {wanted!r}; the daemon {why}:\n{self.log}")

    def _listen(self) -> None:
        while (datagram := self._notices.recv(65_536)) != END:
            lines = datagram.decode().split("\n")
            with self._changed:
                self._unread += lines
                self._heard += lines
                self._changed.notify_all()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        with self._changed:
            self._changed.notify_all()

    @staticmethod
    def _send(name: str, datagram: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(datagram, "\0" + name)

    def _addresses(self) -> dict[str, str]:
        content: dict[str, str] = json.loads((self.state / "daemon.json").read_bytes())
        return content
