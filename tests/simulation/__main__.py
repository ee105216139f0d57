"""`python -m tests.simulation`: many seeds, one again, or one made small."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulation.campaign import STORMS, Campaign
from tests.simulation.minimise import minimise
from tests.simulation.plan import PLAN, draw_plan, draw_storm
from tests.simulation.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.plan import Plan

FOLDER = Path("build/torture")
SEEDS = 20_000
CANCELS = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or 1 when a promise was broken."""
    options = _parser().parse_args(arguments)
    if options.command == "run":
        return run(options.folder, options.seed, seeds=options.seeds, cancels=options.cancels)
    plan = _plan(options)
    if options.command == "small":
        print(PLAN.dump_json(minimise(plan), indent=1).decode())
        return 0
    outcome = simulate(plan, keeps_lines=True)
    print(*outcome.lines, sep="\n")
    print(f"trace {outcome.trace}, {len(outcome.findings)} findings", *outcome.findings, sep="\n")
    return 1 if outcome.findings else 0


def run(folder: Path, seed: int | None, *, seeds: int, cancels: int) -> int:
    """Do what is left of a campaign, or all of a new one. Return 1 at the first seed with findings."""
    campaign = Campaign.resume(folder, seed=seed, seeds=seeds, cancels=cancels)
    print(f"simulation from seed {campaign.first}, {campaign.done} of {seeds} done before")
    findings = campaign.run(lambda line: print(line, flush=True))
    if findings:
        print(*findings, sep="\n")
        return 1
    figures = ", ".join(f"{name} {count}" for name, count in sorted(campaign.figures.items()))
    print(f"every promise kept; in all: {figures}")
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    if options.what.endswith(".json"):
        return PLAN.validate_json(Path(options.what).read_bytes())
    if options.storm:
        return draw_storm(int(options.what), storms=STORMS)
    return draw_plan(int(options.what))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    long = commands.add_parser("run", help="many seeds; goes on where it was interrupted")
    long.add_argument("--seeds", type=int, default=SEEDS, help="simulations")
    long.add_argument("--cancels", type=int, default=CANCELS, help="cancellations in storms")
    long.add_argument("--seed", type=int, help="begin anew with this seed")
    long.add_argument("--folder", type=Path, default=FOLDER, help="where the progress is kept")
    for name, what in (("again", "play one again, step by step"), ("small", "minimise one")):
        command = commands.add_parser(name, help=what)
        command.add_argument("what", help="a seed, or the .json file of a plan")
        command.add_argument("--storm", action="store_true", help="the storm of that seed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
