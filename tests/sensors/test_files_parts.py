"""The pure parts of the files sensor: readiness, ledger, mounts, leases."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor_sensors._files_event import arrival, instant_of, printable
from reactor_sensors._files_glob import join, outermost
from reactor_sensors._files_lease import version_when_unwritten
from reactor_sensors._files_ledger import Ledger, Observation, Version, key_of, path_of, row_of
from reactor_sensors._files_mounts import file_system_of
from reactor_sensors._files_ready import Evidence, Readiness, marker, stable, time_to_wait

if TYPE_CHECKING:
    from pathlib import Path

VERSION = Version(device=1, inode=2, size_bytes=3, mtime_ns=4, ctime_ns=5)
SETTLE = timedelta(seconds=2)
NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: not {0, ord("/")} & set(name))


def wait(
    readiness: Readiness,
    *,
    evidence: Evidence = Evidence.SEEN,
    size_bytes: int = 3,
    written: bool | None = False,
    marked_ns: int | None = None,
    unchanged_for: timedelta = timedelta(0),
) -> timedelta | None:
    version = VERSION._replace(size_bytes=size_bytes)
    seen = Observation("a", version, 1, written, marked_ns)
    return time_to_wait(
        readiness, seen, evidence=evidence, unchanged_for=unchanged_for, settle=SETTLE
    )


CLOSED, RENAMED = Readiness(policy="closed"), Readiness(policy="renamed")
NOW = timedelta(0)


@given(
    st.sampled_from([CLOSED, RENAMED, stable("0s"), marker(".done")]),
    st.sampled_from(Evidence),
    st.timedeltas(min_value=NOW),
)
def test_a_file_known_to_be_written_is_never_ready(
    readiness: Readiness, evidence: Evidence, unchanged_for: timedelta
) -> None:
    answer = wait(
        readiness, evidence=evidence, written=True, marked_ns=9, unchanged_for=unchanged_for
    )
    assert answer is not None
    assert answer > NOW


def test_closed_trusts_a_close_where_the_system_cannot_say() -> None:
    assert wait(CLOSED, evidence=Evidence.CLOSED, written=None) == NOW
    assert wait(CLOSED, evidence=Evidence.SEEN, written=None) == SETTLE


def test_closed_takes_a_listed_file_that_nobody_writes() -> None:
    assert wait(CLOSED) == NOW


def test_closed_waits_a_moment_for_an_empty_file_without_a_close() -> None:
    assert wait(CLOSED, size_bytes=0) == timedelta(milliseconds=250)
    assert wait(CLOSED, size_bytes=0, evidence=Evidence.CLOSED) == NOW


def test_renamed_takes_a_rename_at_once_and_all_else_when_settled() -> None:
    assert wait(RENAMED, evidence=Evidence.MOVED) == NOW
    assert wait(RENAMED, evidence=Evidence.CLOSED) == SETTLE
    assert wait(RENAMED, unchanged_for=SETTLE) == NOW


def test_a_marker_older_than_its_file_is_not_trusted_at_once() -> None:
    assert wait(marker(".done")) is None
    assert wait(marker(".done"), marked_ns=5) == NOW
    assert wait(marker(".done"), marked_ns=4) == SETTLE


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_every_path_has_a_printable_ascii_key_of_its_own(parts: list[bytes]) -> None:
    path = os.fsdecode(b"/".join(parts))
    key = key_of(path)
    assert key.isascii()
    assert key.isprintable()
    assert path_of(key) == path


def test_a_version_is_known_under_another_device_number() -> None:
    ledger = Ledger({"a": row_of(VERSION, 1)})
    assert ledger.knows("a", VERSION._replace(device=7))
    for field in ("inode", "size_bytes", "mtime_ns", "ctime_ns"):
        assert not ledger.knows("a", VERSION._replace(**{field: 77}))


def test_a_file_missing_on_another_device_is_not_gone() -> None:
    ledger = Ledger({"a": row_of(VERSION, 1)})
    assert ledger.is_gone("a", 1)
    assert not ledger.is_gone("a", 2)


def test_a_known_file_on_another_device_gets_a_new_row() -> None:
    ledger = Ledger({"a": row_of(VERSION, 1)})
    assert ledger.restamped("a", VERSION, 1) == {}
    ledger.remember(ledger.restamped("a", VERSION, 2))
    assert ledger.is_gone("a", 2)


MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 21 0:44 / /mnt/with\\040space rw - nfs4 server:/x rw
41 21 0:45 / /mnt rw - xfs /dev/b rw
42 21 0:46 / /mnt rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/x", "ext4"),
        ("/mnt/with space/in", "nfs4"),
        ("/mnt/other", "fuse.sshfs"),
        ("/mntx", "ext4"),
    ],
)
def test_the_innermost_and_latest_mount_holds_a_path(path: str, kind: str) -> None:
    assert file_system_of(path, MOUNTS) == kind


@pytest.mark.parametrize("nanoseconds", [2**63, -(2**70), 2**80])
def test_an_absurd_time_becomes_the_nearest_instant(nanoseconds: int) -> None:
    assert instant_of(nanoseconds).tzinfo is UTC


def test_a_time_keeps_its_microseconds() -> None:
    assert instant_of(1_500) == datetime(1970, 1, 1, 0, 0, 0, 1, UTC)


@pytest.mark.parametrize(
    ("root", "relative", "path", "depth"),
    [
        ("/inbox", "a.csv", "/inbox/a.csv", 1),
        ("/inbox", "2026/01/a.csv", "/inbox/2026/01/a.csv", 3),
        ("/", "a.csv", "/a.csv", 1),
    ],
)
def test_an_event_names_its_file_by_root_and_path(
    root: str, relative: str, path: str, depth: int
) -> None:
    data = arrival(root, Observation(relative, VERSION, 1), source="files").data
    assert (data.path, data.name, data.depth) == (path, "a.csv", depth)


@given(st.one_of(st.just(""), NAMES.map(os.fsdecode)), NAMES.map(os.fsdecode))
def test_a_name_in_a_folder_is_joined_as_by_python(folder: str, name: str) -> None:
    assert join(folder, name) == os.path.join(folder, name)


def test_a_version_is_spelled_in_hexadecimal() -> None:
    assert str(Version(255, 16, 0, -1, 10)) == "ff-10-0--1-a"


@given(st.text())
def test_shown_text_is_always_printable(text: str) -> None:
    assert printable(text).isprintable()


def test_folders_inside_others_are_scanned_once() -> None:
    assert outermost(["a/b", "a", "a-c", "a/b/c", "d"]) == ["a", "a-c", "d"]
    assert outermost(["x", ""]) == [""]


@pytest.mark.skipif(sys.platform != "linux", reason="leases are of Linux")
def test_a_lease_tells_a_writer_from_none(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("w") as writer:
        descriptor = os.open(path, os.O_RDONLY)
        assert version_when_unwritten(descriptor)[0] is True
        writer.close()
        assert version_when_unwritten(descriptor)[0] is False
        os.close(descriptor)


@pytest.mark.real_time
@pytest.mark.skipif(sys.platform != "linux", reason="leases are of Linux")
def test_a_writer_that_meets_a_lease_does_not_end_the_process(tmp_path: Path) -> None:
    script = """
import fcntl, os, signal, sys
from unittest import mock
from reactor_sensors import _files_lease
path = sys.argv[1]
descriptor = os.open(path, os.O_RDONLY)
def meet(fd):
    try:
        os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except BlockingIOError:
        print("met")
    return fstat(fd)
fstat = os.fstat
with mock.patch.object(_files_lease.os, "fstat", meet):
    _files_lease.version_when_unwritten(descriptor)
os.close(os.open(path, os.O_WRONLY))
print("alive")
"""
    path = tmp_path / "a"
    path.touch()
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["met", "alive"], done.stderr
