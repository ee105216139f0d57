"""A real Apache Kafka broker on loopback, for tests and developers: started, stopped, killed, suspended."""

from __future__ import annotations

import base64
import random
import re
import socket
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reactor.testing.java import JavaProcess, JavaProcessError, find_java
from reactor.testing.kafka_jars import kafka_jars
from reactor.testing.kafka_listeners import (
    CONTROLLER,
    MUTUAL_TLS,
    PLAINTEXT,
    PROTOCOLS,
    SASL,
    SASL_TLS,
    SCRAM_MECHANISMS,
    TLS,
    BrokerTls,
    listener_names,
    sasl_properties,
    tls_properties,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

BROKER_VARIABLE = "REACTOR_TEST_KAFKA"
HOST = "127.0.0.1"
OLDEST_JAVA = 17
# kafka.server.KafkaRaftServer logs it when every listener answers.
READY = "Kafka Server started"
# It takes 2 to 4 seconds; a machine that is busy with other things may need more.
READY_TIMEOUT_SECONDS = 60.0
ATTEMPTS_FOR_PORTS = 5
PORT_IS_TAKEN = "Address already in use"
FIRST_PORT = 20_000
# Below it no system hands out a port by itself (Linux 32 768, IANA and macOS 49 152).
END_OF_PORTS = 32_768
PLAIN_WORD = re.compile(r"[A-Za-z0-9_.-]+")

# The serial collector has the fewest threads. What the verifier of classes would find is ruled out by
# the sums of the jars, and it takes a quarter of the start.
JAVA_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-BytecodeVerificationRemote",
    "-Djava.net.preferIPv4Stack=true",
)
# A tool that ends after half a second gains nothing from the second compiler.
SHORT_LIVED = "-XX:TieredStopAtLevel=1"

# One node, few partitions of its own topics, and nothing that waits for the sake of large clusters.
PROPERTIES: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "num.partitions": "3",
    "group.initial.rebalance.delay.ms": "0",
    # So that a test need not wait 6 seconds for the group to miss a member that was killed.
    "group.min.session.timeout.ms": "500",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # After a kill the node takes itself for its own predecessor for that long.
    "broker.heartbeat.interval.ms": "300",
    "broker.session.timeout.ms": "1500",
    # The default of 128 MB would not leave much of a small heap.
    "log.cleaner.dedupe.buffer.size": "4194304",
}

