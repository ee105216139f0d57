"""One round of G15: a topic full of records behind steps that do not return for long; then they do.

Nothing of what is judged is told by the sensor alone: the log tells each assignment, the kernel the memory, the
database the events, and the metrics what waits.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from contextlib import ExitStack
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from reactor.testing.kafka_broker import KafkaBroker
from reactor.testing.process import DaemonProcess
from tests.torture.command import run_command
from tests.torture.deaths import reading
from tests.torture.round import Report

VICTIM = Path(__file__).with_name("slow_victim.py")
TOPIC = "records"
PARTITIONS = 4
RECORD_BYTES = 200
# Steps at once, runs that may wait, and after how many the victim tells.
PLACES, PENDING, TOLD_EACH = 500, 2_000, 1_000
MOST_RSS_BYTES = 300 * 1024 * 1024
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.5
# A million records, and forty times the `max_poll_interval` of the victim.
MANY_RECORDS = 1_000_000
LONG_HOLD_SECONDS = 120.0


class SlowRound:
    """Use once: `SlowRound(folder).run()`. The folder must not exist.

    Raises UnavailableError where no broker can be had, AssertionError when it cannot go on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        records: int = MANY_RECORDS,
        hold_seconds: float = LONG_HOLD_SECONDS,
    ) -> None:
        # Daemons run in another folder than this process does.
        folder = folder.absolute()
        folder.mkdir(parents=True)
        self._folder, self._records, self._hold_seconds = folder, records, hold_seconds
        self._findings: list[str] = []
        self._most_pending = self._most_paused = 0
        shutil.copy(VICTIM, folder / "project.py")

    def run(self) -> Report:
        """Return the findings."""
        with ExitStack() as stack:
            broker = stack.enter_context(KafkaBroker(self._folder / "kafka"))
            _fill(broker.bootstrap, self._records)
            daemon = stack.enter_context(
                DaemonProcess(
                    self._folder / "project.py",
                    state=self._folder / "state",
                    environment={
                        "TORTURE_SERVERS": broker.bootstrap,
                        "TORTURE_TOPIC": TOPIC,
                        "TORTURE_LIMITS": f"{PLACES} {PENDING} {TOLD_EACH}",
                    },
                    directory=self._folder,
                )
            )
            daemon.wait_until_told("held")
            self._hold(daemon)
            daemon.open_door("door")
            for number in range(self._records // TOLD_EACH):
                daemon.wait_until_told("more")
                if number % 20 == 0:
                    self._look(daemon)
            self._expect(_metric(daemon, "reactor_sensor_paused_partitions") == 0, "still paused")
            rss_bytes = _peak_rss_bytes(daemon.pid)
            assignments = daemon.log.count("partitions assigned")
            code = daemon.stop()
        self._judge(rss_bytes, assignments, code)
        figures = {
            "records": self._records,
            "seconds held": round(self._hold_seconds),
            "assignments": assignments,
            "partitions paused": self._most_paused,
            "runs pending at most": self._most_pending,
            "RSS MB at most": rss_bytes // 2**20,
        }
        return Report(findings=self._findings, figures=figures)

    def _hold(self, daemon: DaemonProcess) -> None:
        for _ in range(round(self._hold_seconds / LOOK_SECONDS)):
            threading.Event().wait(LOOK_SECONDS)
            self._look(daemon)
        self._expect(self._most_paused == PARTITIONS, f"{self._most_paused} partitions were paused")
        self._expect(daemon.get("/readyz").status_code == 200, "not ready while steps are slow")

    def _look(self, daemon: DaemonProcess) -> None:
        pending = _metric(daemon, "reactor_pending_runs")
        self._most_pending = max(self._most_pending, round(pending))
        paused = _metric(daemon, "reactor_sensor_paused_partitions")
        self._most_paused = max(self._most_paused, round(paused))

    def _judge(self, rss_bytes: int, assignments: int, code: int) -> None:
        self._expect(assignments == 1, f"the group gave partitions {assignments} times")
        self._expect(rss_bytes <= MOST_RSS_BYTES, f"{rss_bytes} bytes of memory at the peak")
        self._expect(
            self._most_pending <= PENDING + PLACES, f"{self._most_pending} runs were pending"
        )
        self._expect(code == 0, f"exit code {code}")
        with reading(self._folder / "state") as database:
            found = database.execute(
                "SELECT (SELECT count(DISTINCT json_extract(data, '$.value.n')) FROM event), "
                "(SELECT count(*) FROM event), "
                "(SELECT count(*) FROM run WHERE outcome = 'succeeded')"
            ).fetchone()
        self._expect(
            found == (self._records,) * 3,
            f"{self._records} records became {found[1]} events of {found[0]} numbers and "
            f"{found[2]} runs that succeeded",
        )
        audit = run_command(self._folder / "state", "audit")
        self._expect(audit.returncode == 0, f"reactor audit: {audit.stdout}{audit.stderr}")

    def _expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self._findings.append(f"G15: {otherwise}")


def _fill(servers: str, count: int) -> None:
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 2})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(PATIENCE_SECONDS)
    options = {"bootstrap.servers": servers, "linger.ms": 20, "log_level": 2, "acks": "all"}
    producer = Producer({**options, "queue.buffering.max.messages": 1_000_000})
    failures: list[object] = []
    for number in range(count):
        value = json.dumps({"n": number, "text": "x" * (RECORD_BYTES - 30)}).encode()
        producer.produce(
            TOPIC,
            value,
            partition=number % PARTITIONS,
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
        if number % 10_000 == 0:
            producer.poll(0)
    left = producer.flush(PATIENCE_SECONDS)
    assert left == 0, f"{left} records could not be sent"
    assert failures == []


def _metric(daemon: DaemonProcess, name: str) -> float:
    """Return the sum over all labels; 0 for a metric without a series."""
    lines = daemon.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[ {{]", line))


def _peak_rss_bytes(pid: int) -> int:
    """Return the most memory that a process has held at once (proc(5), VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
