"""Programs to compare with, each from PyPI in an environment of its own: none of them is a dependency of Reactor.

An environment is made once under build/peers, from benchmarks/peers/NAME.txt, and made again when that file changes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.figures import MeasurementError

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / "build" / "peers"
INSTALL_SECONDS = 300.0


def run_peer(name: str, script: str, *arguments: str, seconds: float) -> float:
    """Run peers/SCRIPT in the environment of NAME; return the number that it prints last.

    Raises MeasurementError when the environment cannot be made, or the script fails, takes longer or prints no number.
    """
    python = _environment(name)
    command = [str(python), str(HERE / "peers" / script), *arguments]
    answer = _call(command, seconds, f"peer {name}")
    words = answer.split()
    try:
        return float(words[-1])
    except (IndexError, ValueError):
        raise MeasurementError(f"peer {name} printed {answer!r}; expected a number") from None


def _environment(name: str) -> Path:
    """Return the interpreter of the peer's environment, made now where it is missing or old."""
    wanted = (HERE / "peers" / f"{name}.txt").read_text(encoding="utf-8")
    directory = ENVIRONMENTS / name
    stamp = directory / "installed.txt"
    python = directory / "bin" / "python"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(directory, ignore_errors=True)
    venv.create(directory, with_pip=True)
    requirements = str(HERE / "peers" / f"{name}.txt")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _call([*pip, "-r", requirements], INSTALL_SECONDS, f"installing peer {name}")
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _call(command: list[str], seconds: float, what: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"{what} took longer than {seconds:.0f} s") from None
    if done.returncode != 0:
        raise MeasurementError(
            f"{what} ended with exit code {done.returncode}; expected 0. It said:\n"
            f"{done.stderr[-2000:]}"
        )
    sys.stderr.write(done.stderr)
    return done.stdout
