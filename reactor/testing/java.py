"""A Java program as a child of this process: found, started, awaited by a line of its log, never left behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HOW_TO_GET_JAVA = "On Debian and Ubuntu: apt install default-jre-headless"
# How long an end may take that was asked for; Kafka shuts down in about a second.
PATIENCE_SECONDS = 30.0
LOG_TAIL_LINES = 25
# Ends the program when the parent is gone, however it went: then `read` meets the end of the file.
# The parent says so when the program has ended, so that a process id used anew is never killed.
GUARD = 'read -r _ || kill -KILL "$1"'


class UnavailableError(RuntimeError):
    """Something that the program needs is not on this machine; the message says how to get it."""


class JavaProcessError(RuntimeError):
    """The program ended, or kept silent, where it should have run. The message ends with its log."""


def find_java(*, oldest: int) -> str:
    """Return the path of a Java runtime of major version `oldest` or later.

    Looks at JAVA_HOME first and then at PATH. Raises UnavailableError when there is none, or when
    the one that was found is older.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        where = f"JAVA_HOME ({home})" if home else "PATH"
        raise UnavailableError(
            f"there is no `java` in {where}; expected Java {oldest} or later. {HOW_TO_GET_JAVA}"
        )
    answer = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', answer.stderr)
    if version is None or int(version[1]) < oldest:
        told = answer.stderr.strip().partition("\n")[0] or f"exit code {answer.returncode}"
        raise UnavailableError(
            f"{found} says {told!r}; expected Java {oldest} or later. {HOW_TO_GET_JAVA}"
        )
    return found


class JavaProcess:
    """A started program. It lives in a session of its own: Ctrl-C reaches its parent only.

    A thread reads what it prints, keeps it in `log_file` and takes note of the line that holds
    `ready`. When this process ends, even by SIGKILL, the program is killed.
    """

    def __init__(self, command: Sequence[str], *, log_file: Path, ready: str) -> None:
        self.log_file = log_file
        self._ready = ready.encode()
        self._is_ready = False
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"log of {self.pid}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended; one that is suspended runs too."""
        return self._process.returncode is None

    def wait_until_ready(self, timeout_seconds: float) -> None:
        """Return once the program has printed its line.

        Raises JavaProcessError with the end of the log when it ended first or took longer; then it
        has been killed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_ready or not self.is_running, timeout_seconds)
            if self._is_ready:
                return
            code = self._process.returncode
        why = f"ended with exit code {code}" if code is not None else "was killed for its silence"
        if code is None:
            self.kill()
        raise JavaProcessError(
            f"waited {timeout_seconds:g} s at most for {self._ready.decode()!r}; the program {why}. "
            f"The end of {self.log_file}:\n{self._tail()}"
        )

    def stop(self) -> int:
        """SIGTERM, and wait for the end; return the exit code. One that is suspended is resumed.

        Raises JavaProcessError when it has not ended within 30 seconds; then it has been killed.
        """
        self._send(signal.SIGTERM)
        self._send(signal.SIGCONT)
        if not self._has_ended(PATIENCE_SECONDS):
            self.kill()
            raise JavaProcessError(
                f"process {self.pid} did not end within {PATIENCE_SECONDS:g} s of SIGTERM and was "
                f"killed. The end of {self.log_file}:\n{self._tail()}"
            )
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._send(signal.SIGKILL)
        self.wait()

    def suspend(self) -> None:
        """SIGSTOP, and return once not one of its threads runs."""
        self._send(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def resume(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    def wait(self) -> int:
        """Return the exit code once the program has ended and its log is complete."""
        self._reader.join()
        return self._process.wait()

    def _has_ended(self, timeout_seconds: float) -> bool:
        self._reader.join(timeout_seconds)
        return not self._reader.is_alive()

    def _send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def _read(self) -> None:
        output = self._process.stdout
        assert output is not None
        # Unbuffered: whoever reads the file after a line was noticed finds that line.
        with output, self.log_file.open("ab", buffering=0) as log:
            for line in output:
                log.write(line)
                if self._ready in line:
                    self._note(is_ready=True)
        self._process.wait()
        self._guard.communicate(b"ended\n")
        self._note(is_ready=self._is_ready)

    def _note(self, *, is_ready: bool) -> None:
        with self._changed:
            self._is_ready = is_ready
            self._changed.notify_all()

    def _tail(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])
