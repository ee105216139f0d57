"""One round of G16 for Kafka: a topic of which one record in a hundred is garbage, beside one that is clean.

What is judged: each garbage record is a dead letter with exactly its bytes, each good one a run that succeeded, in the
order of its key; redriven dead letters too; and, in the long form, how much slower the garbage made it.
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from reactor.testing.kafka_broker import KafkaBroker
from reactor.testing.process import DaemonProcess
from tests.torture.command import run_command
from tests.torture.deaths import reading
from tests.torture.round import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

VICTIM = Path(__file__).with_name("poison_victim.py")
PARTITIONS = 4
# Prime to what follows, so that garbage is of all keys; and after the last of it comes a good one of each.
CUSTOMERS = 7
# One record in so many is garbage: not JSON, or JSON that breaks its model in turn.
ONE_IN = 100
PATIENCE_SECONDS = 60.0
RECORDS = 20_000
# Of five, what else the machine does moved the median by a tenth.
PAIRS = 15
LEAST_SHARE_PERCENT = 90
CLEAN, DIRTY = "clean", "dirty"
# So often a daemon tells that it has done more.
TOLD = 20


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How a clean topic and one with garbage are timed, in `PAIRS`. `topics` is what their names end with."""

    name: str
    topics: str
    records: int
    environment: Mapping[str, str]


ONE_EACH = Timing(name="one each", topics="", records=RECORDS, environment={"TORTURE_KEYLESS": "1"})
# They come several times as fast.
BATCHES = Timing(
    name="batches",
    topics="-batches",
    records=10 * RECORDS,
    environment={"TORTURE_BATCHES": "1"},
)


