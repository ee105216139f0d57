"""Processes beside this one: each measurement has a heap, a loop and a garbage collector of its own."""

from __future__ import annotations

import multiprocessing
import socket
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from benchmarks.figures import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")

# How long one answer may take that takes milliseconds.
PATIENCE_SECONDS = 10.0
_spawn = multiprocessing.get_context("spawn")


def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `function` returns in a fresh process; all that crosses is pickled.

    `function` is one of a module, not a closure. What it raises is raised here.
    """
    with ProcessPoolExecutor(1, mp_context=_spawn) as pool:
        return pool.submit(function, *args, **kwargs).result()


@contextmanager
def beside(function: Callable[..., None], *args: Any) -> Iterator[Any]:
    """Run `function(*args, connection)` in a process of its own for a block; yield the first thing it sends.

    The process is killed at the end of the block. Raises MeasurementError when it sends nothing.
    """
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=function, args=(*args, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield _first_word(ours, function.__name__)
    finally:
        process.kill()
        process.join()
        ours.close()


def _first_word(connection: Connection[Any, Any], name: str) -> Any:
    try:
        if connection.poll(PATIENCE_SECONDS):
            return connection.recv()
    except EOFError:
        pass
    raise MeasurementError(
        f"the process of {name} ended or said nothing; expected it to say that it is ready. "
        "See its error above"
    )


@contextmanager
def scratch(where: Path | None = None) -> Iterator[Path]:
    """Make a directory for a block, by default where temporary files go (TMPDIR moves it)."""
    with tempfile.TemporaryDirectory(
        prefix="reactor-bench-", dir=where, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Open a datagram socket at `path` for a block: other processes report instants there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(PATIENCE_SECONDS)
        yield receiver


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now, for a program that cannot be handed a socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def needs_linux(what: str) -> None:
    """Raise MeasurementError elsewhere."""
    if sys.platform != "linux":
        raise MeasurementError(f"{what} is measured on Linux only, and this is {sys.platform}")
