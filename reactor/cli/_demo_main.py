"""What `reactor demo` does: prepares a folder, runs the show or only the project, tells the end."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.text import Text

from reactor.cli._demo_daemon import DemoDaemon, DemoError, free_address
from reactor.cli._demo_data import data_files, data_folder, require_packages
from reactor.cli._demo_plan import Delivery, push_payload
from reactor.cli._demo_screen import (
    Beside,
    dead_letter_table,
    event_table,
    latency_table,
    run_table,
)
from reactor.cli._demo_show import Show
from reactor.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from typing import Any

    from reactor.cli._demo_data import DataFile
    from reactor.cli._demo_show import Report

# Those of `reactor run`, if nobody has them.
HOOKS_PORT, ADMIN_PORT = 8080, 8081
INTERRUPTED, TERMINATED = 130, 143
HINTS = """
The daemon runs; below this its log goes on. Feed it from another terminal:

  cd {folder}

  A price file fires the workflow prices; a damaged one ends as a failed run that names the line:
    cp samples/prices/AAPL.csv inbox/prices/
    cp samples/prices/damaged.csv inbox/prices/

  Every other file of samples/ has its place below inbox/ too:
    cp samples/cars/japan.json inbox/cars/

  A push to main, signed as GitHub signs:
    curl -i http://{hooks}/github -H "X-GitHub-Delivery: $(date +%s)" \\
      -H "X-Hub-Signature-256: sha256=$(openssl dgst -sha256 -hmac "$(cat secret)" \\
          -r samples/push.json | cut -d' ' -f1)" \\
      -H 'X-GitHub-Event: push' -H 'Content-Type: application/json' \\
      --data-binary @samples/push.json

  What came of it:
    {reactor} runs --workflow prices --state state
    {reactor} events --state state
    {reactor} audit --state state
    curl -s http://{admin}/metrics

Ctrl-C drains and ends it.
"""


def run_demo(*, stay: bool, folder: Path | None) -> int:
    """Run the demo, or only its project with `stay`, and return the exit code.

    Raises SettingsError when a package, the project or a usable folder is missing.
    """
    require_packages()
    files = data_files(data_folder())
    project = project_folder()
    console = Console()
    place = prepared_folder(folder)
    if stay:
        code = _run(_stay(place, project, files, console))
        # Ctrl-C is how it is meant to end.
        code = 0 if code == INTERRUPTED else code
    else:
        code = _run(_show(place, project, files, console))
        if code == 0 and folder is None:
            shutil.rmtree(place)
            return code
    note = "" if stay else ", with daemon.log in it"
    console.print(f"The folder is kept{note}: {place}", highlight=False, soft_wrap=True)
    return code


def project_folder() -> Path:
    """Return the example project: that of an installed package, else that of the repository."""
    here = Path(__file__).resolve()
    for place in (here.parent / "_demo_project", here.parents[2] / "examples" / "demo" / "project"):
        if (place / "prices.py").is_file():
            return place
    raise SettingsError(
        "this installation has no example project; run the demo from the repository: make demo"
    )


def prepared_folder(folder: Path | None) -> Path:
    """Return the folder to work in, with an inbox. Raises SettingsError where it is not empty."""
    if folder is None:
        place = Path(tempfile.mkdtemp(prefix="reactor-demo-")).resolve()
    else:
        place = folder.resolve()
        try:
            place.mkdir(parents=True, exist_ok=True)
            is_empty = next(place.iterdir(), None) is None
        except OSError as error:
            raise SettingsError(
                f"{place} cannot be used ({error.strerror}); choose another --folder"
            ) from None
        if not is_empty:
            raise SettingsError(
                f"{place} is not empty; the demo counts from zero, so choose a new --folder"
            )
    for name in ("prices", "weather", "airports", "cars"):
        (place / "inbox" / name).mkdir(parents=True)
    return place


async def _show(place: Path, project: Path, files: Mapping[str, DataFile], console: Console) -> int:
    secret = secrets.token_hex(32)
    daemon = DemoDaemon(place, project, secret=secret)
    try:
        report = await Show(daemon, files, secret=secret, console=console).run()
    except DemoError as error:
        console.print(Text(f"The demo stopped: {error}", style="red"), soft_wrap=True)
        return 1
    finally:
        await daemon.end()
    _print_report(report, console)
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
    console.print(
        f"SIGKILL cut off {spell_count(len(report.in_flight_at_kill), 'run')}, which went on, and "
        f"left all {report.results_at_kill} recorded steps as they were.\n"
        f"The timer was due {report.ticks + report.skipped_ticks} times: {report.ticks} fired, "
        f"{report.skipped_ticks} passed while the daemon was dead (each has a row).\n"
        "Latencies include the time for which the daemon was dead, for what waited for it.",
        highlight=False,
        soft_wrap=True,
    )
    if report.differences:
        console.print(Text("Not what was sent in:", style="bold red"))
        for difference in report.differences:
            console.print(Text(f"  {difference}", style="red"), soft_wrap=True)
    else:
        console.print(Text("Every count equals what was sent in.", style="bold green"))


def spell_count(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


async def _stay(place: Path, project: Path, files: Mapping[str, DataFile], console: Console) -> int:
    secret = secrets.token_hex(32)
    write_samples(place, files, secret)
    daemon = DemoDaemon(
        place,
        project,
        secret=secret,
        hooks=free_address(HOOKS_PORT),
        admin=free_address(ADMIN_PORT),
        has_terminal=True,
    )
    try:
        await daemon.start()
        hints = HINTS.format(
            folder=place, hooks=daemon.hooks, admin=daemon.admin, reactor=reactor_command()
        )
        console.print(hints, highlight=False, markup=False, soft_wrap=True)
        return await daemon.ended()
    except DemoError as error:
        console.print(Text(str(error), style="red"), soft_wrap=True)
        return 1
    finally:
        if daemon.pid is not None:
            await daemon.stop()


def write_samples(place: Path, files: Mapping[str, DataFile], secret: str) -> None:
    """Lay out all that can be fed, and the webhook's secret (readable by its owner alone)."""
    for file in files.values():
        target = place / "samples" / file.place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
    push = push_payload(Delivery(at_seconds=0.0, number=1))
    (place / "samples" / "push.json").write_bytes(orjson.dumps(push))
    (place / "secret").touch(mode=0o600)
    (place / "secret").write_text(secret)


def reactor_command() -> str:
    """Return how a shell in another folder calls this very `reactor`."""
    beside = Path(sys.executable).with_name("reactor")
    return str(beside) if beside.is_file() else f"{sys.executable} -m reactor"


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
