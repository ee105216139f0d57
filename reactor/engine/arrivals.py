"""Events of one call on their way into the store: what each workflow makes of them, and the rows they become. Pure."""

from __future__ import annotations

from functools import partial
from itertools import groupby, islice, repeat, takewhile
from operator import eq
from typing import TYPE_CHECKING, Any, NamedTuple

from reactor.clock import to_micros
from reactor.engine.event_json import encode
from reactor.engine.matching import match
from reactor.model.trigger import Fired, Gathered
from reactor.store.contract import DIGITS, EventBlock, EventRow, split_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from reactor.engine.matching import Listener
    from reactor.model.event import Event
    from reactor.model.trigger import Decision

    # What each workflow that listens makes of an event.
    Decisions = Sequence[tuple[Listener, Decision]]
    # Ids of one source and type, split; the numbers have as many digits.
    _Series = tuple[str, Sequence[int]]


# From so many events on, on average, a block is less work than a row for each.
SMALLEST_BLOCK = 16
# All of a block is read for one of its events; more than this in one call are rows.
LARGEST_BLOCK_BYTES = 4 * 1024 * 1024


class Arrived(NamedTuple):
    """An event with its number and its data as JSON."""

    seq: int
    event: Event[Any]
    raw: bytes


# Their own constructors are calls of Python, which by the thousand are most of the cost.
_arrived: Callable[[Iterable[Any]], Arrived] = partial(tuple.__new__, Arrived)
_event_row: Callable[[Iterable[Any]], EventRow] = partial(tuple.__new__, EventRow)


