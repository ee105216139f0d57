"""What the engine asks of a store. Every store passes `reactor.testing.StoreContract`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

RunState = Literal["pending", "running", "waiting", "finished"]
RunOutcome = Literal["succeeded", "failed", "timed_out", "cancelled", "dead"]
# Above every id.
NO_BOUND = 2**63 - 1
StepOutcome = Literal["succeeded", "failed", "timed_out", "cancelled", "skipped"]


# The rows that come by the thousand are tuples: a store may hand them on to its database as they are.


class EventRow(NamedTuple):
    """An event as stored. Instants are microseconds since 1970; `decisions` and `data` are JSON."""

    seq: int
    source: str
    id: str
    sensor: str
    type: str
    subject: str | None
    time: int
    accepted_at: int
    data: bytes
    decisions: str


@dataclass(slots=True)
class EventBlock:
    """Events that came in one call and start nothing by themselves, alike but for the columns given by event.

    Their sequence numbers begin at `first` and have no gap. Their ids are `series` and one of `numbers`, which grow and
    have the same number of digits; see `split_id`.
    """

    first: int
    source: str
    series: str
    numbers: Sequence[int]
    sensor: str
    type: str
    subjects: Sequence[str | None]
    times: Sequence[int]
    accepted_at: int
    data: Sequence[bytes]
    decisions: str


DIGITS = "0123456789"
# What a database takes for a number.
_MOST_DIGITS = 18
LARGEST_NUMBER = 10**_MOST_DIGITS - 1


def split_id(event_id: str) -> tuple[str, int | None]:
    """Return an event's id as its series and its number; the number is None where it ends with none."""
    series = event_id.rstrip(DIGITS)
    digits = event_id[len(series) :]
    if not digits or len(digits) > _MOST_DIGITS or (digits[0] == "0" and digits != "0"):
        return event_id, None
    return series, int(digits)


class RunRow(NamedTuple):
    """A run as stored at its birth: pending, or running at once where the scheduler had room for it."""

    id: int
    workflow: str
    event: int
    key: str | None
    state: RunState
    created_at: int
    started_at: int | None


@dataclass(slots=True)
class BatchRow:
    """A run of many events: those gathered for the workflow from `first` to `last`, both sequence numbers of events.

    It is pending, or with `started_at` running at once, where the scheduler had room for it.
    """

    id: int
    workflow: str
    first: int
    last: int
    created_at: int
    started_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBatch:
    """Events that were gathered and have no run yet. `oldest_at` is when the first of them was accepted."""

    count: int
    first: int
    last: int
    oldest_at: int


@dataclass(slots=True, kw_only=True)
class DeadLetterRow:
    """Something parked for a human, with its raw bytes. `outgoing` is JSON: how to put it back into the outbox."""

    id: int
    sensor: str
    event_id: str
    reason: str
    detail: str
    raw: bytes
    created_at: int
    workflow: str = ""
    event: int | None = None
    run: int | None = None
    subject: str | None = None
    outgoing: str | None = None


@dataclass(slots=True)
class OutgoingRow:
    """A part of what a step emitted, from its result on until it is delivered. `id` is the store's, 0 for a new one.

    `lane` is the same for the same outlet, options and target. `part` counts from 1 in the step.
    """

    id: int
    lane: str
    workflow: str
    run: int
    step: str
    part: int
    outlet: str
    options: str
    target: str
    key: bytes | None
    attributes: str
    payload: bytes
    created_at: int


@dataclass(slots=True)
class Backlog:
    """How much of a workflow waits in a lane of the outbox."""

    lane: str
    workflow: str
    count: int
    outlet: str
    options: str
    target: str


@dataclass(slots=True)
class Offer:
    """Events with all that their acceptance writes. Of `runs` and `dead` those of new events are kept.

    `rejected` are dead letters of input that is no event; of those with one (sensor, event_id) the first is kept.
    `size_bytes` is what the data of the events and of `rejected` take. A store may keep events of `blocks` together,
    to which neither runs nor dead letters of this offer belong; each is an event like others in all that is read.
    """

    events: Sequence[EventRow] = ()
    runs: Sequence[RunRow] = ()
    dead: Sequence[DeadLetterRow] = ()
    size_bytes: int = 0
    blocks: Sequence[EventBlock] = ()
    rejected: Sequence[DeadLetterRow] = ()


class StepRow(NamedTuple):
    """The recorded end of a step."""

    run: int
    name: str
    outcome: StepOutcome
    attempt: int
    started_at: int
    finished_at: int
    result: bytes | None
    error: str | None


@dataclass(slots=True)
class AttemptRow:
    """A failed attempt that is followed by another at `next_at`."""

    run: int
    step: str
    attempt: int
    outcome: StepOutcome
    started_at: int
    finished_at: int
    error: str
    next_at: int


class RunEnd(NamedTuple):
    """How a run ended."""

    run: int
    outcome: RunOutcome
    finished_at: int
    error: str | None


@dataclass(slots=True, kw_only=True)
class StoredRun:
    """A run with its event and all that was recorded of its steps, ready to start or to resume."""

    id: int
    workflow: str
    key: str | None
    state: RunState
    deaths: int
    created_at: int
    started_at: int | None
    event: EventRow
    steps: Sequence[StepRow]
    attempts: Sequence[AttemptRow]
    batch: Sequence[EventRow] = ()


