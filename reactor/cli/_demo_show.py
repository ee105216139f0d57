"""The demo from start to verdict: feed, kill, start again, feed on, stop, compare."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import httpx
from rich.text import Text

from reactor.cli._demo_check import (
    count_differences,
    differences,
    id_differences,
    order_differences,
    step_differences,
    tick_differences,
    timer_run_differences,
)
from reactor.cli._demo_daemon import DemoError, command, wait_until
from reactor.cli._demo_feed import Feeder, answer_differences, refused_and_repeated
from reactor.cli._demo_ledger import Ledger
from reactor.cli._demo_plan import (
    BATCH_WORKFLOW,
    DOWN_SECONDS,
    KILL_PLACE,
    KILL_WORKFLOW,
    PLAN,
    TIMER_SENSOR,
    TIMER_WORKFLOW,
    TOPIC_SENSOR,
    TREND_WORKFLOW,
    WEBHOOK_SENSOR,
    expected,
    sent_to_sensors,
)
from reactor.cli._demo_screen import Arrivals, Screen, spell_run
from reactor.cli._demo_topic import followed_by_industry, sent_by_industry
from reactor.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from reactor.cli._demo_daemon import DemoDaemon
    from reactor.cli._demo_ledger import Counts, Latencies, Parked, StepKey, StepValue
    from reactor.cli._demo_stage import Stage

TIMER_PERIOD = timedelta(seconds=1)
WATCH_SECONDS = 0.2
IN_FLIGHT_WITHIN_SECONDS = 15.0
SETTLED_WITHIN_SECONDS = 30.0
# They end so often that nobody could read anything else.
SILENT_WORKFLOWS = (TIMER_WORKFLOW, TREND_WORKFLOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came out; `differences` is empty when every count equals what was sent in."""

    arrivals: Arrivals
    counts: Counts
    dead_letters: Sequence[Parked]
    latencies: Mapping[str, Latencies]
    audit: str
    in_flight_at_kill: Mapping[int, str]
    results_at_kill: int
    ticks: int
    skipped_ticks: int
    acknowledged: int
    differences: list[str]


@dataclass(slots=True)
class _AtKill:
    in_flight: dict[int, str] = field(default_factory=dict)
    steps: dict[StepKey, StepValue] = field(default_factory=dict)


