"""`python -m tests.torture`: the long run behind `make torture`, a single round again, or a second look at one."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.torture import disk_rounds, kafka_rounds
from tests.torture.campaign import Campaign, Kind, Task
from tests.torture.checker import check
from tests.torture.edges import campaign as edges
from tests.torture.evidence import load_evidence
from tests.torture.kafka_check import DISTURBANCES, check_kafka, load_kafka_evidence
from tests.torture.round import Report, Round
from tests.torture.worker_round import WorkerRound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.torture.moments import Plan
    from tests.torture.round import Ending

FOLDER = Path("build/torture")
KILLS = 500
STOPS = 200
AGED = 500
WORKER_DEATHS = 200
CUTS = 100_000
PASSES = 1
FILLS = 100
MINUTES = 60
DISTURBED = 200
TOPICS = 1
# What a round may list; the rest is told by `check`.
MOST_SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or 1 when a promise was broken."""
    options = _parser().parse_args(arguments)
    # Daemons work in folders of their own, where a relative path leads nowhere.
    options.folder = options.folder.resolve()
    console = Console(soft_wrap=True, highlight=False)
    if options.command == "check":
        return _show(console, _judge(options.folder))
    if options.command == "edges":
        return edges.run(
            console,
            options.folder / "edges",
            options.seed,
            names=options.cases,
            size=options.size,
        )
    if options.command == "edge":
        return edges.once(console, options.folder, options.case, options.seed, size=options.size)
    if options.command == "round":
        task = Task(ending=options.ending, seed=options.seed, lives=options.lives)
        report = _play(options.folder / task.name, task, lambda: None)
        console.print(f"{_spell(report)}\nkept in {options.folder / task.name}")
        return _show(console, report.findings)
    sizes: dict[Kind, int] = {
        "kill": options.kills,
        "terminate": options.stops,
        "age": options.aged,
        "worker": options.worker_deaths,
        "cut": options.cuts,
        "fail": options.passes,
        "ail": options.passes,
        "fill": options.fills,
        "flood": options.minutes,
        "kafka": options.disturbances,
        "slow": options.topics,
        "poison": options.topics,
    }
    return run(console, options.folder, options.seed, sizes)


def run(console: Console, folder: Path, seed: int | None, sizes: Mapping[Kind, int]) -> int:
    """Do what is left of a campaign, or all of a new one. Return 1 at the first round with findings."""
    campaign = Campaign.resume(folder, seed=seed, sizes=sizes)
    done = campaign.lives_done
    console.print(f"seed {campaign.seed}" + (f", {done} lives done before" if done else ""))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("lives", total=campaign.lives, completed=done)
        for task in campaign.left():
            progress.update(bar, description=task.ending)
            folder_of_round = campaign.folder_of(task)
            report = _play(folder_of_round, task, lambda: progress.advance(bar))
            console.print(f"{task.ending} round, seed {task.seed}: {_spell(report)}")
            if report.findings:
                _show(console, report.findings)
                console.print(f"the round is in {folder_of_round}; again: {task.command}")
                return 1
            shutil.rmtree(folder_of_round)
            campaign.finish(task, report.figures)
    console.print(f"every promise kept; in all: {_spell_figures(campaign.figures)}")
    return 0


def _judge(folder: Path) -> list[str]:
    if (folder / DISTURBANCES).exists():
        return check_kafka(load_kafka_evidence(folder))
    return check(load_evidence(folder))


def _play(folder: Path, task: Task, advance: Callable[[], object]) -> Report:
    """Play a round in `folder`, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        if task.ending == "kill" or task.ending == "terminate" or task.ending == "age":
            ending: Ending = "terminate" if task.ending == "terminate" else "kill"
            played = Round(folder, seed=task.seed, lives=task.lives, ending=ending)

            def begin(number: int, plan: Plan) -> None:
                advance()

            return played.run(begin)
        if task.ending == "worker":
            return WorkerRound(folder, seed=task.seed, lives=task.lives).run(advance)
        if task.ending == "kafka" or task.ending == "slow" or task.ending == "poison":
            return kafka_rounds.play(folder, task.ending, task.seed, task.lives, advance)
        return disk_rounds.play(folder, task.ending, task.seed, task.lives, advance)
    except AssertionError as error:
        return Report(findings=[f"the round could not go on: {error}"], figures={})


def _show(console: Console, findings: Sequence[str]) -> int:
    for finding in findings[:MOST_SHOWN]:
        console.print(finding, markup=False)
    if len(findings) > MOST_SHOWN:
        console.print(f"and {len(findings) - MOST_SHOWN} more")
    console.print(f"{len(findings)} findings")
    return 1 if findings else 0


def _spell(report: Report) -> str:
    return f"{len(report.findings)} findings; {_spell_figures(report.figures)}"


def _spell_figures(figures: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in figures.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    long = commands.add_parser("run", help="the long run; goes on where it was interrupted")
    long.add_argument("--kills", type=int, default=KILLS, help="lives that end by SIGKILL")
    long.add_argument("--stops", type=int, default=STOPS, help="lives that end by SIGTERM")
    long.add_argument(
        "--aged", type=int, default=AGED, help="lives that end by SIGKILL, all of one database"
    )
    long.add_argument(
        "--worker-deaths", type=int, default=WORKER_DEATHS, help="lives with steps in processes"
    )
    long.add_argument("--cuts", type=int, default=CUTS, help="power cuts")
    long.add_argument("--passes", type=int, default=PASSES, help="times that every call fails")
    long.add_argument("--fills", type=int, default=FILLS, help="daemons on a full disk")
    long.add_argument("--minutes", type=int, default=MINUTES, help="of a writer at full rate")
    long.add_argument(
        "--disturbances", type=int, default=DISTURBED, help="of the members of a Kafka group"
    )
    long.add_argument(
        "--topics", type=int, default=TOPICS, help="behind slow steps, and topics with garbage"
    )
    long.add_argument("--seed", type=int, help="begin anew with this seed")
    once = commands.add_parser("round", help="one round, to repeat a finding")
    once.add_argument("--seed", type=int, required=True)
    once.add_argument("--lives", type=int, required=True, help="or cuts, passes, disks, minutes")
    once.add_argument("--ending", choices=get_args(Kind), default="kill")
    hostile = commands.add_parser("edges", help="every hostile scenario in its long form; goes on")
    hostile.add_argument(
        "cases", nargs="*", choices=[*edges.CASES, []], metavar="CASE", help=", ".join(edges.CASES)
    )
    hostile.add_argument("--seed", type=int, help="begin anew with this seed")
    hostile.add_argument(
        "--size", type=int, help="in one portion in place of the long form, such as a day of soak"
    )
    case = commands.add_parser("edge", help="one hostile scenario, to repeat a finding")
    case.add_argument("case", choices=[*edges.CASES])
    case.add_argument("--seed", type=int, required=True)
    case.add_argument("--size", type=int, required=True)
    for command in (long, once, hostile, case):
        command.add_argument("--folder", type=Path, default=FOLDER, help="where rounds are kept")
    again = commands.add_parser("check", help="judge the folder of a round that has ended")
    again.add_argument("folder", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
