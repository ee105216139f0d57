"""What `reactor demo` does: runs the show, or only the project, and tells the end."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from reactor.cli._demo_daemon import DemoDaemon, DemoError
from reactor.cli._demo_plan import BATCH_WORKFLOW, TOPIC_SENSOR, TREND_WORKFLOW
from reactor.cli._demo_screen import (
    Beside,
    dead_letter_table,
    event_table,
    latency_table,
    run_table,
)
from reactor.cli._demo_show import Show
from reactor.cli._demo_stage import open_stage
from reactor.cli._demo_stay import stay_running

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path
    from typing import Any

    from reactor.cli._demo_show import Report
    from reactor.cli._demo_stage import Stage

INTERRUPTED, TERMINATED = 130, 143


def run_demo(*, stay: bool, folder: Path | None) -> int:
    """Run the demo, or only its project with `stay`, and return the exit code.

    Raises SettingsError when a package, the project or a usable folder is missing.
    """
    console = Console()
    with open_stage(folder) as stage:
        if stage.why_without_topic:
            _warn_of_missing_topic(stage.why_without_topic, console)
        if stay:
            code = _run(stay_running(stage, console))
            # Ctrl-C is how it is meant to end.
            code = 0 if code == INTERRUPTED else code
        else:
            code = _run(_show(stage, console))
            if code == 0 and folder is None:
                shutil.rmtree(stage.folder)
                return code
    note = "" if stay else ", with daemon.log in it"
    console.print(f"The folder is kept{note}: {stage.folder}", highlight=False, soft_wrap=True)
    return code


def _warn_of_missing_topic(why: str, console: Console) -> None:
    console.print(
        Text.assemble(
            (f"WITHOUT KAFKA: {why}. ", "bold red"),
            ("The demo runs without its topic; all else is as it should be. ", "red"),
            ("To have it: pip install confluent-kafka, where there is a wheel of it.", "red"),
        ),
        soft_wrap=not console.is_terminal,
    )


async def _show(stage: Stage, console: Console) -> int:
    secret = secrets.token_hex(32)
    daemon = DemoDaemon(stage.folder, stage.project, secret=secret, kafka=stage.kafka)
    try:
        report = await Show(daemon, stage, secret=secret, console=console).run()
    except DemoError as error:
        console.print(Text(f"The demo stopped: {error}", style="red"), soft_wrap=True)
        return 1
    finally:
        await daemon.end()
    _print_report(report, console)
    if stage.why_without_topic:
        _warn_of_missing_topic(stage.why_without_topic, console)
    return 1 if report.differences else 0


def _print_report(report: Report, console: Console) -> None:
    for table in (
        Beside(event_table(report.counts, report.arrivals), run_table(report.counts)),
        latency_table(report.latencies),
        dead_letter_table(report.dead_letters),
    ):
        console.print()
        console.print(table)
    console.print("\nreactor audit", style="italic")
    console.print(report.audit, highlight=False, markup=False, soft_wrap=True)
    console.print()
    for sentence in spell_report(report):
        console.print(sentence, highlight=False, soft_wrap=not console.is_terminal)
    if report.differences:
        console.print(Text("Not what was sent in:", style="bold red"))
        for difference in report.differences:
            console.print(Text(f"  {difference}", style="red"), soft_wrap=True)
    else:
        console.print(Text("Every count equals what was sent in.", style="bold green"))


def spell_report(report: Report) -> list[str]:
    """Return in sentences what the tables do not say."""
    killed = spell_count(len(report.in_flight_at_kill), "run")
    kept = report.results_at_kill
    timer = (
        f"The timer was due {report.ticks + report.skipped_ticks} times: {report.ticks} fired, "
        f"{report.skipped_ticks} passed while the daemon was dead (each has a row)."
    )
    return [
        *(spell_topic(report) if report.acknowledged else ()),
        f"SIGKILL cut off {killed}, which went on, and left all {kept} recorded steps as they were.",
        timer,
        "Latencies include the time for which the daemon was dead, for what waited for it.",
    ]


def spell_topic(report: Report) -> list[str]:
    """Return what became of the records, and why their latencies are what they are."""
    events = report.counts.events.get(TOPIC_SENSOR, 0)
    parked = report.counts.parked.get(TOPIC_SENSOR, 0)
    batches = report.counts.runs.get((BATCH_WORKFLOW, "succeeded"), 0)
    became = (
        f"The broker acknowledged {report.acknowledged} records: {events} are events, each once in "
        f"its order ({TREND_WORKFLOW}) and in one of {batches} batches ({BATCH_WORKFLOW}); {parked} "
        "are poison and dead letters."
    )
    pace = (
        "The embedded broker hands out a new record after up to 0.5 s, and gathers a group for 3 to "
        "8 s; a real one is faster."
    )
    return [became, pace]


def spell_count(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _run(coroutine: Coroutine[Any, Any, int]) -> int:
    """Run to the end and return the exit code; SIGINT and SIGTERM let it clean up first."""

    async def main() -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await coroutine

    try:
        return asyncio.run(main())
    except KeyboardInterrupt:
        return INTERRUPTED
    except asyncio.CancelledError:
        return TERMINATED
