"""What the demo shows: a live screen on a terminal, plain lines elsewhere, tables at the end."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from reactor.cli._demo_check import percentile
from reactor.cli._demo_ledger import Counts
from reactor.cli._demo_plan import SENSORS, WORKFLOWS
from reactor.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from reactor.cli._demo_ledger import FinishedRun, Latencies, Parked

FEWEST_LINES, MOST_LINES = 5, 40
# The title, blank lines and the frame around what happens.
CHROME_LINES = 6
GAP = 3
IN_HAND = ("pending", "running", "waiting")
MARKS = {
    "file": "cyan",
    "hook": "magenta",
    "topic": "blue",
    "run": "green",
    "daemon": "bold yellow",
    "FAILED": "bold red",
}
MARK_WIDTH = max(map(len, MARKS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """What was sent to each sensor, and how much of it rightly became no new event.

    `parked` are dead letters of input that cannot be read.
    """

    sent: Mapping[str, int]
    refused: Mapping[str, int]
    repeated: Mapping[str, int]
    parked: Mapping[str, int] = field(default_factory=dict)


class Screen:
    """Use as a context manager. `say` may be called from the loop at any time."""

    def __init__(self, console: Console) -> None:
        self.daemon = Text("starting", style="yellow")
        self.counts = Counts()
        self._console = console
        self._started = monotonic()
        self._lines: deque[Text] = deque(maxlen=MOST_LINES)
        self._live = (
            Live(self, console=console, refresh_per_second=8, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        elapsed = monotonic() - self._started
        yield Text.assemble(
            ("reactor demo", "bold"), f"  {elapsed:4.1f} s   daemon: ", self.daemon, "\n"
        )
        runs = run_table(self.counts)
        tables: RenderableType = Beside(event_table(self.counts), runs)
        room = self._room_below(tables, options)
        if room < FEWEST_LINES:  # what does not fit is cut off below, where the news is
            tables = runs
            room = max(FEWEST_LINES, self._room_below(tables, options))
        yield tables
        yield Text()
        yield Panel(Group(*[*self._lines][-room:]), title="what happens")

    def _room_below(self, tables: RenderableType, options: ConsoleOptions) -> int:
        height = len(self._console.render_lines(tables, options))
        return self._console.height - height - CHROME_LINES

    def say(self, line: str) -> None:
        """Show one more line; its first word says who speaks."""
        elapsed = monotonic() - self._started
        who, _, rest = line.partition(" ")
        text = Text.assemble(
            (f"{elapsed:5.1f}  ", "dim"),
            (f"{who:{MARK_WIDTH}}  ", MARKS.get(who, "")),
            rest.lstrip(),
        )
        text.no_wrap, text.overflow = True, "ellipsis"
        self._lines.append(text)
        if not self._live:
            self._console.print(text, soft_wrap=True)


class Beside:
    """Two tables side by side where there is room for it, else one below the other."""

    def __init__(self, left: Table, right: Table) -> None:
        self._tables = left, right

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left, right = self._tables
        width = sum(Measurement.get(console, options, table).maximum for table in self._tables)
        if width + GAP > options.max_width:
            yield from (left, Text(), right)
            return
        grid = Table.grid(padding=(0, GAP), pad_edge=False)
        grid.add_row(left, right)
        yield grid


def event_table(counts: Counts, arrivals: Arrivals | None = None) -> Table:
    """Return events and skipped occurrences by sensor, beside what was sent where that is known."""
    table = _table("events", "sensor")
    before, after = (["sent"], ["refused", "repeated", "parked"]) if arrivals else ([], [])
    for column in (*before, "accepted", *after, "skipped"):
        table.add_column(column, justify="right")
    for sensor in sorted({*SENSORS, *counts.events, *counts.skipped}):
        cells = [counts.events.get(sensor, 0), counts.skipped.get(sensor, 0)]
        if arrivals:
            parts = (arrivals.refused, arrivals.repeated, arrivals.parked)
            no_events = (part.get(sensor, 0) for part in parts)
            cells = [arrivals.sent.get(sensor, 0), cells[0], *no_events, cells[1]]
        table.add_row(Text(sensor), *_spelled(cells))
    return table


def run_table(counts: Counts) -> Table:
    """Return runs by workflow and outcome, those without one as "in hand", and dead letters."""
    outcomes = {how for _, how in counts.runs}.difference(IN_HAND)
    others = sorted(outcomes.difference(("succeeded", "failed")))
    columns = ["succeeded", "failed", *others]
    table = _table("runs", "workflow")
    for column in ("in hand", *columns, "dead letters"):
        is_bad = column not in ("in hand", "succeeded")
        table.add_column(column, justify="right", style="red" if is_bad else "")
    for workflow in sorted({*WORKFLOWS, *(name for name, _ in counts.runs), *counts.dead_letters}):
        in_hand = sum(counts.runs.get((workflow, state), 0) for state in IN_HAND)
        ended = (counts.runs.get((workflow, column), 0) for column in columns)
        cells = [in_hand, *ended, counts.dead_letters.get(workflow, 0)]
        table.add_row(Text(workflow or "(none)"), *_spelled(cells))
    return table


def latency_table(latencies: Mapping[str, Latencies]) -> Table:
    """Return median and 95th percentile of each stage by workflow."""
    table = _table("latencies, median / p95", "workflow")
    for stage in ("occurred → accepted", "accepted → first step", "first step → end"):
        table.add_column(stage, justify="right")
    for workflow, found in sorted(latencies.items()):
        stages = (found.occurred_to_accepted, found.accepted_to_started, found.started_to_finished)
        table.add_row(Text(workflow), *(spell_pair(stage) for stage in stages))
    return table


def dead_letter_table(parked: Sequence[Parked]) -> Table:
    """Return what waits for a human, and why."""
    table = _table("dead letters", "workflow")
    table.add_column("sensor")
    table.add_column("why")
    for letter in parked:
        why = f"{letter.reason}: {letter.detail}"
        table.add_row(Text(letter.workflow or "(none)"), Text(letter.sensor), Text(why))
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column(first)
    return table


def _spelled(cells: Sequence[int]) -> list[str]:
    return [str(cell or "") for cell in cells]


def spell_pair(micros: Sequence[int]) -> str:
    """Return median and 95th percentile for people."""
    if not micros:
        return "–"
    return f"{spell_micros(percentile(micros, 0.5))} / {spell_micros(percentile(micros, 0.95))}"


def spell_micros(micros: int) -> str:
    """Return a time to three digits or so."""
    if abs(micros) >= 1_000_000:
        return f"{micros / 1_000_000:.2f} s"
    return f"{micros / 1000:.1f} ms"


def spell_run(run: FinishedRun) -> str:
    """Return in one line how a run ended: what its last step returned, or its error."""
    who = "run" if run.outcome == "succeeded" else "FAILED"
    about = f" {run.subject.rpartition('/')[2]}" if run.subject else ""
    return f"{who} {run.workflow}{about}: {run.error or _plain(run.last_result)}"


def _plain(result: str) -> str:
    """Return a text result without its JSON quotes."""
    try:
        return str(json.loads(result)) if result else ""
    except ValueError:
        return result