class PoisonRound:
    """Use once: `PoisonRound(folder).run()`. The folder must not exist. A round of other than `RECORDS` is not timed.

    Raises UnavailableError where no broker can be had, AssertionError when it cannot go on.
    """

    def __init__(self, folder: Path, *, records: int = RECORDS) -> None:
        assert records % ONE_IN == 0, f"expected a multiple of {ONE_IN} records, not {records}"
        # Daemons run in another folder than this process does.
        folder = folder.absolute()
        folder.mkdir(parents=True)
        self._folder, self._records = folder, records
        self._findings: list[str] = []
        shutil.copy(VICTIM, folder / "project.py")

    def run(self) -> Report:
        """Return the findings."""
        figures = {"records": self._records, "of them garbage": self._records // ONE_IN}
        with ExitStack() as stack:
            broker = stack.enter_context(KafkaBroker(self._folder / "kafka"))
            self._servers = broker.bootstrap
            self._fill(DIRTY, self._records, one_in=ONE_IN)
            state = self._read(DIRTY, "judged", self._records)
            self._judge(state)
            figures["redriven"] = self._redrive(state)
            if self._records == RECORDS:
                self._fill(CLEAN, RECORDS, one_in=0)
                figures |= self._compare(ONE_EACH)
                for topic, one_in in ((CLEAN, 0), (DIRTY, ONE_IN)):
                    name = f"{topic}{BATCHES.topics}"
                    self._fill(name, BATCHES.records, one_in=one_in, has_model=False)
                figures |= self._compare(BATCHES)
        return Report(findings=self._findings, figures=figures)

    # What is sent.

    def _value(self, number: int, one_in: int, *, has_model: bool = True) -> bytes:
        customer = f"c{number % CUSTOMERS}"
        if one_in and number % one_in == one_in // 2:
            # An odd one may be read by a better model, an even one never.
            is_json = has_model and number // one_in % 2 == 1
            return json.dumps({"n": str(number)}).encode() if is_json else b"\xff{%d" % number
        return json.dumps({"n": number, "customer": customer, "pad": "x" * 150}).encode()

    def _fill(self, topic: str, records: int, *, one_in: int, has_model: bool = True) -> None:
        admin = AdminClient({"bootstrap.servers": self._servers, "log_level": 2})
        admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(PATIENCE_SECONDS)
        # In order, whatever is sent twice.
        options = {"bootstrap.servers": self._servers, "enable.idempotence": True, "log_level": 2}
        options |= {"linger.ms": 20, "queue.buffering.max.messages": records}
        producer = Producer(options)
        for number in range(records):
            producer.produce(
                topic,
                self._value(number, one_in, has_model=has_model),
                key=b"k%d" % (number % CUSTOMERS),
                headers=[("n", b"%d" % number)],
            )
            producer.poll(0)
        left = producer.flush(PATIENCE_SECONDS)
        assert left == 0, f"{left} records could not be sent"

    # What comes of it.

    def _daemon(self, topic: str, group: str, **environment: str) -> DaemonProcess:
        return DaemonProcess(
            self._folder / "project.py",
            state=self._folder / group,
            environment={
                "TORTURE_SERVERS": self._servers,
                "TORTURE_TOPIC": topic,
                "TORTURE_GROUP": group,
                **environment,
            },
            directory=self._folder,
        )

    def _read(self, topic: str, group: str, records: int, **environment: str) -> Path:
        """Let a new daemon read a topic to its end; return its state."""
        good = records - records // ONE_IN if topic.startswith(DIRTY) else records
        daemon = self._daemon(topic, group, TORTURE_TOLD_EACH=str(good // TOLD), **environment)
        with daemon:
            for _ in range(TOLD):
                daemon.wait_until_told("more")
            code = daemon.stop()
        self._expect(code == 0, f"exit code {code}")
        return daemon.state

    def _judge(self, state: Path) -> None:
        garbage = {
            number: self._value(number, ONE_IN)
            for number in range(self._records)
            if number % ONE_IN == ONE_IN // 2
        }
        with reading(state) as database:
            letters = [
                json.loads(raw) for (raw,) in database.execute("SELECT raw FROM dead_letter")
            ]
            runs = database.execute(
                "SELECT count(*), count(DISTINCT event) FROM run WHERE outcome = 'succeeded'"
            ).fetchone()
        parked = {
            int(base64.b64decode(dict(letter["headers"])["n"])): base64.b64decode(letter["value"])
            for letter in letters
        }
        self._expect(len(letters) == len(garbage), f"{len(letters)} dead letters")
        self._expect(parked == garbage, "a dead letter does not hold the bytes that were sent")
        good = self._records - len(garbage)
        self._expect(runs == (good, good), f"{runs} runs of {good} good records succeeded")
        self._check_order(state, self._records - len(garbage))

    def _redrive(self, state: Path) -> int:
        """Let a daemon with a better model redrive all dead letters; return how many became events."""
        revived = self._records // ONE_IN // 2
        with self._daemon(DIRTY, state.name, TORTURE_LENIENT="1", TORTURE_TOLD_EACH="1") as daemon:
            asked = run_command(state, "redrive", "--all")
            for _ in range(revived):
                daemon.wait_until_told("more")
            daemon.stop()
        good = self._records - self._records // ONE_IN
        self._check_order(state, good + revived)
        audit = run_command(state, "audit")
        self._expect(audit.returncode == 0, f"reactor audit: {audit.stdout}{audit.stderr}")
        with reading(state) as database:
            (left,) = database.execute(
                "SELECT count(*) FROM dead_letter WHERE redriven_at IS NULL"
            ).fetchone()
        self._expect(left == revived, f"{left} dead letters are left: {asked.stdout}")
        return revived

    def _check_order(self, state: Path, runs: int) -> None:
        """Runs of a key began one after the other, in the order of their records; those redriven apart."""
        with reading(state) as database:
            rows = database.execute(
                "SELECT run.key, event.id, run.started_at, run.finished_at, "
                "typeof(json_extract(event.data, '$.value.n')) FROM run "
                "JOIN event ON event.seq = run.event WHERE run.outcome = 'succeeded' "
                "ORDER BY 1, 5, 3, run.id"
            ).fetchall()
        self._expect(len(rows) == runs, f"{len(rows)} runs succeeded, of {runs}")
        for (key, _), group in itertools.groupby(rows, key=lambda row: (row[0], row[4])):
            for earlier, later in itertools.pairwise(group):
                in_order = _offset(earlier[1]) < _offset(later[1]) and earlier[3] <= later[2]
                self._expect(in_order, f"of key {key}, {later[1]} came before {earlier[1]} ended")

    # How long it takes.

    def _compare(self, timing: Timing) -> dict[str, int]:
        """Time both topics in turn; return records a second, and the share that garbage leaves in per cent."""
        rates: dict[str, list[float]] = {CLEAN: [], DIRTY: []}
        for pair in range(PAIRS):
            # Each side is first in turn, so that a machine that grows slower favours none.
            for kind in (CLEAN, DIRTY) if pair % 2 else (DIRTY, CLEAN):
                topic = f"{kind}{timing.topics}"
                state = self._read(topic, f"{topic}{pair}", timing.records, **timing.environment)
                rates[kind].append(timing.records / _seconds(state))
                shutil.rmtree(state)
        shares = [dirty / clean for dirty, clean in zip(rates[DIRTY], rates[CLEAN], strict=True)]
        share = round(100 * statistics.median(shares))
        enough = share >= LEAST_SHARE_PERCENT
        self._expect(enough, f"{timing.name}: garbage leaves {share} % of the throughput")
        medians = {
            f"{timing.name}, {kind}/s": round(statistics.median(found))
            for kind, found in rates.items()
        }
        return {**medians, f"{timing.name}, share of clean in per cent": share}

    def _expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self._findings.append(f"G16: {otherwise}")


def _seconds(state: Path) -> float:
    """Return how long it took from the first event to the end of the last run."""
    with reading(state) as database:
        first, last = database.execute(
            "SELECT (SELECT min(accepted_at) FROM event), (SELECT max(finished_at) FROM run)"
        ).fetchone()
    return float((last - first) / 1e6)


def _offset(identity: str) -> int:
    return int(identity.rpartition("/")[2])
