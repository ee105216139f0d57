"""One round of G14: members of a consumer group, a store each, that are killed, frozen, ended and joined; a broker
that goes down in the middle; partitions that are added. The producer's own log is the oracle.

Everything that a judgement rests on is in the round's folder: `python -m tests.torture check FOLDER` judges it again.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import httpx
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from reactor.testing.kafka_broker import KafkaBroker
from reactor.testing.process import DaemonProcess
from tests.torture import kafka_check
from tests.torture.command import run_command
from tests.torture.journal import Journal
from tests.torture.kafka_feed import REBOOTSTRAP_MILLISECONDS, KafkaFeed
from tests.torture.moments import in_rounds
from tests.torture.round import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# kill: SIGKILL. stop: SIGTERM. join: one that was down is started. freeze: SIGSTOP until the others have taken over.
# blink: SIGSTOP for a moment. broker-stop, broker-kill: the broker ends so, and starts again. grow: one more partition.
Kind = Literal["kill", "stop", "join", "freeze", "blink", "broker-stop", "broker-kill", "grow"]

VICTIM = Path(__file__).with_name("kafka_victim.py")
TOPIC = "records"
PARTITIONS = 4
MEMBERS = 3
LONGEST_CALM_SECONDS = 0.4
BLINK_SECONDS = 0.3
PATIENCE_SECONDS = 60.0
ANSWER_SECONDS = 10.0
RETRY_SECONDS = 0.1
# Of the log of a member that does not go on.
LAST_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What happens after `calm_seconds`; `luck` in [0, 1) chooses to whom."""

    kind: Kind
    calm_seconds: float
    luck: float


def disturbances(seed: str, count: int) -> list[Disturbance]:
    """Return what happens in a round, by turns of all kinds."""
    luck = random.Random(seed)
    kinds: list[Kind] = in_rounds(luck, get_args(Kind), count)
    return [
        Disturbance(
            kind=kind, calm_seconds=luck.uniform(0, LONGEST_CALM_SECONDS), luck=luck.random()
        )
        for kind in kinds
    ]


