"""Tells the service manager how the daemon is: sd_notify(3) and sd_watchdog_enabled(3)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

from reactor.clock import monotonic
from reactor.errors import SettingsError
from reactor.telemetry.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = logging.getLogger("reactor.notify")
_LONGEST_STATUS = 500


class Notifier:
    """Sends state to the socket that the service manager listens on; without one, does nothing.

    No call waits and none raises: a service manager that is away or busy must not stop the daemon.
    The first failure of a series is logged.
    """

    def __init__(self, address: str | None, *, watchdog: timedelta | None = None) -> None:
        self._address = _socket_address(address) if address else None
        self.watchdog = watchdog
        self._is_failing = False

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], *, pid: int | None = None
    ) -> Notifier:
        """Return the notifier that NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID ask for.

        Raises SettingsError when one of them cannot be understood: a watchdog that is overlooked
        ends in a daemon killed for no reason.
        """
        return cls(
            environment.get("NOTIFY_SOCKET"),
            watchdog=watchdog_interval(environment, pid=os.getpid() if pid is None else pid),
        )

    @property
    def is_heard(self) -> bool:
        """Whether there is a service manager to talk to."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """Say that the daemon is up, also after `reloading`. Returns whether that was sent."""
        return self._send("READY=1", *_status(status))

    def reloading(self) -> bool:
        """Say that the project is being read again; `ready` must follow."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={int(monotonic() * 1_000_000)}")

    def stopping(self, status: str = "") -> bool:
        """Say that the daemon is on its way out."""
        return self._send("STOPPING=1", *_status(status))

    def status(self, text: str) -> bool:
        """Show `text` in `systemctl status`; it is brought onto one line."""
        return self._send(*_status(text))

    def ping(self) -> bool:
        """Say that the daemon is alive, now."""
        return self._send("WATCHDOG=1")

    async def keep_alive(self, progress: Callable[[], bool]) -> None:
        """Ping twice per watchdog interval while `progress()` holds; without a watchdog, end.

        While it does not hold, nothing is sent, and the service manager restarts the daemon.
        """
        if self.watchdog is None or not self.is_heard:
            return
        while True:
            if progress():
                self.ping()
            await asyncio.sleep(self.watchdog.total_seconds() / 2)

    def _send(self, *assignments: str) -> bool:
        if self._address is None or not assignments:
            return False
        # A socket per message: the service manager may have replaced its own in the meantime.
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            if not self._is_failing:
                fields = {"error": str(error), "sent": assignments[0]}
                _log.warning("service manager not reached", extra={"fields": fields})
            self._is_failing = True
            return False
        self._is_failing = False
        return True


def watchdog_interval(environment: Mapping[str, str], *, pid: int) -> timedelta | None:
    """Return within what time the service manager wants to be pinged by process `pid`, None if not.

    Raises SettingsError when WATCHDOG_USEC or WATCHDOG_PID is not a positive whole number.
    """
    if "WATCHDOG_USEC" not in environment:
        return None
    interval = timedelta(microseconds=_positive(environment, "WATCHDOG_USEC"))
    if environment.get("WATCHDOG_PID") and _positive(environment, "WATCHDOG_PID") != pid:
        return None
    return interval


def _positive(environment: Mapping[str, str], name: str) -> int:
    text = environment[name]
    # Up to 18 digits: what a timedelta of microseconds holds.
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
        raise SettingsError(
            f"{name} is {text!r}; expected a positive whole number, as the service manager "
            "sets it; unset it to run without its watchdog"
        )
    return int(text)


def _socket_address(address: str) -> str:
    if address.startswith("@"):
        # The abstract namespace of Linux begins with a zero byte.
        return "\0" + address[1:]
    if address.startswith("/"):
        return address
    raise SettingsError(
        f"NOTIFY_SOCKET is {address!r}; expected an absolute path or a name that begins with '@'; "
        "unset it to run without a service manager"
    )


def _status(text: str) -> tuple[str, ...]:
    # One line: a newline would begin an assignment of its own, such as MAINPID.
    return (f"STATUS={printable(text, longest=_LONGEST_STATUS)}",) if text else ()