class Show:
    """One demo. The caller ends daemon and topic whatever happens here.

    Without a topic everything else is as ever, and nothing is produced.
    """

    def __init__(
        self,
        daemon: DemoDaemon,
        stage: Stage,
        *,
        secret: str,
        console: Console,
    ) -> None:
        self._daemon = daemon
        self._topic = stage.topic
        self._plan = PLAN if stage.topic else PLAN.without_topic()
        self._screen = Screen(console)
        self._ledger = Ledger(daemon.state)
        self._expected = expected(self._plan.acts, stage.files, stage.records)
        self._sent = sent_to_sensors(self._plan.acts, stage.files)
        self._feeder = Feeder(
            folder=daemon.folder,
            files=stage.files,
            secret=secret,
            url=lambda: f"http://{daemon.hooks}",
            say=self._screen.say,
            topic=stage.topic,
            records=stage.records,
        )
        self._at_kill = _AtKill()
        self._faults: list[str] = []
        self._told: set[int] = set()
        self._is_end_expected = False

    async def run(self) -> Report:
        """Return what came out, wrong counts included. Raises DemoError when it cannot go on."""
        with self._screen:
            try:
                await self._conduct()
            except* DemoError as group:
                # One cause often fails several tasks; the first says it.
                raise group.exceptions[0] from None
            return await self._report()

    async def _conduct(self) -> None:
        plan, feeder = self._plan, self._feeder
        async with httpx.AsyncClient(timeout=5.0) as client, asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch(), name="demo watcher")
            await self._start(group, "ready")
            feeding = [group.create_task(feeder.perform(plan.before, client), name="before")]
            await self._kill_in_flight()
            feeding.append(group.create_task(feeder.perform(plan.down, client), name="down"))
            await asyncio.sleep(DOWN_SECONDS)
            await self._start(group, "up again")
            feeding.append(group.create_task(feeder.perform(plan.after, client), name="after"))
            await asyncio.wait(feeding)
            await self._settle()
            await self._stop()
            watching.cancel()
        await self._tell()

    async def _start(self, group: asyncio.TaskGroup, how: str) -> None:
        started = monotonic()
        # A group that has lost a member takes seconds to gather; the other sources need not wait.
        await self._daemon.start(but_for=TOPIC_SENSOR)
        self._is_end_expected = False
        group.create_task(self._guard(), name="demo guard")
        self._screen.daemon = Text(f"up, process {self._daemon.pid}", style="green")
        self._screen.say(f"daemon {how} after {monotonic() - started:.2f} s")

    async def _guard(self) -> None:
        """Fail at once, with the end of its log, when the daemon ends unasked."""
        code = await self._daemon.ended()
        if not self._is_end_expected:
            raise DemoError(f"the daemon ended with exit code {code}{self._daemon.log_end()}")

    async def _kill_in_flight(self) -> None:
        await self._feeder.dropped(KILL_PLACE)
        await wait_until(
            lambda: KILL_WORKFLOW in self._ledger.in_flight().values(),
            what=f"a run of {KILL_WORKFLOW} is in flight, to kill the daemon under it",
            within_seconds=IN_FLIGHT_WITHIN_SECONDS,
        )
        self._is_end_expected = True
        await self._daemon.kill()
        self._screen.daemon = Text("dead", style="bold red")
        self._at_kill.in_flight = await asyncio.to_thread(self._ledger.in_flight)
        self._at_kill.steps = await asyncio.to_thread(self._ledger.steps)
        workflows = ", ".join(sorted(self._at_kill.in_flight.values()))
        self._screen.say(f"daemon SIGKILL with runs in flight: {workflows or 'none'}")

    async def _settle(self) -> None:
        """Wait until all that was sent in is worked off; in vain is a difference, not the end."""
        try:
            await wait_until(
                lambda: self._is_settled(self._ledger.counts()),
                what="all that was sent in is accepted and worked off",
                within_seconds=SETTLED_WITHIN_SECONDS,
            )
        except DemoError as error:
            self._faults.append(str(error))

    def _is_settled(self, counts: Counts) -> bool:
        wanted = self._expected
        return (
            all(counts.events.get(name, 0) >= count for name, count in wanted.events.items())
            and all(counts.dead_letters.get(w, 0) >= n for w, n in wanted.dead_letters.items())
            and all(counts.parked.get(name, 0) >= n for name, n in wanted.parked.items())
            and all(counts.batched.get(w, 0) >= n for w, n in wanted.batched.items())
            and counts.unfinished(leave_out=TIMER_WORKFLOW) == 0
        )

    async def _stop(self) -> None:
        started = monotonic()
        self._is_end_expected = True
        self._screen.daemon = Text("draining", style="yellow")
        code = await self._daemon.stop()
        self._screen.daemon = Text("stopped")
        self._screen.say(f"daemon SIGTERM, exit code {code} after {monotonic() - started:.2f} s")
        if code != 0:
            self._faults.append(f"the daemon ended with exit code {code}{self._daemon.log_end()}")

    async def _watch(self) -> None:
        """Keep the screen up to date until cancelled."""
        while True:
            await self._tell()
            await asyncio.sleep(WATCH_SECONDS)

    async def _tell(self) -> None:
        self._screen.counts = await asyncio.to_thread(self._ledger.counts)
        finished = partial(self._ledger.finished, leave_out=SILENT_WORKFLOWS)
        for run in await asyncio.to_thread(finished):
            if run.id not in self._told:
                self._told.add(run.id)
                self._screen.say(spell_run(run))

    async def _report(self) -> Report:
        ledger = self._ledger
        counts = await asyncio.to_thread(ledger.counts)
        fired, skipped = await asyncio.to_thread(ledger.ticks, TIMER_SENSOR)
        rows = await asyncio.to_thread(table_rows, self._daemon.folder / "warehouse.duckdb")
        steps = await asyncio.to_thread(ledger.steps)
        code, audit = await command(
            "audit", "--state", str(self._daemon.state), cwd=self._daemon.folder
        )
        faults = [
            *self._faults,
            *count_differences(self._expected, counts, rows),
            *tick_differences(fired, skipped, period=TIMER_PERIOD),
            *timer_run_differences(len(fired), counts),
            *step_differences(self._at_kill.steps, steps),
            *answer_differences(self._feeder.answers),
            *await asyncio.to_thread(self._topic_differences),
        ]
        if not self._at_kill.in_flight:
            faults.append("no run was in flight when the daemon was killed")
        if code != 0:
            faults.append(f"reactor audit ended with exit code {code}")
        return Report(
            arrivals=self._arrivals(counts, due=len(fired) + len(skipped)),
            counts=counts,
            dead_letters=await asyncio.to_thread(ledger.dead_letters),
            latencies=await asyncio.to_thread(ledger.latencies),
            audit=audit.strip(),
            in_flight_at_kill=self._at_kill.in_flight,
            results_at_kill=len(self._at_kill.steps),
            ticks=len(fired),
            skipped_ticks=len(skipped),
            acknowledged=len(self._topic.log) if self._topic else 0,
            differences=faults,
        )

    def _topic_differences(self) -> list[str]:
        """Compare what became of the topic with what its producer was acknowledged."""
        if self._topic is None:
            return []
        log = self._topic.log
        sent = [one.event_id for one in log if not one.record.is_poison]
        return [
            *differences(
                "records of", {TOPIC_SENSOR: self._sent[TOPIC_SENSOR]}, {TOPIC_SENSOR: len(log)}
            ),
            *id_differences("events of the topic", sent, self._ledger.event_ids(TOPIC_SENSOR)),
            *id_differences("records in batches", sent, self._ledger.batched_ids(BATCH_WORKFLOW)),
            *order_differences(sent_by_industry(log), followed_by_industry(self._daemon.folder)),
        ]

    def _arrivals(self, counts: Counts, *, due: int) -> Arrivals:
        refused, repeated = refused_and_repeated(self._feeder.answers)
        return Arrivals(
            sent={**self._sent, TIMER_SENSOR: due},
            refused={WEBHOOK_SENSOR: refused},
            repeated={WEBHOOK_SENSOR: repeated},
            parked=counts.parked,
        )


def table_rows(warehouse: Path) -> dict[str, int]:
    """Return the rows of each table; the daemon must have ended, for DuckDB locks the file."""
    import duckdb  # an extra; `require_packages` asked for it

    if not warehouse.exists():
        return {}
    with contextlib.closing(duckdb.connect(str(warehouse), read_only=True)) as connection:
        tables = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
        return {name: len(connection.table(name)) for name in tables}