class PendingRun(NamedTuple):
    """As much of a pending run as the scheduler keeps in memory."""

    id: int
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What may be removed: runs finished, and events and dead letters settled, before `before`.

    A store goes on until it has removed `limit` events, so what it keeps together may make it a few more.
    """

    before: int
    limit: int


class Store(Protocol):
    """Durable state. Every write returns once it is durable, or raises and has left nothing behind.

    Writes raise StoreFullError (try again when there is space) or StoreStoppedError (the process must end). A caller
    that is cancelled while it waits leaves its write whole: done or not done, never half.
    """

    def accept(
        self, offer: Offer, sensor: str, cursor: Mapping[str, bytes | None]
    ) -> Awaitable[list[bool]]:
        """Keep events, runs, dead letters and cursor in one transaction; return for each event whether it is new.

        Those of blocks come behind the others, and behind all events comes what is rejected.
        """
        ...

    async def skip(
        self, sensor: str, occurrence: str, reason: str, at: int, cursor: Mapping[str, bytes | None]
    ) -> bool:
        """Keep a skipped occurrence and a cursor; return False when it was kept before."""
        ...

    async def move_cursor(self, sensor: str, cursor: Mapping[str, bytes | None]) -> None:
        """Keep a cursor."""
        ...

    async def start_runs(self, runs: Sequence[int], at: int) -> None:
        """Pending or waiting runs become running; `started_at` keeps its first value."""
        ...

    async def add_batches(self, batches: Sequence[BatchRow]) -> None:
        """Keep runs of what a workflow has gathered, in order; its later batches begin behind them."""
        ...

    async def open_batch(
        self, workflow: str, sensors: Sequence[str], since: int, most: int
    ) -> OpenBatch | None:
        """Return what the workflow has gathered of these sensors' events behind its last batch; None for nothing.

        Of more than `most` events these are the first `most`.
        The first call for a workflow keeps `since`, a sequence number, as where its batches begin.
        """
        ...

    async def release_runs(self) -> None:
        """All runs in flight become pending again and keep their recorded steps; no death is counted.

        Called once, last, by a daemon that ends in order.
        """
        ...

    def finish_steps(
        self,
        steps: Sequence[StepRow],
        ends: Sequence[RunEnd] = (),
        outgoing: Sequence[OutgoingRow] = (),
    ) -> Awaitable[None]:
        """Record the ends of steps, of one run or many, and of the runs of which these were the last.

        `outgoing` goes into the outbox in the same transaction, counted as `emitted`. A second end of a step is an
        error.
        """
        ...

    async def outbox_backlogs(self) -> list[Backlog]:
        """Return how much waits in the outbox, by lane and workflow."""
        ...

    async def outbox_window(self, lane: str, *, rows: int, size_bytes: int) -> list[OutgoingRow]:
        """Return the oldest rows of a lane, in order: so many, with payloads of that size together.

        The first that is not empty is there whatever its size.
        """
        ...

    def delivered(self, outgoing: Sequence[int]) -> Awaitable[None]:
        """Remove rows of the outbox by id and count them as `delivered`; those not there are passed over."""
        ...

    async def park_outgoing(self, outgoing: int, letter: DeadLetterRow) -> bool:
        """Turn a row of the outbox into a dead letter; return False, and keep nothing, when it is not there."""
        ...

    async def record_attempt(self, attempt: AttemptRow, *, is_waiting: bool) -> None:
        """Record an attempt that another will follow; `is_waiting` when nothing else of the run is going on."""
        ...

    async def count_deaths(self, *, most: int, at: int) -> list[DeadLetterRow]:
        """Called once, first, by a daemon whose predecessor died. Each running run gets one death more, all in flight
        become pending, and those that reach `most` end as dead; return their dead letters."""
        ...

    async def dead_letters(
        self, *, ids: Sequence[int] | None, reason: str | None
    ) -> list[DeadLetterRow]:
        """Return the dead letters of these ids, or of this reason, or all, that were not redriven, oldest first."""
        ...

    async def redrive(self, letter: DeadLetterRow, offer: Offer | None, at: int) -> bool:
        """Settle a dead letter in one transaction with what comes of it; return False when it was settled before.

        An offer has one event here, in no block.
        With `outgoing` it goes to the end of the outbox again.
        With an offer whose event is stored already its runs are added to that event; with another the event is
        accepted; without one the letter's own run becomes pending again, with no deaths counted.
        """
        ...

    async def save_definitions(self, definitions: Mapping[str, str], at: int) -> None:
        """Replace the stored definitions of workflows (JSON by name)."""
        ...

    async def remove_settled(self, retention: Retention) -> int:
        """Remove about `limit` settled events with their runs, and count what was removed; return how many.

        Fewer than `limit` were all there are.
        """
        ...

    async def cursor(self, sensor: str) -> dict[str, bytes]:
        """Return the cursor of a sensor."""
        ...

    async def pending_counts(self, below: int = NO_BOUND) -> dict[str, int]:
        """Return how many runs of each workflow with an id below `below` are pending."""
        ...

    async def pending_runs(self, workflow: str, after: int, limit: int) -> list[PendingRun]:
        """Return pending runs with an id above `after`, in order of id."""
        ...

    async def pending_heads(self, workflow: str, after_key: str, limit: int) -> list[PendingRun]:
        """Return the oldest pending run of each key above `after_key`, in order of key."""
        ...

    async def load_runs(self, runs: Sequence[int]) -> list[StoredRun]:
        """Return the runs of these ids that exist, in that order, with everything needed to go on with them."""
        ...

    async def event(self, seq: int) -> EventRow | None:
        """Return an event by its sequence number."""
        ...

    async def largest_id(self) -> int:
        """Return the largest id of any event, run or dead letter, and of where batches begin; 0 for none.

        A clock that was set back must not give an event a number that its workflow takes for one of an earlier batch.
        """
        ...

    def statistics(self) -> StoreStatistics:
        """Return figures about the store itself."""
        ...

    async def close(self) -> None:
        """Finish what waits and let go of the files."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatistics:
    """`waiting` calls, and whether the store refuses writes for want of space or for good."""

    waiting: int
    is_full: bool
    is_stopped: bool
    commits: int
