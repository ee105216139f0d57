"""docs/errors.md names every error with its place in the tree and its exit code, and no other."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from reactor import errors
from reactor.cli.output import exit_code

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\| (.+?) \| (\d) \|", re.MULTILINE)
ROWS = {name: (above, int(code)) for name, above, _, code in ROW.findall(DOCUMENT)}
ERRORS: dict[str, type[errors.ReactorError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.ReactorError)
}
REASON = re.compile(r"reason=\"(\w+)\"|UnreadableError\(\s*\"(\w+)\"")


def test_every_error_has_its_row_and_no_row_is_without_one() -> None:
    assert sorted(ROWS) == sorted(ERRORS)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_a_row_tells_place_and_exit_code(name: str) -> None:
    kind = ERRORS[name]
    above = kind.__mro__[1].__name__ if kind is not errors.ReactorError else ""
    made = (
        errors.OverloadedError("w", timedelta(1)) if kind is errors.OverloadedError else kind("why")
    )
    assert ROWS[name] == (above, exit_code(made))


def test_every_error_of_reactor_is_below_the_root() -> None:
    found = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    assert found == set(ERRORS)


def test_the_tree_in_the_code_names_them_all() -> None:
    assert errors.__doc__ is not None
    assert set(re.findall(r"[A-Z]\w*Error|Reject", errors.__doc__)) == set(ERRORS)


def test_every_reason_is_explained() -> None:
    sources = [
        path
        for folder in ("reactor/engine", "reactor/store", "sensors/reactor_sensors")
        for path in (ROOT / folder).rglob("*.py")
    ]
    found = {
        one or other
        for path in sources
        for one, other in REASON.findall(path.read_text(encoding="utf-8"))
    }
    _, _, letters = DOCUMENT.partition("## Dead letters")
    assert found <= set(re.findall(r"^\| `(\w+)` \|", letters, re.MULTILINE))
    assert {"trigger_failed", "process_died"} <= found
