"""The code in the documents is real: each Python block is loaded as a project or compiled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reactor.cli.application import COMMANDS, GROUPS
from reactor.daemon.project import load_project

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?:\S*/)?(reactor|make) (\S+)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
PROMISE = (
    "Every accepted event is journaled before it is acknowledged and fires each matching workflow "
    "once. Each step's result is recorded once; its code runs again only if the process or machine "
    "died, or the attempt failed, before the result was recorded, and then with the same "
    "idempotency key."
)

BLOCKS = [
    pytest.param(code, id=f"{name}-{number}")
    for name in DOCUMENTS
    for number, code in enumerate(BLOCK.findall((ROOT / name).read_text(encoding="utf-8")), 1)
]


def make_targets() -> set[str]:
    """Return the targets that the Makefile lists."""
    return {*re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)}


def plain(name: str) -> str:
    """Return a document without line breaks and quotation marks of its own."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\n> ", "\n")
    return " ".join(text.split())


@pytest.mark.parametrize("code", BLOCKS)
def test_a_code_block_is_sound(code: str, tmp_path: Path) -> None:
    file = tmp_path / "block.py"
    file.write_text(code, encoding="utf-8")
    if "Workflow(" not in code:
        compile(code, str(file), "exec")
        return
    project = load_project([file])
    assert [str(fault) for fault in project.faults] == []
    assert project.graphs


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    here = (ROOT / name).parent
    links = LINK.findall((ROOT / name).read_text(encoding="utf-8"))
    assert [link for link in links if not (here / link).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_promises_what_nobody_can_keep(name: str) -> None:
    assert "exactly-once" not in plain(name).lower()
    assert "exactly once" not in plain(name).lower()


@pytest.mark.parametrize("name", ["README.md", "docs/guarantees.md"])
def test_the_promise_is_made_in_its_own_words(name: str) -> None:
    assert PROMISE in plain(name)


def test_the_readme_shows_a_workflow() -> None:
    assert any("Workflow(" in code for code in BLOCK.findall((ROOT / "README.md").read_text()))


def test_the_index_leads_to_every_page() -> None:
    pages = {
        str(path.relative_to(ROOT / "docs"))
        for path in (ROOT / "docs").rglob("*.md")
        if path.name != "index.md" and not re.match(r"\d{4}-", path.name)  # listed in adr/README.md
    }
    links = LINK.findall((ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    assert pages - {*links} == set()


def test_the_list_of_decisions_has_each() -> None:
    folder = ROOT / "docs" / "adr"
    links = LINK.findall((folder / "README.md").read_text(encoding="utf-8"))
    assert {path.name for path in folder.glob("[0-9]*.md")} - {*links} == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_printed_command_exists(name: str) -> None:
    known = {"reactor": {*COMMANDS, *GROUPS}, "make": make_targets()}
    blocks = "\n".join(CONSOLE.findall((ROOT / name).read_text(encoding="utf-8")))
    assert [
        f"{tool} {command}"
        for tool, command in COMMAND.findall(blocks)
        if command not in known[tool]
    ] == []


def test_printed_commands_can_be_copied_into_any_shell() -> None:
    blocks = [block for name in DOCUMENTS for block in CONSOLE.findall((ROOT / name).read_text())]
    # zsh, the shell of macOS, hands a comment on the command line to the command.
    lines = [line for block in blocks for line in block.splitlines()]
    assert [line for line in lines if re.match(r"\$ .* # ", line)] == []


def test_what_is_not_there_yet_is_not_used() -> None:
    code = "\n".join(BLOCK.findall("\n".join((ROOT / name).read_text() for name in DOCUMENTS)))
    assert not re.search(r"\b(AllOf|Completed|Asset)\(|\.(debounce|latest|throttle)\(", code)
