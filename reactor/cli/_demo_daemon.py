"""The daemon as the demo has it: a child process, started, killed, started again, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys
from typing import TYPE_CHECKING

import httpx
import orjson

from reactor.errors import ReactorError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

READY_WITHIN_SECONDS = 20.0
STOPPED_WITHIN_SECONDS = 25.0
POLL_SECONDS = 0.02
LOG_LINES = 25
HOST = "127.0.0.1"
# Below the ports that systems hand out by themselves: while the daemon is dead, nobody is given its
# port, and a sender that tries to connect is not connected to itself.
PORTS = range(20_000, 32_000)
PORTS_TRIED = 50


class DemoError(ReactorError):
    """The demo could not go on; the message says at what it stopped."""


async def wait_until(condition: Callable[[], bool], *, what: str, within_seconds: float) -> None:
    """Return once `condition` holds; it is called in a thread, for it reads. Raises DemoError."""
    try:
        async with asyncio.timeout(within_seconds):
            while not await asyncio.to_thread(condition):  # noqa: ASYNC110  # another process sets no event here
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise DemoError(f"waited {within_seconds:g} s in vain for this: {what}") from None


def free_address(*wanted: int) -> str:
    """Return HOST:PORT of a port that was free a moment ago: the first such of `wanted`, else any.

    Raises DemoError when no port can be bound.
    """
    for port in (*wanted, *(secrets.choice(PORTS) for _ in range(PORTS_TRIED))):
        with socket.socket() as probe:
            # As servers do: what is left of closed connections is no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return f"{HOST}:{port}"
    raise DemoError(f"no free port found on {HOST} between {PORTS.start} and {PORTS.stop}")


class DemoDaemon:
    """One daemon at a time in `folder`, its working directory; its state is in `folder/state`.

    `project` is what it runs, `kafka` the address of the broker that they are told of.

    Every start uses the same addresses, as a real source expects: `hooks` and `admin`, or free ones.
    """

    def __init__(
        self,
        folder: Path,
        project: Sequence[Path],
        *,
        secret: str,
        kafka: str | None = None,
        hooks: str | None = None,
        admin: str | None = None,
        has_terminal: bool = False,
    ) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.log = folder / "daemon.log"
        self.hooks = hooks or free_address()
        self.admin = admin or free_address()
        self._project = project
        self._kafka = kafka
        self._has_terminal = has_terminal
        # Without the user's own settings: the demo is the same everywhere.
        self._environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("REACTOR_")},
            "GITHUB_SECRET": secret,
            **({"KAFKA_BOOTSTRAP": kafka} if kafka else {}),
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id while there is a process."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self, *, but_for: str | None = None) -> None:
        """Start a daemon and return when /readyz says 200, or names no sensor `but_for` this one.

        Raises DemoError with its last words.
        """
        with self.log.open("ab") as log:
            target = None if self._has_terminal else log
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "reactor", "run", *map(str, self._project)),
                *("--state", str(self.state), "--hooks", self.hooks, "--admin", self.admin),
                cwd=self.folder,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=target,
                stderr=target,
                # Ctrl-C goes to the demo alone; the demo then ends the daemon in its own order.
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(READY_WITHIN_SECONDS), httpx.AsyncClient() as client:
                while not await self._is_ready(client, but_for):  # noqa: ASYNC110  # another process
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise DemoError(
                f"the daemon was not ready within {READY_WITHIN_SECONDS:g} s{self.log_end()}"
            ) from None

    async def _is_ready(self, client: httpx.AsyncClient, but_for: str | None) -> bool:
        assert self._process is not None
        if self._process.returncode is not None:
            raise DemoError(
                f"the daemon ended with exit code {self._process.returncode}{self.log_end()}"
            )
        try:
            written = await asyncio.to_thread((self.state / "daemon.json").read_bytes)
            found = orjson.loads(written)
            if found["pid"] != self._process.pid:  # left there by the daemon that was killed
                return False
            answer = await client.get(f"http://{found['admin']}/readyz")
        except (OSError, orjson.JSONDecodeError, httpx.TransportError):
            return False
        reasons: list[str] = answer.json()["reasons"]
        return all(but_for is not None and why.startswith(f"{but_for}: ") for why in reasons)

    async def kill(self) -> None:
        """End the process as a crash does: SIGKILL, no last word."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """Ask the daemon to drain (SIGTERM); return its exit code, or raise DemoError."""
        assert self._process is not None
        self._process.terminate()
        try:
            async with asyncio.timeout(STOPPED_WITHIN_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            raise DemoError(
                f"the daemon was still there {STOPPED_WITHIN_SECONDS:g} s after SIGTERM"
                f"{self.log_end()}"
            ) from None

    async def ended(self) -> int:
        """Return the exit code when the present process has ended by itself."""
        assert self._process is not None
        return await self._process.wait()

    async def end(self) -> None:
        """Whatever happened before, leave no process behind. May be repeated."""
        if self.pid is None or self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def log_end(self) -> str:
        """Return the last lines of the daemon's log, under a heading, or "" where there is none."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        except OSError:
            lines = []
        return "; its last words:\n  " + "\n  ".join(lines) if lines else ""


async def command(*arguments: str, cwd: Path) -> tuple[int, str]:
    """Run `reactor ARGUMENTS` to its end and return its exit code and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "reactor", *arguments),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")
