"""What the files sensor asks of Linux itself. The kernel is the subject."""

from __future__ import annotations

import os
import struct
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "linux":
    pytest.skip("the subject is Linux", allow_module_level=True)

from reactor_sensors._files_glob import Glob
from reactor_sensors._files_ledger import Ledger, Observation
from reactor_sensors._files_linux import cached_status, events_in, open_cached
from reactor_sensors._files_tree import Folder, Tree

EVENTS = st.lists(
    st.tuples(
        st.integers(1, 2**31 - 1),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=255).filter(lambda name: b"\0" not in name),
    ),
    max_size=5,
)


@given(EVENTS)
def test_events_are_read_as_the_kernel_writes_them(events: list[tuple[int, int, bytes]]) -> None:
    data = b""
    for watch, mask, name in events:
        # Padded to a multiple of the head, with at least one zero; nothing at all without a name.
        size = -(-(len(name) + 1) // 16) * 16 if name else 0
        data += struct.pack("iIII", watch, mask, 7, size) + name.ljust(size, b"\0")
    assert events_in(data) == events


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    descriptor = open_cached(str(folder))
    assert descriptor is not None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_what_was_just_made_is_cached(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").touch()
    with opened(tmp_path) as root:
        folder = open_cached("sub", below=root)
        assert folder is not None
        assert cached_status(folder, "a") == (tmp_path / "sub" / "a").stat()
        os.close(folder)


def test_the_state_of_a_symlink_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("missing")
    with opened(tmp_path) as root:
        assert cached_status(root, "link") == (tmp_path / "link").lstat()


def test_what_is_missing_is_not_cached(tmp_path: Path) -> None:
    assert open_cached(str(tmp_path / "missing")) is None
    with opened(tmp_path) as root:
        assert open_cached("missing", below=root) is None
        assert cached_status(root, "missing") is None


def test_no_symlink_leads_out_of_the_folder_or_elsewhere_in_it(tmp_path: Path) -> None:
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    (tmp_path / "root" / "in").symlink_to("sub")
    with opened(tmp_path / "root") as root:
        assert open_cached("sub/..", below=root) is not None
        for path in ("out", "in", "..", "sub/../.."):
            assert open_cached(path, below=root) is None


def test_another_mount_below_the_folder_is_not_entered() -> None:
    with opened(Path("/")) as root:
        assert open_cached("proc", below=root) is None


def seen_before(tree: Tree, path: str) -> Tree:
    """Let a thread's look find out what file system this is."""
    tree.find_root()
    tree.look([path])
    return tree


def test_a_look_at_hand_sees_what_a_look_sees(tmp_path: Path) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    for name in ("a", "sub/b", "no.txt"):
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("a")
    tree = seen_before(Tree(str(tmp_path), Glob.compile(("**", "?*"), ("*.txt",)), Ledger({})), "a")
    paths = ["a", "sub/b", "sub", "no.txt", "pipe", "link"]
    found = tree.look(paths)
    assert [thing.path for thing in found] == ["a", "sub/b", "sub"]
    assert [type(thing) for thing in found] == [Observation, Observation, Folder]
    assert tree.look_at_hand(paths) == (found, [])


def test_a_file_open_for_writing_is_seen_as_such_at_hand(tmp_path: Path) -> None:
    tree = Tree(str(tmp_path), Glob.compile(("*",)), Ledger({}))
    with (tmp_path / "a").open("w"):
        seen_before(tree, "a")
        (seen,), _ = tree.look_at_hand(["a"])
    assert isinstance(seen, Observation)
    assert seen.is_being_written


def test_nothing_is_at_hand_before_a_thread_knows_the_file_system(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    tree = Tree(str(tmp_path), Glob.compile(("*",)), Ledger({}))
    assert tree.look_at_hand(["a"]) == ([], ["a"])
    tree.find_root()
    assert tree.look_at_hand(["a"]) == ([], ["a"])


def test_nothing_is_at_hand_on_a_network_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").touch()
    monkeypatch.setattr("reactor_sensors._files_tree.is_remote", lambda path: True)
    tree = seen_before(Tree(str(tmp_path), Glob.compile(("*",)), Ledger({})), "a")
    assert tree.look(["a"])
    assert tree.look_at_hand(["a"]) == ([], ["a"])


def test_what_has_gone_or_taken_another_place_is_left_to_the_thread(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").touch()
    (root / "b").touch()
    tree = seen_before(Tree(str(root), Glob.compile(("*",)), Ledger({})), "a")
    (root / "b").unlink()
    found, left = tree.look_at_hand(["a", "b"])
    assert ([thing.path for thing in found], left) == (["a"], ["b"])
    root.rename(tmp_path / "moved")
    assert tree.look_at_hand(["a"]) == ([], ["a"])
    root.mkdir()
    (root / "a").touch()
    assert tree.look_at_hand(["a"]) == ([], ["a"])


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").touch()
    tree = seen_before(Tree(str(tmp_path), Glob.compile(("**", "*")), Ledger({})), "sub/a")
    before = os.listdir("/proc/self/fd")
    found, left = tree.look_at_hand(["sub/a", "sub/missing", "missing/a"])
    assert ([thing.path for thing in found], left) == (["sub/a"], ["sub/missing", "missing/a"])
    assert os.listdir("/proc/self/fd") == before