class Arrivals:
    """Events of one call, their data as JSON, and what is made of them.

    `decisions` are by event. Where they are the same for all, whatever is in them, they are `shared`.
    """

    __slots__ = ("decisions", "events", "ids", "raws", "shared", "size_bytes", "times")

    def __init__(
        self,
        events: Sequence[Event[Any]],
        raws: Sequence[bytes],
        decisions: Sequence[Decisions],
        *,
        shared: Decisions | None = None,
    ) -> None:
        self.events = events
        self.raws = raws
        self.ids = [event.id for event in events]
        # In microseconds since 1970.
        self.times = _micros([event.time for event in events])
        self.size_bytes = sum(map(len, raws))
        self.decisions = decisions
        self.shared = shared

    @classmethod
    def of(
        cls,
        events: Sequence[Event[Any]],
        listeners: Sequence[Listener],
        json: Sequence[bytes] | None = None,
    ) -> Arrivals:
        """Return the events with what these listeners make of them; `json` is their data, where that is at hand."""
        raws = [encode(event.data) for event in events] if json is None else json
        shared = [(each, each.always) for each in listeners if each.always is not None]
        if len(shared) == len(listeners):
            return cls(events, raws, [shared] * len(events), shared=shared)
        decisions = [[(each, match(each, event)) for each in listeners] for event in events]
        return cls(events, raws, decisions)

    @classmethod
    def joined(cls, parts: Sequence[Arrivals]) -> Arrivals:
        """Return all events of these as if they had come in one call."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            [event for part in parts for event in part.events],
            [raw for part in parts for raw in part.raws],
            [decisions for part in parts for decisions in part.decisions],
        )

    def singles(self) -> Iterator[Arrivals]:
        """Return each event as if it had come alone."""
        for event, raw, decisions in zip(self.events, self.raws, self.decisions, strict=True):
            yield Arrivals((event,), (raw,), (decisions,))

    @property
    def fire_nothing(self) -> bool:
        """Whether it takes no look at them to know that none starts a run and none failed to match."""
        return self.shared is not None and not any(
            isinstance(decision, Fired) for _, decision in self.shared
        )

    def wanted(self) -> dict[str, int]:
        """Return how many of the events each workflow takes.

        A gathered event needs no place of its own; the credit is taken to wait for, and given back at once.
        """
        if self.shared is not None:
            return {each.graph.name: len(self.events) for each, _ in self.shared}
        counts: dict[str, int] = {}
        for decisions in self.decisions:
            for listener, decision in decisions:
                if isinstance(decision, Fired | Gathered):
                    name = listener.graph.name
                    counts[name] = counts.get(name, 0) + 1
        return counts

    def numbered(self, first: int) -> list[Arrived]:
        """Return the events with their numbers, from `first` on."""
        numbers = range(first, first + len(self.events))
        return list(map(_arrived, zip(numbers, self.events, self.raws, strict=True)))

    def rows(
        self, first: int, sensor: str, accepted_at: int, spelled: Iterable[str]
    ) -> list[EventRow]:
        """Return the events as rows numbered from `first` on, each with its decisions as `spelled`."""
        events = self.events
        columns = zip(
            range(first, first + len(events)),
            [event.source for event in events],
            self.ids,
            repeat(sensor),
            [event.type for event in events],
            [event.subject for event in events],
            self.times,
            repeat(accepted_at),
            self.raws,
            spelled,
            strict=False,
        )
        return list(map(_event_row, columns))

    def blocks(
        self, first: int, sensor: str, accepted_at: int, decisions: str
    ) -> Sequence[EventBlock]:
        """Return the events as blocks, numbered from `first` on; none where they do not fit into few of them."""
        if self.size_bytes > LARGEST_BLOCK_BYTES:
            return ()
        events = self.events
        blocks = []
        begin = 0
        for series, numbers in self._with_few_gaps() or self._ascending() or ():
            part = slice(begin, begin + len(numbers))
            blocks.append(
                EventBlock(
                    first=first + begin,
                    source=events[begin].source,
                    series=series,
                    numbers=numbers,
                    sensor=sensor,
                    type=events[begin].type,
                    subjects=[event.subject for event in events[part]],
                    times=self.times[part],
                    accepted_at=accepted_at,
                    data=self.raws[part],
                    decisions=decisions,
                )
            )
            begin += len(numbers)
        return blocks

    def _with_few_gaps(self) -> list[_Series] | None:
        """Return the ids as `_ascending` does where few numbers are left out, in two thirds of the time."""
        sources = [event.source for event in self.events]
        types = [event.type for event in self.events]
        if sources[1:] != sources[:-1] or types[1:] != types[:-1]:
            return None
        found: list[_Series] = []
        numbers: list[int] = []
        # Series, and how many digits.
        kind: tuple[str, int] | None = None
        begin = parts = 0
        while begin < len(self.ids):
            series, number = split_id(self.ids[begin])
            parts += 1
            if number is None or len(self.ids) < SMALLEST_BLOCK * parts:
                return None
            digits = len(str(number))
            longest = range(number, 10**digits)
            wanted = map(series.__add__, map(str, longest))
            count = sum(takewhile(bool, map(eq, islice(self.ids, begin, None), wanted)))
            if kind != (series, digits):
                numbers = []
                found.append((series, numbers))
                kind = series, digits
            elif number <= numbers[-1]:
                return None
            numbers += longest[:count]
            begin += count
        return found

    def _ascending(self) -> list[_Series] | None:
        """Return the ids, in order, as series of ascending numbers; None where they do not fit into few of them."""
        # Of one series, and with as many digits, which then have the order of their numbers.
        alike = zip(
            [event.source for event in self.events],
            [event.type for event in self.events],
            [each.rstrip(DIGITS) for each in self.ids],
            map(len, self.ids),
            strict=True,
        )
        sizes = [len([*group]) for _, group in groupby(alike)]
        if len(self.ids) < SMALLEST_BLOCK * len(sizes):
            return None
        found: list[_Series] = []
        begin = 0
        for size in sizes:
            series, number = split_id(self.ids[begin])
            if number is None:
                return None
            numbers = [int(each[len(series) :]) for each in self.ids[begin : begin + size]]
            if sorted(set(numbers)) != numbers:
                return None
            found.append((series, numbers))
            begin += size
        return found

    def gathered(self, first: int, known: Collection[int]) -> dict[str, list[Arrived]]:
        """Return the events that wait for a batch, by workflow, but for those `known` before."""
        if self.shared is not None:
            names = [
                each.graph.name for each, decision in self.shared if isinstance(decision, Gathered)
            ]
            new = self.numbered(first) if names else []
            if known:
                new = [one for one in new if one.seq not in known]
            return dict.fromkeys(names, new)
        gathered: dict[str, list[Arrived]] = {}
        for arrived, decisions in zip(self.numbered(first), self.decisions, strict=True):
            for listener, decision in decisions:
                if isinstance(decision, Gathered) and arrived.seq not in known:
                    gathered.setdefault(listener.graph.name, []).append(arrived)
        return gathered


def _micros(times: Sequence[datetime]) -> list[int]:
    """Return instants in microseconds since 1970; what comes together often is of one instant, and even one object."""
    micros: list[int] = []
    last: datetime | None = None
    for time in times:
        micros.append(micros[-1] if time is last else to_micros(time))
        last = time
    return micros