class Bell:
    """Rung by members whenever they have done something: waiting needs no looking again and again."""

    def __init__(self) -> None:
        self.name = f"reactor-torture-{os.getpid()}-{id(self):x}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.name)

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        """Return whether `condition` came to hold; it is looked at after each ring."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._socket.settimeout(left)
            try:
                self._socket.recv(16)
                self._socket.setblocking(False)
                while True:
                    self._socket.recv(16)
            except TimeoutError:
                return condition()
            except BlockingIOError:
                continue
        return True

    def close(self) -> None:
        self._socket.close()


class Member:
    """A daemon with a store of its own."""

    def __init__(self, number: int, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = f"store-{number}"
        self.state = folder / self.name
        self.daemon = DaemonProcess(
            folder / "project.py", state=self.state, environment=environment, directory=folder
        )
        self._is_ready = False

    def start(self) -> None:
        self._is_ready = False
        self.daemon.start(wait_until_ready=False)

    def wait_until_ready(self) -> None:
        if not self._is_ready:
            self.daemon.wait_for_notice("READY=1")
            self._is_ready = True


class KafkaRound:
    """Use once: `KafkaRound(folder, seed=…, lives=…).run()`; a life is the time between two disturbances.

    The folder must not exist. Raises UnavailableError where no broker can be had.
    """

    def __init__(self, folder: Path, *, seed: int, lives: int) -> None:
        # Daemons run in another folder than this process does.
        folder = folder.absolute()
        folder.mkdir(parents=True)
        self._folder = folder
        self._plan = disturbances(f"{seed} kafka", lives)
        self._failures: list[str] = []
        self._partitions = PARTITIONS
        shutil.copy(VICTIM, folder / "project.py")
        self._acknowledged = Journal(folder / kafka_check.ACKNOWLEDGED)
        self._log = Journal(folder / kafka_check.DISTURBANCES)
        self._bell = Bell()

    def run(
        self, progress: Callable[[int, Disturbance], object] = lambda number, plan: None
    ) -> Report:
        """Return the findings; `progress` is told before each disturbance. Raises AssertionError if it cannot go on."""
        with ExitStack() as stack:
            for closing in (self._acknowledged, self._log, self._bell):
                stack.callback(closing.close)
            self._broker = stack.enter_context(KafkaBroker(self._folder / "kafka"))
            self._admin = AdminClient(
                {
                    "bootstrap.servers": self._broker.bootstrap,
                    "reconnect.backoff.max.ms": 300,
                    "metadata.recovery.rebootstrap.trigger.ms": REBOOTSTRAP_MILLISECONDS,
                    "log_level": 2,
                }
            )
            made = self._admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
            made[TOPIC].result(ANSWER_SECONDS)
            self._feed = KafkaFeed(self._broker.bootstrap, TOPIC, PARTITIONS, self._acknowledged)
            stack.callback(self._feed.abandon)
            self._members = [self._member(number) for number in range(MEMBERS)]
            for member in self._members:
                stack.callback(member.daemon.__exit__, None, None, None)
            self._feed.start()
            for member in self._members[:-1]:
                member.start()
            self._settle("the start")
            # Until then whatever is journaled may come twice.
            self._bell.wait_until(lambda: len(self._committed()) == PARTITIONS)
            for number, disturbance in enumerate(self._plan):
                progress(number, disturbance)
                threading.Event().wait(disturbance.calm_seconds)
                self._disturb(disturbance)
            self._finish()
        (self._folder / kafka_check.FAILURES).write_text(json.dumps(self._failures))
        known = kafka_check.load_kafka_evidence(self._folder)
        return Report(
            findings=kafka_check.check_kafka(known), figures=kafka_check.kafka_figures(known)
        )

    def _member(self, number: int) -> Member:
        environment = {
            "TORTURE_SERVERS": self._broker.bootstrap,
            "TORTURE_TOPIC": TOPIC,
            "TORTURE_BELL": self._bell.name,
        }
        return Member(number, self._folder, environment)

    # What is done to them.

    def _disturb(self, disturbance: Disturbance) -> None:
        line: dict[str, object] = {"kind": disturbance.kind, "at": _now(), "member": ""}
        match disturbance.kind:
            case "broker-stop" | "broker-kill":
                line |= self._break_broker(disturbance.kind)
            case "grow":
                self._grow()
            case "join":
                self._someone_down(disturbance).start()
            case "kill":
                line |= self._kill(self._someone_running(disturbance))
            case "stop":
                member = self._someone_running(disturbance)
                self._stop(member)
                line["member"] = member.name
            case "freeze":
                line |= self._freeze(self._someone_running(disturbance))
            case "blink":
                line |= self._blink(self._someone_running(disturbance))
        self._settle(disturbance.kind)
        if line["member"] == kafka_check.EVERYBODY:
            line["until"] = _now()
        self._log.add(line)

    def _someone_running(self, disturbance: Disturbance) -> Member:
        """Return a member that may be lost: another one runs."""
        running = [member for member in self._members if member.daemon.is_running]
        if len(running) < 2:
            joining = self._someone_down(disturbance)
            joining.start()
            self._settle("one more member")
            running.append(joining)
        member = running[int(disturbance.luck * len(running))]
        self._wait_until_at_work(member)
        return member

    def _someone_down(self, disturbance: Disturbance) -> Member:
        down = [member for member in self._members if not member.daemon.is_running]
        if not down:
            member = self._someone_running(disturbance)
            self._stop(member)
            return member
        return down[int(disturbance.luck * len(down))]

    def _kill(self, member: Member) -> dict[str, object]:
        member.daemon.kill()
        until = _now()
        lost = {"member": member.name, "until": until, "committed": self._committed()}
        # Its own journal is what it goes on from, while the group waits for the dead one's session to end.
        member.start()
        return lost

    def _freeze(self, member: Member) -> dict[str, object]:
        member.daemon.signal(signal.SIGSTOP)
        until = _now()
        lost = {"member": member.name, "until": until, "committed": self._committed()}
        # Until the others have read everything, so that the group must have given its partitions away.
        self._settle("freeze, before it thawed", but=member)
        # Before it wakes: nothing that it does then is earlier.
        lost["thawed"] = _now()
        member.daemon.signal(signal.SIGCONT)
        return lost

    def _blink(self, member: Member) -> dict[str, object]:
        member.daemon.signal(signal.SIGSTOP)
        until = _now()
        threading.Event().wait(BLINK_SECONDS)
        member.daemon.signal(signal.SIGCONT)
        return {"member": member.name, "until": until}

    def _stop(self, member: Member) -> None:
        """SIGTERM: it leaves the group with everything committed, so that nobody repeats anything."""
        member.wait_until_ready()
        self._look_for_repeats(member)
        code = member.daemon.stop()
        if code != 0:
            self._failures.append(f"G23: {member.name} ended with exit code {code} after SIGTERM")

    def _break_broker(self, kind: Kind) -> dict[str, object]:
        lost: dict[str, object] = {
            "member": kafka_check.EVERYBODY,
            "committed": self._committed(),
        }
        if kind == "broker-stop":
            self._broker.stop()
        else:
            self._broker.kill()
        self._broker.start()
        return lost

    def _grow(self) -> None:
        self._partitions += 1
        made = self._admin.create_partitions([NewPartitions(TOPIC, self._partitions)])
        made[TOPIC].result(ANSWER_SECONDS)
        self._feed.grow(self._partitions)

    # What is seen of them.

    def _committed(self) -> dict[str, int]:
        """Return what the group knows now: whatever lies after it, a lost member may have journaled for itself."""
        return asyncio.run(_committed(self._broker.bootstrap))

    def _settle(self, what: str, but: Member | None = None) -> None:
        """Return once members that run have journaled all that is acknowledged by now."""
        wanted = self._feed.ends
        members = [member for member in self._members if member is not but]

        def is_done() -> bool:
            for member in members:
                for partition, offset in kafka_check.cursor_of(member.state).items():
                    if offset >= wanted.get(partition, 0):
                        wanted.pop(partition, None)
            return not wanted

        if not self._bell.wait_until(is_done):
            raise AssertionError(
                f"after {what} nobody read on in {PATIENCE_SECONDS:.0f} s; not journaled: {wanted}\n"
                + self._account(*members)
            )

    def _wait_until_at_work(self, member: Member) -> None:
        """Return once a member journals: the group has given it partitions."""
        before = kafka_check.cursor_of(member.state)
        if not self._bell.wait_until(lambda: kafka_check.cursor_of(member.state) != before):
            raise AssertionError(f"{member.name} got no record\n{self._account(member)}")

    def _account(self, *members: Member) -> str:
        return "\n".join([f"producer: {self._feed.account}", *map(_account_of, members)])

    def _look_for_repeats(self, member: Member) -> None:
        """A store takes no event twice; that it was never offered one twice only its metrics tell."""
        for line in member.daemon.get("/metrics").text.splitlines():
            if line.startswith("reactor_events_duplicate_total") and not line.endswith(" 0.0"):
                self._failures.append(f"G14: {member.name} offered its own store again: {line}")

    def _finish(self) -> None:
        """Let everybody read to the end and finish its runs; end them in order; ask for their own accounts."""
        for member in self._members:
            if not member.daemon.is_running:
                member.start()
        for member in self._members:
            member.wait_until_ready()
        self._feed.stop()
        self._settle("the end")
        for member in self._members:
            self._stop(member)
            audit = run_command(member.state, "audit")
            if audit.returncode != 0:
                self._failures.append(f"G33: reactor audit: {audit.stdout}{audit.stderr}")


def _account_of(member: Member) -> str:
    """Return what a member has to say for itself: where it stands, and the end of its log."""
    state = "not running"
    if member.daemon.is_running:
        try:
            state = member.daemon.get("/readyz").text
        except httpx.HTTPError as error:
            state = f"no answer: {error!r}"
    end = "\n".join(member.daemon.log.splitlines()[-LAST_LINES:])
    reached = kafka_check.cursor_of(member.state)
    return f"--- {member.name}: {state}; reached {reached}\n{end}"


async def _committed(servers: str) -> dict[str, int]:
    """Return the group's offsets. By aiokafka: the same question to confluent-kafka 2.16 crashed the interpreter."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                admin = AIOKafkaAdminClient(bootstrap_servers=servers)
                try:
                    await admin.start()
                    found = await admin.list_consumer_group_offsets(TOPIC)
                except KafkaError:
                    # Soon after its start a broker still reads what groups have committed.
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    return {
                        str(p.partition): kept.offset
                        for p, kept in found.items()
                        if kept.offset >= 0
                    }
                finally:
                    await admin.close()
    except TimeoutError:
        raise AssertionError("the broker does not tell the offsets of the group") from None


def _now() -> int:
    return time.time_ns() // 1000
