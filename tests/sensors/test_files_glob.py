"""Patterns: examples, and properties against a slow matcher that is plainly right."""

from __future__ import annotations

import fnmatch
import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor_sensors._files_glob import Glob, split_pattern
from reactor_sensors._files_ledger import Ledger
from reactor_sensors._files_tree import Tree

NAMES = st.text("ab.", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4)
SEGMENTS = st.one_of(st.just("**"), st.text("ab.*?", min_size=1, max_size=3)).filter(
    lambda text: text not in (".", "..") and (text == "**" or "**" not in text)
)
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=4)


def glob(pattern: str, *exclude: str) -> Glob:
    return Glob.compile(split_pattern("root/[r]/" + pattern)[1][1:], exclude)


def slowly_matches(pattern: list[str], path: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        if slowly_matches(pattern[1:], path):
            return True
        return bool(path) and not path[0].startswith(".") and slowly_matches(pattern, path[1:])
    if not path:
        return False
    is_guarded = pattern[0][0] in "*?" and path[0].startswith(".")
    matches = fnmatch.fnmatchcase(path[0], pattern[0]) and not is_guarded
    return matches and slowly_matches(pattern[1:], path[1:])


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", ".a.csv", False),
        (".*.csv", ".a.csv", True),
        ("*.csv", "sub/a.csv", False),
        ("*.csv", "a.csv\n", False),
        ("**/*.csv", "a.csv", True),
        ("**/*.csv", "x/y/a.csv", True),
        ("**/*.csv", "x/.git/a.csv", False),
        ("**", "x/y/z", True),
        ("**/day/**/*.csv", "x/day/y/a.csv", True),
        ("**/day/**/*.csv", "x/night/a.csv", False),
        ("*.{csv,json}", "a.json", True),
        ("*.{csv,json}", "a.xml", False),
        ("{*,b}.csv", ".a.csv", False),
        ("[a-c]?.csv", "b1.csv", True),
        ("[!a-c]?.csv", "b1.csv", False),
        ("[]x]", "]", True),
        ("a[*]", "a*", True),
        ("?", "ü", True),
        ("a+(b)", "a+(b)", True),
    ],
)
def test_a_pattern_means_what_the_documents_say(pattern: str, path: str, expected: bool) -> None:
    assert glob(pattern).matches(path.split("/")) is expected


@pytest.mark.parametrize(
    ("exclude", "path", "expected"),
    [
        ("*.tmp", "x/a.tmp", False),
        ("*.tmp", "x/.a.tmp", False),
        ("old", "x/old/a", False),
        ("old/**", "old/a", False),
        ("old/**", "x/old/a", True),
        ("/old", "old/a", False),
        ("/old", "x/old/a", True),
        ("**/tmp/*.csv", "x/tmp/a.csv", False),
        ("**/tmp/*.csv", "x/.y/tmp/a.csv", False),
        ("**/tmp/*.csv", "x/tmp/a.txt", True),
    ],
)
def test_an_exclude_leaves_out_names_or_paths(exclude: str, path: str, expected: bool) -> None:
    compiled = Glob.compile(("**", "[!~]*"), [exclude])
    visible = Glob.compile(("**", ".y", "**", "[!~]*"), [exclude])
    parts = path.split("/")
    assert (visible if ".y" in parts else compiled).matches(parts) is expected


@pytest.mark.parametrize(
    ("pattern", "folder", "segments"),
    [
        ("inbox/*.csv", "inbox", ("*.csv",)),
        ("/data/in/**/*.csv", "/data/in", ("**", "*.csv")),
        ("inbox/", "inbox", ("*",)),
        ("inbox/**", "inbox", ("**", "*")),
        ("*.csv", "", ("*.csv",)),
        ("/*.csv", "/", ("*.csv",)),
        ("../in/./a.csv", "../in/.", ("a.csv",)),
        ("in/{a,b}/x", "in", ("{a,b}", "x")),
    ],
)
def test_a_pattern_splits_into_folder_and_names(
    pattern: str, folder: str, segments: tuple[str, ...]
) -> None:
    assert split_pattern(pattern) == (folder, segments)


@given(PATTERNS, PATHS)
def test_matching_agrees_with_the_plain_definition(pattern: list[str], path: list[str]) -> None:
    wanted = [*pattern, "*"] if pattern[-1] == "**" else pattern
    assert Glob.compile(wanted).matches(path) is slowly_matches(wanted, path)


@given(PATTERNS, PATHS)
def test_a_folder_on_the_way_to_a_match_is_never_pruned(
    pattern: list[str], path: list[str]
) -> None:
    compiled = Glob.compile(pattern)
    if compiled.matches(path):
        assert all(compiled.states_of(path[:depth]) is not None for depth in range(len(path)))


@given(PATTERNS, st.lists(PATHS, max_size=6), st.lists(NAMES, max_size=2))
def test_a_scan_finds_what_the_pattern_matches_and_nothing_else(
    pattern: list[str], paths: list[list[str]], exclude: list[str]
) -> None:
    compiled = Glob.compile(pattern, exclude)
    with tempfile.TemporaryDirectory() as root:
        there = set()
        for path in paths:
            try:
                os.makedirs(os.path.join(root, *path[:-1]), exist_ok=True)
                with open(os.path.join(root, *path), "w"):
                    there.add("/".join(path))
            except OSError:
                continue  # a file where a folder should be
        tree = Tree(root, compiled, Ledger({}))
        tree.find_root()
        scan, found = tree.scan([""], lambda folder, descriptor: None, None), []
        while not (part := scan.next_slice()).is_last:
            found += part.found
        found += part.found
    expected = {path for path in there if compiled.matches(path.split("/"))}
    assert sorted(file.path for file in found) == sorted(expected)


@given(st.text(max_size=8))
def test_any_text_is_a_pattern_or_a_clear_refusal(text: str) -> None:
    message = ""
    try:
        Glob.compile(split_pattern(text)[1], [text])
    except ValueError as error:
        message = str(error)
    assert message == "" or len(message) > 20
