"""Loading a project: what is found, what stays apart, and every fault with its place."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reactor.daemon.project import Project, load_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Write = Callable[[str, str], Path]

PRELUDE = """\
from typing import Any, ClassVar
from reactor import Event, Workflow
from reactor.api import Sensor

class Bell(Sensor):
    kind: ClassVar[str] = "bell"
    tone: str = "low"
"""
# Sensors are compared by class and options, so those that files share must come from one module.
SENSOR = "from bells import Bell\nfrom reactor import Event, Workflow\n"
ONE_STEP = "\n@{0}.step\nasync def ring() -> int:\n    return 1\n"


@pytest.fixture(autouse=True)
def unchanged_imports() -> Iterator[None]:
    """Put the import system back as it was: the modules of the last load stay on purpose."""
    modules, finders, path = dict(sys.modules), list(sys.meta_path), list(sys.path)
    yield
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]
    sys.meta_path[:] = finders
    assert sys.path == path


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def bells(write: Write) -> Path:
    return write("bells.py", PRELUDE)


def workflow(name: str, on: str = "Bell()") -> str:
    return f'{SENSOR}{name} = Workflow("{name}", on={on})\n' + ONE_STEP.format(name)


def only_fault(project: Project) -> tuple[str, int, str]:
    (fault,) = project.faults
    return Path(fault.file).name, fault.line, fault.message


class TestWhatIsFound:
    def test_a_file_gives_its_workflows_and_sensors(self, bells: Path, write: Write) -> None:
        file = write("chimes.py", workflow("chimes"))
        project = load_project([file])
        assert project.faults == []
        assert [*project.graphs] == ["chimes"]
        assert [step.name for step in project.graphs["chimes"].steps] == ["ring"]
        assert [*project.sensors] == ["bell"]
        assert project.files == [file]

    def test_a_folder_gives_every_module_file_in_it(self, bells: Path, write: Write) -> None:
        write("b.py", workflow("b"))
        write("a.py", workflow("a"))
        write("_private.py", "1/0")
        write(".hidden.py", "1/0")
        write("notes.txt", "1/0")
        write("nested/deep.py", "1/0")
        project = load_project([bells.parent])
        assert project.faults == []
        assert [*project.graphs] == ["a", "b"]
        assert [file.name for file in project.files] == ["a.py", "b.py", "bells.py"]

    def test_a_file_named_twice_is_loaded_once(self, bells: Path, write: Write) -> None:
        file = write("a.py", workflow("a"))
        project = load_project([file, bells.parent, file])
        assert project.faults == []
        assert [*project.graphs] == ["a"]

    def test_a_relative_path_is_made_absolute(
        self, bells: Path, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = write("a.py", workflow("a"))
        monkeypatch.chdir(file.parent)
        project = load_project([Path("a.py")])
        assert project.files == [file]
        assert project.graphs["a"].file == str(file)

    def test_equal_sensors_of_one_name_are_one_sensor(self, bells: Path, write: Write) -> None:
        write("a.py", workflow("a", on='Bell(tone="high")'))
        write("b.py", workflow("b", on='Bell(tone="high")'))
        project = load_project([bells.parent])
        assert project.faults == []
        assert [*project.sensors] == ["bell"]

    def test_a_workflow_imported_by_another_file_is_found_once(
        self, bells: Path, write: Write
    ) -> None:
        write("base.py", workflow("shared"))
        write(
            "more.py",
            "from base import shared\n@shared.step\nasync def echo(ring: int) -> int:\n    return 2",
        )
        project = load_project([bells.parent])
        assert project.faults == []
        assert [step.name for step in project.graphs["shared"].steps] == ["ring", "echo"]

    def test_files_that_import_each_other_are_loaded_once(self, bells: Path, write: Write) -> None:
        write("a.py", workflow("a") + "import b\n")
        write("b.py", workflow("b") + "import a\n")
        project = load_project([bells.parent])
        assert project.faults == []
        assert [*project.graphs] == ["a", "b"]

    def test_string_annotations_of_a_helper_module_are_resolved(
        self, bells: Path, write: Write
    ) -> None:
        write(
            "shapes/__init__.py",
            """
            from __future__ import annotations
            from dataclasses import dataclass

            @dataclass
            class Note:
                pitch: Pitch

            @dataclass
            class Pitch:
                hertz: float
            """,
        )
        file = write(
            "a.py",
            "from __future__ import annotations\n"
            + SENSOR
            + "from shapes import Note\n"
            + 'a = Workflow("a", on=Bell())\n'
            + "@a.step\nasync def play(event: Event[Note]) -> Note:\n    return event.data\n",
        )
        project = load_project([file])
        assert project.faults == []
        result = project.graphs["a"].step("play").result
        assert result.load(b'{"pitch": {"hertz": 440}}').pitch.hertz == 440


class TestModulesBeside:
    def test_neither_sys_path_nor_pycache_is_touched(self, bells: Path, write: Write) -> None:
        load_project([write("a.py", workflow("a"))])
        assert str(bells.parent) not in sys.path
        assert not (bells.parent / "__pycache__").exists()

    def test_a_users_own_folders_do_not_hide_ours(self, bells: Path, write: Write) -> None:
        for name in ("handlers", "sensors", "reactor_sensors", "reactor", "typing", "json"):
            write(f"{name}/__init__.py", "raise AssertionError('the wrong module')")
        text = (
            "import json, typing\nfrom importlib.util import find_spec\n"
            "here = __file__.removesuffix('a.py')\n"
            "for name in ('reactor_sensors', 'reactor_handlers'):\n"
            "    spec = find_spec(name)\n"
            "    assert spec is None or not str(spec.origin).startswith(here), spec\n"
        )
        file = write("a.py", text + workflow("a"))
        assert load_project([file]).faults == []

    @pytest.mark.parametrize("marker", ["__init__.py", "notes.txt"])
    def test_a_users_own_folders_named_like_our_source_folders_are_found(
        self, bells: Path, write: Write, marker: str
    ) -> None:
        for name in ("handlers", "sensors"):
            write(f"{name}/{marker}", "")
            write(f"{name}/mine.py", f"where = {name!r}")
        text = "import handlers.mine, sensors.mine\nassert sensors.mine.where == 'sensors'\n"
        assert load_project([write("a.py", text + workflow("a"))]).faults == []

    def test_helpers_of_one_name_in_two_folders_stay_apart(
        self, tmp_path: Path, write: Write
    ) -> None:
        for folder in ("one", "two"):
            write(f"{folder}/bells.py", PRELUDE)
            write(f"{folder}/helper/__init__.py", "")
            write(f"{folder}/helper/data.py", f"place = {folder!r}")
            text = f"from helper.data import place\nassert place == {folder!r}, place\n"
            write(
                f"{folder}/{folder}.py",
                text + workflow(folder, on=f'Bell(name="{folder}")'),
            )
        project = load_project([tmp_path / "one", tmp_path / "two"])
        assert project.faults == []
        assert [*project.graphs] == ["one", "two"]

    def test_a_step_may_import_a_module_beside_it_when_it_runs(
        self, bells: Path, write: Write
    ) -> None:
        write("later/__init__.py", "answer = 42")
        text = workflow("a") + "def late() -> int:\n    import later\n    return later.answer\n"
        project = load_project([write("a.py", text)])
        namespace = project.graphs["a"].steps[0].function.__globals__
        assert namespace["late"]() == 42


class TestReload:
    def test_a_second_load_sees_an_edit_of_equal_size_at_once(
        self, bells: Path, write: Write
    ) -> None:
        write("lib/values.py", "value = 1")
        text = "from lib.values import value\n" + workflow("a")
        file = write("a.py", text)
        first = load_project([file]).graphs["a"].steps[0].function
        write("lib/values.py", "value = 2")
        second = load_project([file]).graphs["a"].steps[0].function
        assert (first.__globals__["value"], second.__globals__["value"]) == (1, 2)

    def test_functions_of_the_load_before_still_find_their_module(
        self, bells: Path, write: Write
    ) -> None:
        file = write("a.py", workflow("a"))
        first = load_project([file]).graphs["a"].steps[0].function
        load_project([file])
        assert sys.modules[first.__module__].__dict__ is first.__globals__

    def test_modules_of_older_loads_go(self, bells: Path, write: Write) -> None:
        file = write("a.py", workflow("a"))
        first = load_project([file]).graphs["a"].steps[0].function
        load_project([file])
        load_project([file])
        assert first.__module__ not in sys.modules

    def test_a_faulty_load_leaves_the_modules_of_the_load_before(
        self, bells: Path, write: Write
    ) -> None:
        write("lib/values.py", "value = 1")
        file = write("a.py", "import lib.values\n" + workflow("a"))
        load_project([file])
        before = sys.modules["lib.values"]
        write("lib/values.py", "value = 2")
        file.write_text("import lib.values\n1/0", encoding="utf-8")
        names = sys.modules.keys() - {"lib"}
        assert load_project([file]).faults
        assert sys.modules["lib.values"] is before
        assert sys.modules.keys() >= names


class TestFaults:
    def test_no_path_is_a_fault(self) -> None:
        (fault,) = load_project([]).faults
        assert "no path was given; expected a Python file" in fault.message

    def test_a_missing_path_is_a_fault_that_says_what_was_expected(self, tmp_path: Path) -> None:
        fault = load_project([tmp_path / "nowhere.py"]).faults[0]
        assert str(fault) == (
            f"{tmp_path}/nowhere.py: there is no such file or folder; "
            "expected a Python file, or a folder of them, that defines workflows"
        )

    def test_a_file_of_another_kind_is_a_fault(self, write: Write) -> None:
        file = write("flows.yaml", "on: x")
        assert "this is not a *.py file" in only_fault(load_project([file]))[2]

    def test_an_empty_folder_is_a_fault(self, tmp_path: Path) -> None:
        assert "this folder has no *.py file" in only_fault(load_project([tmp_path]))[2]

    def test_a_file_without_a_workflow_is_a_fault(self, write: Write) -> None:
        file = write("empty.py", "x = 1")
        assert only_fault(load_project([file]))[2].startswith("this file defines no workflow;")

    def test_a_folder_without_a_workflow_is_one_fault(self, bells: Path, write: Write) -> None:
        write("empty.py", "x = 1")
        message = only_fault(load_project([bells.parent]))[2]
        assert message.startswith("this folder defines no workflow;")

    def test_an_import_error_has_the_line_and_the_error(self, write: Write) -> None:
        file = write("a.py", "x = 1\n\ny = x / 0\n")
        assert only_fault(load_project([file])) == (
            "a.py",
            3,
            "ZeroDivisionError: division by zero",
        )

    def test_an_error_in_a_library_is_placed_at_the_users_line(self, write: Write) -> None:
        file = write("a.py", "import json\n\njson.loads('{')\n")
        name, line, message = only_fault(load_project([file]))
        assert (name, line) == ("a.py", 3)
        assert message.startswith("JSONDecodeError: ")

    def test_a_missing_module_says_where_to_put_it(self, write: Write) -> None:
        file = write("a.py", "\nimport no_such_module_anywhere\n")
        name, line, message = only_fault(load_project([file]))
        assert (name, line) == ("a.py", 2)
        assert "No module named 'no_such_module_anywhere'; install it" in message

    def test_an_error_in_a_helper_is_placed_in_the_helper_once(
        self, tmp_path: Path, write: Write
    ) -> None:
        write("helper.py", "\n\nraise RuntimeError('two\\nlines')")
        write("a.py", "import helper")
        write("b.py", "import helper")
        project = load_project([tmp_path])
        assert only_fault(project) == ("helper.py", 3, "RuntimeError: two lines")

    def test_a_syntax_error_has_its_own_line(self, write: Write) -> None:
        file = write("a.py", "x = 1\ny = (\n")
        name, line, message = only_fault(load_project([file]))
        assert (name, line) == ("a.py", 2)
        assert message.startswith("SyntaxError: '(' was never closed")

    def test_a_syntax_error_of_a_helper_is_placed_in_the_helper(self, write: Write) -> None:
        write("lib/broken.py", "\n\ndef (:\n")
        file = write("a.py", "import lib.broken")
        assert only_fault(load_project([file]))[:2] == ("broken.py", 3)

    def test_a_syntax_error_in_evaluated_text_is_placed_at_the_users_line(
        self, write: Write
    ) -> None:
        file = write("a.py", "\n\neval('1 +')\n")
        assert only_fault(load_project([file]))[:2] == ("a.py", 3)

    @pytest.mark.parametrize("source", [b"x = '\xff'\n", b"x = 1\x00\n"])
    def test_bytes_that_are_no_source_are_a_fault(self, tmp_path: Path, source: bytes) -> None:
        file = tmp_path / "a.py"
        file.write_bytes(source)
        name, _, message = only_fault(load_project([file]))
        assert name == "a.py"
        assert "Error: " in message

    def test_a_file_that_exits_is_a_fault(self, write: Write) -> None:
        file = write("a.py", "import sys\nsys.exit('bye')\n")
        name, line, message = only_fault(load_project([file]))
        assert (name, line) == ("a.py", 2)
        assert message.startswith("SystemExit: bye; the file ends the program")

    def test_a_wrong_definition_has_the_users_line(self, bells: Path, write: Write) -> None:
        file = write("a.py", SENSOR + "\n\nBell(tine='high')\n")
        name, line, message = only_fault(load_project([file]))
        assert (name, line) == ("a.py", 5)
        assert message == "Bell: unknown option 'tine'; did you mean 'tone'?"

    def test_a_fault_of_a_graph_has_the_line_of_its_step(self, bells: Path, write: Write) -> None:
        text = workflow("a") + "@a.step\nasync def echo(rong: int) -> None: ...\n"
        file = write("a.py", text)
        name, line, message = only_fault(load_project([file]))
        assert (name, line) == (
            "a.py",
            text[: text.index("@a.step\nasync def echo")].count("\n") + 1,
        )
        assert "'rong' is neither a step" in message

    def test_workflows_of_one_name_name_both_places(self, bells: Path, write: Write) -> None:
        write("a.py", workflow("same"))
        write("b.py", workflow("same"))
        name, line, message = only_fault(load_project([bells.parent]))
        assert (name, line) == ("b.py", 3)
        assert "workflow 'same' is defined twice" in message
        assert f"{bells.parent}/a.py:3" in message

    def test_sensors_of_one_name_with_other_options_name_both_workflows(
        self, bells: Path, write: Write
    ) -> None:
        write("a.py", workflow("a"))
        write("b.py", workflow("b", on='Bell(tone="hush-hush")'))
        name, line, message = only_fault(load_project([bells.parent]))
        assert (name, line) == ("b.py", 3)
        assert "workflow 'b' gives sensor 'bell' other options (tone) than workflow 'a'" in message
        assert f"{bells.parent}/a.py:3" in message
        assert "hush-hush" not in message

    def test_all_faults_come_at_once_and_the_sound_remains(self, bells: Path, write: Write) -> None:
        write("a.py", "1/0")
        write("b.py", "x = (")
        write("c.py", workflow("c"))
        write("d.py", SENSOR + 'Workflow("d", on=[])')
        project = load_project([bells.parent, bells.parent / "nowhere.py"])
        assert [Path(fault.file).name for fault in project.faults] == [
            "nowhere.py",
            "a.py",
            "b.py",
            "d.py",
        ]
        assert [*project.graphs] == ["c"]
