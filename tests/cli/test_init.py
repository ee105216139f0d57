"""`reactor init`: what it writes is sound, and what is there already it leaves alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reactor.cli.application import COMMANDS
from reactor.cli.init import COMMON, DEFAULT, TEMPLATES, project_name, template_files
from reactor.testing.process import TELL, DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., Any]

every_template = pytest.mark.parametrize("template", TEMPLATES)
# A step that lets a test see that the last one has run.
WITNESS = """

@{workflow}.step
async def told({last}: str) -> None:
    tell({last})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "my shop"


def contents_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def watch(project: Path, module: str, *, workflow: str, last: str) -> None:
    """Let the last step of a project tell what it returned."""
    path = project / "flows" / module
    head, future, rest = path.read_text().partition("from __future__ import annotations\n")
    witness = WITNESS.format(workflow=workflow, last=last)
    path.write_text(head + future + TELL + rest + witness)


def run_in(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class TestTemplates:
    @every_template
    def test_a_new_project_has_no_faults(
        self, call: Call, folder: Path, template: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert call("init", str(folder), "--template", template).code == 0
        monkeypatch.chdir(folder)
        answer = call("check", "--json")
        assert answer.code == 0
        assert answer.document["workflows"]
        assert answer.document["faults"] == []

    @every_template
    @pytest.mark.real_time
    def test_the_test_of_a_new_project_passes(
        self, call: Call, folder: Path, template: str
    ) -> None:
        call("init", str(folder), "--template", template)
        assert " passed" in run_in(folder, "pytest", "-q", "-p", "no:cacheprovider")

    @every_template
    def test_a_new_project_is_clean_for_ruff(self, call: Call, folder: Path, template: str) -> None:
        call("init", str(folder), "--template", template)
        run_in(folder, "ruff", "check", "--no-cache", ".")
        run_in(folder, "ruff", "format", "--no-cache", "--check", ".")

    @every_template
    def test_the_readme_names_commands_that_exist_and_files_that_are_there(
        self, call: Call, folder: Path, template: str
    ) -> None:
        call("init", str(folder), "--template", template)
        readme = (folder / "README.md").read_text()
        assert readme.startswith("# my-shop\n")
        assert {*re.findall(r"^\$ reactor (\S+)", readme, re.MULTILINE)} <= {*COMMANDS}
        links = [link for link in re.findall(r"\]\((\S+?)\)", readme) if "://" not in link]
        assert links
        assert [link for link in links if not (folder / link).is_file()] == []

    @every_template
    def test_nothing_is_left_to_fill_in(self, template: str) -> None:
        assert not [text for text in template_files(template, "shop").values() if "{{" in text]

    def test_each_folder_of_templates_is_offered_and_described(self) -> None:
        root = resources.files("reactor.cli") / "templates"
        assert {entry.name for entry in root.iterdir()} == {*TEMPLATES, COMMON}
        assert DEFAULT in TEMPLATES

    def test_git_ignores_the_state_and_the_secrets_of_a_project(
        self, call: Call, folder: Path
    ) -> None:
        call("init", str(folder))
        assert {".reactor/", ".env"} <= {*(folder / ".gitignore").read_text().splitlines()}


class TestWriting:
    def test_without_a_template_it_is_the_default(self, call: Call, folder: Path) -> None:
        call("init", str(folder))
        assert {*contents_of(folder)} == {str(name) for name in template_files(DEFAULT, "x")}

    def test_without_a_folder_it_is_the_present_one(
        self, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert call("init").code == 0
        assert (tmp_path / "reactor.toml").is_file()

    def test_it_names_what_it_wrote(self, call: Call, folder: Path) -> None:
        out = call("init", str(folder)).out
        assert [name for name in contents_of(folder) if name not in out] == []

    def test_the_document_names_what_it_wrote(self, call: Call, folder: Path) -> None:
        document = call("init", str(folder), "--template", "kafka", "--json").document
        assert (document["template"], document["folder"]) == ("kafka", str(folder))
        assert {*document["files"]} == {*contents_of(folder)}

    def test_what_else_lies_in_the_folder_is_left_alone(self, call: Call, folder: Path) -> None:
        folder.mkdir()
        (folder / "mine.txt").write_text("mine")
        assert call("init", str(folder)).code == 0
        assert (folder / "mine.txt").read_text() == "mine"

    def test_a_file_that_is_there_already_is_named_and_nothing_is_written(
        self, call: Call, folder: Path
    ) -> None:
        folder.mkdir()
        (folder / "README.md").write_text("mine")
        answer = call("init", str(folder))
        assert answer.code == 2
        assert "has README.md already, which is left as it is; choose another DIR" in answer.err
        assert contents_of(folder) == {"README.md": b"mine"}

    def test_a_link_that_leads_nowhere_is_not_written_through(
        self, call: Call, folder: Path, tmp_path: Path
    ) -> None:
        folder.mkdir()
        (folder / "reactor.toml").symlink_to(tmp_path / "elsewhere")
        assert call("init", str(folder)).code == 2
        assert not (tmp_path / "elsewhere").exists()

    def test_a_second_time_it_refuses(self, call: Call, folder: Path) -> None:
        call("init", str(folder))
        before = contents_of(folder)
        assert call("init", str(folder), "--template", "kafka").code == 2
        assert contents_of(folder) == before

    def test_a_folder_that_cannot_be_made_is_said_and_nothing_is_left(
        self, call: Call, folder: Path
    ) -> None:
        folder.mkdir()
        (folder / "flows").write_text("a file where a folder is wanted")
        answer = call("init", str(folder))
        assert answer.code == 2
        assert "cannot be written (" in answer.err
        assert {*contents_of(folder)} == {"flows"}

    @pytest.mark.parametrize(
        ("wrong", "hint"),
        [("kafak", "did you mean 'kafka'?"), ("qqq", "known: files, kafka, timer, webhook")],
    )
    def test_an_unknown_template_is_answered_with_the_nearest(
        self, call: Call, folder: Path, wrong: str, hint: str
    ) -> None:
        answer = call("init", str(folder), "--template", wrong)
        assert answer.code == 2
        assert f"no template {wrong!r}; {hint}" in answer.err
        assert not folder.exists()

    @pytest.mark.parametrize(
        ("name", "project"),
        [("shop", "shop"), ('a "b" c', "a-b-c"), ("..x..", "x"), ("日本", "project")],
    )
    def test_the_name_of_the_project_fits_into_code(
        self, tmp_path: Path, name: str, project: str
    ) -> None:
        assert project_name(tmp_path / name) == project
        assert len(project_name(tmp_path / ("x" * 200))) == 40


@pytest.mark.real_time
class TestRunning:
    def test_a_file_that_lands_runs_in_the_project_of_files(self, call: Call, folder: Path) -> None:
        call("init", str(folder))
        watch(folder, "orders.py", workflow="orders", last="announce")
        (folder / "inbox").mkdir()
        with DaemonProcess(state=folder / ".reactor", directory=folder) as daemon:
            (folder / "inbox" / "first.csv").write_text("item,amount\npen,1.50\nink,7\n")
            daemon.wait_until_told("first.csv: 8.50")
            assert daemon.stop() == 0

    def test_an_event_given_by_hand_runs_in_the_project_of_a_timer(
        self, call: Call, folder: Path
    ) -> None:
        call("init", str(folder), "--template", "timer")
        path = folder / "flows" / "disk.py"
        path.write_text(path.read_text().replace("FULLEST = 0.9", "FULLEST = 1.1"))
        with DaemonProcess(state=folder / ".reactor", directory=folder) as daemon:
            do_as_the_readme_says(folder, "reactor emit", "reactor emit")
            assert daemon.stop() == 0
        assert "succeeded" in run_in(folder, "reactor", "runs")

    def test_a_signed_order_runs_in_the_project_of_a_webhook(
        self, call: Call, folder: Path
    ) -> None:
        call("init", str(folder), "--template", "webhook")
        do_as_the_readme_says(folder, "echo", "echo")
        secret = (folder / ".env").read_text().strip().partition("=")[2]
        daemon = DaemonProcess(
            state=folder / ".reactor", directory=folder, environment={"ORDERS_SECRET": secret}
        )
        with daemon:
            answer = do_as_the_readme_says(folder, ". ./.env", "curl", hooks=daemon.hooks)
            assert "202 Accepted" in answer
            assert daemon.stop() == 0
        assert "succeeded" in run_in(folder, "reactor", "runs")


def do_as_the_readme_says(folder: Path, first: str, last: str, *, hooks: str = "") -> str:
    """Run commands of the README, from the one that begins with `first` on to that with `last`."""
    missing = [tool for tool in ("bash", "curl", "openssl") if shutil.which(tool) is None]
    assert not missing, f"install these, which the commands of the README use: {missing}"
    lines = re.findall(r"^\$ (.*)$", (folder / "README.md").read_text(), re.MULTILINE)
    begin = next(number for number, line in enumerate(lines) if line.startswith(first))
    end = next(n for n, line in enumerate(lines) if n >= begin and line.startswith(last))
    script = "\n".join(lines[begin : end + 1])
    done = subprocess.run(
        ["bash", "-e", "-c", script.replace("http://127.0.0.1:8080", hooks)],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, script + done.stdout + done.stderr
    return done.stdout