_NEEDED = {
    SASL: ", and `users`",
    TLS: ", and `tls`",
    MUTUAL_TLS: ", and `tls`",
    SASL_TLS: ", and `users` and `tls`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignBroker:
    """A broker that somebody else runs, such as the one of $REACTOR_TEST_KAFKA: it is not ours to break."""

    bootstrap: str


class KafkaBroker:
    """One Kafka node (KRaft: broker and controller in one process) that keeps everything in `directory`.

    `start` returns when clients are served, after 2 to 4 seconds; the addresses stay the same over
    `stop`, `kill` and `restart`, and so do topics, records and group offsets. A context that starts
    on entry and leaves no process behind; the process is killed also when its parent is.

    Methods wait in the calling thread: on an event loop that must go on meanwhile, use
    `await asyncio.to_thread(broker.restart)`. They are not for several threads at once.

    `users` (name to password, of letters, digits and `_.-`) adds a second listener that asks for
    credentials, by PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER (unsecured tokens, of any
    subject) without TLS, and Kafka's own authorizer: what no rule names is allowed; a topic with a
    rule is open to those that the rule names. Whoever comes through `bootstrap` is a super user.

    `tls` adds one listener with TLS, one that also asks for a client certificate and, with `users`,
    one for credentials within TLS.

    `properties` add to or replace those of the broker (https://kafka.apache.org/43/configuration/).
    `jars` is a folder with another Kafka. Users and heap take effect when `directory` is new.

    `start` raises UnavailableError when Java or Maven is missing, PinError when the jars are not the
    pinned ones, and JavaProcessError with the end of the log when the broker does not come up.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        users: Mapping[str, str] | None = None,
        tls: BrokerTls | None = None,
        properties: Mapping[str, str] | None = None,
        heap_mb: int = 256,
        jars: Path | None = None,
    ) -> None:
        self.directory = directory
        self.log_file = directory / "broker.log"
        self._users = dict(users or {})
        for word in (*self._users, *self._users.values()):
            if not PLAIN_WORD.fullmatch(word):
                raise ValueError(
                    f"{word!r} is not for a user of the broker; expected letters, digits and `_.-` "
                    "in names and passwords"
                )
        self._tls = tls
        self._given = dict(properties or {})
        self._heap_mb = heap_mb
        self._jars = jars
        self._wanted_port = port
        self._ports: dict[str, int] = {}
        self._process: JavaProcess | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Nobody asks for the data any more, so there is no reason to wait for an orderly end.
        if self.is_running:
            self.kill()

    @property
    def bootstrap(self) -> str:
        """The address for clients without credentials, such as "127.0.0.1:23456"."""
        return self._address(PLAINTEXT)

    @property
    def sasl_bootstrap(self) -> str:
        """The address for clients with credentials (SASL_PLAINTEXT). Only with `users`."""
        return self._address(SASL)

    @property
    def tls_bootstrap(self) -> str:
        """The address for clients with TLS (SSL). Only with `tls`."""
        return self._address(TLS)

    @property
    def mutual_tls_bootstrap(self) -> str:
        """The address for clients with TLS and a certificate of their own (SSL). Only with `tls`."""
        return self._address(MUTUAL_TLS)

    @property
    def sasl_tls_bootstrap(self) -> str:
        """The address for clients with TLS and credentials (SASL_SSL). Only with `tls` and `users`."""
        return self._address(SASL_TLS)

    @property
    def log(self) -> str:
        """All that the broker has printed in this directory, over all its starts."""
        if not self.log_file.exists():
            return ""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether there is a process; a suspended one counts."""
        return self._process is not None and self._process.is_running

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self._running().pid

    def start(self) -> Self:
        """Start, and return once clients are served. Without effect on one that runs."""
        if self.is_running:
            return self
        java = find_java(oldest=OLDEST_JAVA)
        jars = self._jars or kafka_jars()
        self.directory.mkdir(parents=True, exist_ok=True)
        is_new = not self._ports
        for attempt in range(1, ATTEMPTS_FOR_PORTS + 1):
            if is_new:
                self._ports = self._free_ports()
            start_of_log = len(self.log)
            try:
                self._launch([java, *JAVA_OPTIONS, f"-Xmx{self._heap_mb}m", "-cp", f"{jars}/*"])
            except JavaProcessError:
                is_taken = PORT_IS_TAKEN in self.log[start_of_log:]
                # Somebody took the port between the look and the start. The addresses of a broker
                # that has run before are known to clients, and do not change.
                if not (is_taken and is_new and attempt < ATTEMPTS_FOR_PORTS):
                    raise
            else:
                break
        return self

    def stop(self) -> None:
        """SIGTERM, and wait for the orderly end; a suspended broker is resumed first."""
        self._running().stop()

    def kill(self) -> None:
        """SIGKILL, and wait for the end. What was acknowledged is kept: the page cache survives."""
        self._running().kill()

    def restart(self) -> None:
        """Stop, if it runs, and start again with the same addresses and data."""
        if self.is_running:
            self.stop()
        self.start()

    def suspend(self) -> None:
        """SIGSTOP: connections stay open, and nothing answers. Returns once every thread stands."""
        self._running().suspend()

    def resume(self) -> None:
        """SIGCONT."""
        self._running().resume()

    def wait(self) -> int:
        """Return the exit code once the process has ended by itself or by a signal."""
        return self._running().wait()

    def _launch(self, java: list[str]) -> None:
        settings = self.directory / "server.properties"
        settings.write_text(_lines(self._properties()), encoding="utf-8")
        if not (self._data / "meta.properties").exists():
            self._format(java, settings)
        self._process = JavaProcess(
            [*java, "kafka.Kafka", str(settings)], log_file=self.log_file, ready=READY
        )
        self._process.wait_until_ready(READY_TIMEOUT_SECONDS)

    def _format(self, java: list[str], settings: Path) -> None:
        tool = [*java, SHORT_LIVED, "kafka.tools.StorageTool"]
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # With "=", or one identifier in 64, which starts with "-", is taken for an option.
        command = [*tool, "format", "-c", str(settings), f"--cluster-id={cluster}"]
        for user, password in self._users.items():
            for mechanism in SCRAM_MECHANISMS:
                command += ["--add-scram", f"{mechanism}=[name={user},password={password}]"]
        answer = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if answer.returncode != 0:
            raise JavaProcessError(
                f"Kafka could not format {self._data} (exit code {answer.returncode}); expected an "
                f"empty or missing folder and sound properties in {settings}. It said:\n{answer.stdout}"
            )

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _properties(self) -> dict[str, str]:
        listeners = [f"{name}://{HOST}:{port}" for name, port in self._ports.items()]
        protocols = [f"{name}:{PROTOCOLS[name]}" for name in self._ports]
        return {
            **PROPERTIES,
            "log.dirs": str(self._data),
            "controller.quorum.voters": f"1@{self._address(CONTROLLER)}",
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(one for one in listeners if CONTROLLER not in one),
            "listener.security.protocol.map": ",".join(protocols),
            "inter.broker.listener.name": PLAINTEXT,
            **(sasl_properties(self._users, [*self._ports]) if self._users else {}),
            **(tls_properties(self._tls) if self._tls else {}),
            **self._given,
        }

    def _free_ports(self) -> dict[str, int]:
        names = listener_names(has_users=bool(self._users), has_tls=self._tls is not None)
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        if self._wanted_port is not None:
            if not _is_free(self._wanted_port):
                raise JavaProcessError(
                    f"port {self._wanted_port} of {HOST} is taken; expected a free one. Stop whoever "
                    "listens there, such as an earlier broker, or name another port"
                )
            ports[PLAINTEXT] = self._wanted_port
        return ports

    def _address(self, listener: str) -> str:
        if listener not in self._ports:
            raise RuntimeError(
                f"the broker has no address {listener} yet; expected `start` before"
                + _NEEDED.get(listener, "")
            )
        return f"{HOST}:{self._ports[listener]}"

    def _running(self) -> JavaProcess:
        if self._process is None:
            raise RuntimeError("the broker was never started; call `start` first")
        return self._process


def free_ports(count: int) -> list[int]:
    """Return different ports of loopback that nobody listens on now.

    They are outside the range that the system hands out by itself: while a broker is down, its port
    does not become the near end of somebody's connection.
    """
    found: list[int] = []
    # The system's randomness: a seeded test in another process must not be led to the same ports.
    for port in random.SystemRandom().sample(range(FIRST_PORT, END_OF_PORTS), 1_000):
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the broker does: connections of an earlier listener that linger are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _lines(properties: Mapping[str, str]) -> str:
    """Return the text of a Java properties file; in it a backslash escapes what follows."""
    return "".join(f"{name}={value}\n".replace("\\", "\\\\") for name, value in properties.items())
