"""A command of the command line over a state directory, as an operator would type it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MOST_SECONDS = 60.0


def run_command(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what `reactor ARGUMENTS --state STATE` said and its exit code, run beside the state directory."""
    # It is run in another folder than this process is.
    state = state.absolute()
    return subprocess.run(
        [sys.executable, "-m", "reactor", *arguments, "--state", str(state)],
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
        cwd=state.parent,
    )
