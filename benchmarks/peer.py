"""Programs to compare with, each from PyPI in an environment of its own: none of them is a dependency of Reactor.

An environment is made once under build/peers, from benchmarks/peers/NAME.txt, and made again when that file changes.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import venv
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import MeasurementError, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.figures import Figure

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / "build" / "peers"
INSTALL_SECONDS = 600.0
READY_SECONDS = 20.0


class PeerError(MeasurementError):
    """A peer could not be measured. That is said in its place in the table, and all else is measured."""


def or_missing(figure: Figure, measure: Callable[[], float]) -> Result:
    """Return what `measure` says of a peer or, where the peer failed, its figure as missing with the reason."""
    try:
        return Result(values={figure: measure()})
    except PeerError as error:
        return Result(values={}, missing={figure: str(error)})


def run_peer(name: str, script: str, *arguments: str, seconds: float) -> float:
    """Run peers/SCRIPT in the environment of NAME; return the number that it prints last.

    Raises PeerError when the environment cannot be made, or the script fails, takes longer or prints no number.
    """
    answer = _call(_command(name, script, *arguments), seconds, f"peer {name}")
    words = answer.split()
    try:
        return float(words[-1])
    except (IndexError, ValueError):
        raise PeerError(f"peer {name} printed {answer!r}; expected a number") from None


@contextmanager
def peer_beside(name: str, script: str, *arguments: str) -> Iterator[str]:
    """Run peers/SCRIPT in the environment of NAME for a block; yield the first line that it prints.

    The process is killed at the end of the block. Raises PeerError when the environment cannot be made, or the script
    ends or prints nothing.
    """
    command = _command(name, script, *arguments)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment_variables()
        )
        assert process.stdout is not None
        try:
            is_heard, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
            line = process.stdout.readline().strip() if is_heard else ""
            if not line:
                process.kill()
                process.wait()
                errors.seek(0)
                said = errors.read().decode(errors="replace")[-2000:]
                raise PeerError(
                    f"peer {name} ended or said nothing for {READY_SECONDS:.0f} s; expected it to "
                    f"say that it is ready. It said:\n{said}"
                )
            yield line
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _command(name: str, script: str, *arguments: str) -> list[str]:
    return [str(_environment(name)), str(HERE / "peers" / script), *arguments]


def _environment_variables() -> dict[str, str]:
    # For what is the same for all, such as the group commit.
    return {**os.environ, "PYTHONPATH": str(HERE.parent)}


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
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=_environment_variables(),
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"{what} took longer than {seconds:.0f} s") from None
    if done.returncode != 0:
        raise PeerError(
            f"{what} ended with exit code {done.returncode}; expected 0. It said:\n"
            f"{done.stderr[-2000:]}"
        )
    sys.stderr.write(done.stderr)
    return done.stdout
