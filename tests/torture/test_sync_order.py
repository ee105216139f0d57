"""G2, seen from the kernel: no acknowledgement is sent before the sync that it needs has returned.

The layer of the other tests trusts SQLite for what it calls a sync. This looks at the system calls themselves.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]

REPOSITORY = Path(__file__).parents[2]
EVENTS = 20
# Accepts events one after the other and, once told so, says it on standard output, as a source would be told.
PROGRAM = f"""
import asyncio, os, sys
from pathlib import Path
from reactor.store.sqlite import SqliteStore
from reactor.testing.store_contract import add

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]) / "deep" / "state")
    for seq in range(1, {EVENTS + 1}):
        await add(store, seq)
        os.write(1, b"ACKNOWLEDGED\\n")
    await store.close()

asyncio.run(main())
"""
CALL = re.compile(r"^\d+ +(?P<name>\w+)\((?P<arguments>.*?)\)? += (?P<answer>-?\d+)")
RESUMED = re.compile(r"^(?P<thread>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)$")
UNFINISHED = re.compile(r"^(?P<thread>\d+) +(?P<begun>.*) <unfinished \.\.\.>$")


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that returned, in the order of the returns."""

    name: str
    arguments: str


def whole_calls(trace: str) -> list[Call]:
    """Return what strace saw, with calls that were interrupted by other threads put together again."""
    begun: dict[str, str] = {}
    calls = []
    for line in trace.splitlines():
        if unfinished := UNFINISHED.match(line):
            begun[unfinished["thread"]] = line.removesuffix(" <unfinished ...>")
            continue
        resumed = RESUMED.match(line)
        whole = begun.pop(resumed["thread"], "") + resumed["rest"] if resumed else line
        if (call := CALL.match(whole)) and int(call["answer"]) >= 0:
            calls.append(Call(call["name"], call["arguments"]))
    return calls


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """The system calls of a store that accepts events."""
    folder = tmp_path_factory.mktemp("traced")
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip(
            "the order of system calls is not looked at: there is no strace on this machine"
        )
    seen = "trace=write,pwrite64,fsync,fdatasync,mkdir,openat"
    command = [strace, "-f", "-y", "-s", "16", "-e", seen, "-o", str(folder / "trace")]
    program = [sys.executable, "-c", PROGRAM, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.fspath(REPOSITORY)}
    done = subprocess.run(
        [*command, *program], env=environment, capture_output=True, text=True, check=False
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"the order of system calls is not looked at: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return whole_calls((folder / "trace").read_text())


def test_each_acknowledgement_comes_after_a_sync_of_all_that_was_written(calls: list[Call]) -> None:
    unsynced: set[str] = set()
    acknowledged, syncs = 0, 0
    for call in calls:
        name = re.search(r"<([^>]*)>", call.arguments)
        file = name[1] if name else ""
        if call.name == "pwrite64" and file.endswith(("reactor.db", "reactor.db-wal")):
            unsynced.add(file)
        elif call.name in ("fsync", "fdatasync"):
            unsynced.discard(file)
            syncs += 1
        elif call.name == "write" and "ACKNOWLEDGED" in call.arguments:
            assert not unsynced, f"acknowledged before {unsynced} was synced"
            acknowledged += 1
    assert acknowledged == EVENTS
    assert syncs >= EVENTS


def test_every_new_name_is_synced_before_the_first_acknowledgement(calls: list[Call]) -> None:
    first = next(n for n, call in enumerate(calls) if "ACKNOWLEDGED" in call.arguments)
    synced = [
        re.search(r"<([^>]*)>", call.arguments)
        for call in calls[:first]
        if call.name in ("fsync", "fdatasync")
    ]
    places = [Path(place[1]).name for place in synced if place]
    made = [call for call in calls[:first] if call.name == "mkdir" and "state" in call.arguments]
    assert made
    # The folder with "deep" in it, "deep" with "state", and "state" with the files of the database.
    assert {"deep", "state"} <= set(places)
    assert any(name.startswith("traced") for name in places)
