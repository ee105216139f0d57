"""What the demo sends in and what must come of it. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reactor.cli._demo_data import DataFile, Record

# The names that the sensors of examples/demo/project have; a test compares.
FILE_SENSORS = {
    "prices": "files:inbox/prices/**/*.csv",
    "weather": "files:inbox/weather/*.csv",
    "airports": "files:inbox/airports/*.csv",
    "cars": "files:inbox/**/*.json",
}
WEBHOOK_SENSOR = "webhook:/github"
TIMER_SENSOR = "every:1s"
TIMER_WORKFLOW = "heartbeat"
PUSH_WORKFLOW = "pushes"
TOPIC = "jobs"
TOPIC_SENSOR = "kafka:jobs@demo"
# One run for each record, those of an industry in order; and one run for up to 50 records.
TREND_WORKFLOW = "trend"
BATCH_WORKFLOW = "figures"
BATCH_TABLE = "jobs"
TOPIC_WORKFLOWS = (TREND_WORKFLOW, BATCH_WORKFLOW)
SENSORS = (*FILE_SENSORS.values(), WEBHOOK_SENSOR, TIMER_SENSOR, TOPIC_SENSOR)
WORKFLOWS = (*FILE_SENSORS, PUSH_WORKFLOW, TIMER_WORKFLOW, *TOPIC_WORKFLOWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A file is delivered `at_seconds` into its phase: whole, by rename, or in slow pieces."""

    at_seconds: float
    place: str
    how: Literal["whole", "renamed", "slow"] = "whole"
    over_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A webhook is sent `at_seconds` into its phase.

    `number` is its identity: sent twice, it must run once. Only a push to main fires; a ping has
    no branch, so the trigger fails and a dead letter is kept.
    """

    at_seconds: float
    number: int
    what: Literal["push", "ping"] = "push"
    branch: str = "main"
    is_forged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Produce:
    """Records `first` to `first + count` are produced `at_seconds` into their phase."""

    at_seconds: float
    first: int
    count: int

    def of(self, records: Sequence[Record]) -> Sequence[Record]:
        return records[self.first : self.first + self.count]


Act = Drop | Delivery | Produce


def _produced(*moments: float, first: int, count: int) -> tuple[Produce, ...]:
    """Return one act for each moment, `count` records at a time, from record `first` on."""
    return tuple(
        Produce(at_seconds=at_seconds, first=first + number * count, count=count)
        for number, at_seconds in enumerate(moments)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Three phases: until the daemon is killed, while it is dead, and after its restart."""

    before: Sequence[Act]
    down: Sequence[Act]
    after: Sequence[Act]

    @property
    def acts(self) -> list[Act]:
        return [*self.before, *self.down, *self.after]

    def without_topic(self) -> Plan:
        """Return the plan for where no broker can be embedded."""

        def left(acts: Sequence[Act]) -> list[Act]:
            return [act for act in acts if not isinstance(act, Produce)]

        return Plan(before=left(self.before), down=left(self.down), after=left(self.after))


PLAN = Plan(
    before=(
        Drop(at_seconds=0.2, place="weather/2012.csv"),
        Drop(at_seconds=0.7, place="prices/AAPL.csv"),
        Delivery(at_seconds=1.1, number=1),
        Drop(at_seconds=1.4, place="prices/AMZN.csv", how="slow", over_seconds=2.5),
        Drop(at_seconds=1.9, place="cars/usa.json"),
        Delivery(at_seconds=2.4, number=2, is_forged=True),
        Drop(at_seconds=2.8, place="prices/damaged.csv"),
        Delivery(at_seconds=3.3, number=3, branch="feature"),
        Drop(at_seconds=3.7, place="weather/2013.csv", how="renamed"),
        Delivery(at_seconds=4.1, number=4),
        Delivery(at_seconds=4.7, number=4),
        Delivery(at_seconds=5.1, number=5, what="ping"),
        # Still being written when the daemon dies and when it comes back.
        Drop(at_seconds=5.4, place="prices/MSFT.csv", how="slow", over_seconds=6.5),
        # The daemon is killed as soon as the run of this one goes on.
        Drop(at_seconds=6.4, place="airports/airports.csv"),
        *_produced(0.5, 2.0, 3.5, 4.5, 5.5, 6.4, first=0, count=33),
    ),
    down=(
        Drop(at_seconds=0.4, place="prices/IBM.csv"),
        Delivery(at_seconds=0.8, number=6),
        Drop(at_seconds=1.2, place="weather/2014.csv"),
        *_produced(1.0, first=198, count=33),
    ),
    after=(
        Drop(at_seconds=0.6, place="cars/europe.json", how="renamed"),
        Delivery(at_seconds=1.3, number=7),
        Drop(at_seconds=1.9, place="cars/japan.json", how="slow", over_seconds=3.0),
        Drop(at_seconds=3.0, place="prices/new/GOOG.csv"),
        Drop(at_seconds=3.6, place="weather/2015.csv", how="slow", over_seconds=3.2),
        Delivery(at_seconds=5.2, number=8),
        Delivery(at_seconds=7.4, number=9),
        *_produced(1.0, 3.0, 5.0, 7.0, first=231, count=33),
    ),
)
KILL_PLACE = "airports/airports.csv"
KILL_WORKFLOW = "airports"
DOWN_SECONDS = 2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The counts that a plan must lead to, without the timer's, which depend on the clock."""

    events: Mapping[str, int]
    runs: Mapping[tuple[str, str], int]
    dead_letters: Mapping[str, int]
    rows: Mapping[str, int]
    # What could not become an event, by sensor; and events that lie in a run of a batch.
    parked: Mapping[str, int] = field(default_factory=dict)
    batched: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Counters:
    events: Counter[str] = field(default_factory=Counter)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    parked: Counter[str] = field(default_factory=Counter)
    batched: Counter[str] = field(default_factory=Counter)


def sent_to_sensors(acts: Sequence[Act], files: Mapping[str, DataFile]) -> Counter[str]:
    """Return how much is sent to each sensor; what is forged, repeated or poisoned included."""
    sent: Counter[str] = Counter()
    for act in acts:
        if isinstance(act, Drop):
            sent[FILE_SENSORS[files[act.place].workflow]] += 1
        elif isinstance(act, Produce):
            sent[TOPIC_SENSOR] += act.count
        else:
            sent[WEBHOOK_SENSOR] += 1
    return sent


def expected(
    acts: Sequence[Act], files: Mapping[str, DataFile], records: Sequence[Record] = ()
) -> Expected:
    """Return what the store must hold once everything sent was worked off."""
    counters = _Counters()
    delivered: set[int] = set()
    for act in acts:
        if isinstance(act, Drop):
            _expect_file(files[act.place], counters)
        elif isinstance(act, Produce):
            for record in act.of(records):
                _expect_record(record, counters)
        elif not act.is_forged and act.number not in delivered:
            delivered.add(act.number)
            _expect_delivery(act, counters)
    return Expected(
        events=dict(counters.events),
        runs=dict(counters.runs),
        dead_letters=dict(counters.dead_letters),
        rows=dict(counters.rows),
        parked=dict(counters.parked),
        batched=dict(counters.batched),
    )


def _expect_file(file: DataFile, counters: _Counters) -> None:
    counters.events[FILE_SENSORS[file.workflow]] += 1
    counters.runs[file.workflow, "failed" if file.is_damaged else "succeeded"] += 1
    if not file.is_damaged:
        counters.rows[file.table] += file.rows


def _expect_delivery(delivery: Delivery, counters: _Counters) -> None:
    counters.events[WEBHOOK_SENSOR] += 1
    if delivery.what == "ping":
        counters.dead_letters[PUSH_WORKFLOW] += 1
    elif delivery.branch == "main":
        counters.runs[PUSH_WORKFLOW, "succeeded"] += 1


def _expect_record(record: Record, counters: _Counters) -> None:
    if record.is_poison:
        counters.parked[TOPIC_SENSOR] += 1
        return
    counters.events[TOPIC_SENSOR] += 1
    counters.runs[TREND_WORKFLOW, "succeeded"] += 1
    # How many runs these make depends on how fast they came in; each is in one of them.
    counters.batched[BATCH_WORKFLOW] += 1
    counters.rows[BATCH_TABLE] += 1


def push_payload(delivery: Delivery) -> dict[str, object]:
    """Return a body with the shape of GitHub's push and ping events."""
    repository = {"full_name": "example/warehouse", "default_branch": "main"}
    if delivery.what == "ping":
        return {"zen": "Keep it logically awesome.", "hook_id": 1, "repository": repository}
    people = ("ada", "grace", "linus", "barbara")
    commits = [
        {
            "id": f"{delivery.number:02d}{index:038x}",
            "message": f"Change {index} of push {delivery.number}",
            "author": {"username": people[(delivery.number + index) % len(people)]},
            "added": [f"src/part_{delivery.number}_{index}.py"],
            "modified": ["README.md"],
            "removed": [],
        }
        for index in range(1 + delivery.number % 3)
    ]
    return {"ref": f"refs/heads/{delivery.branch}", "repository": repository, "commits": commits}
