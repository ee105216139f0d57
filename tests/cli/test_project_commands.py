"""`reactor check` and `reactor graph`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from reactor.cli.picture import draw_svg, tree_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., Any]

SOUND = """\
print("a noisy module")
from typing import ClassVar
from reactor import Event, Retry, Workflow
from reactor.api import Sensor

class Bell(Sensor):
    kind: ClassVar[str] = "bell"

rates = Workflow("rates", on=Bell(), description="every <rate>")

@rates.step(timeout="30s")
async def parse(event: Event) -> list: ...

@rates.step(retry=Retry(attempts=5))
async def load(parse: list) -> int: ...

@rates.step
def audit(parse: list) -> int: ...

@rates.step
async def announce(load: int, audit: int) -> None: ...
"""


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "cwd" / "rates.py"
    path.write_text(SOUND)
    return path


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    path = tmp_path / "cwd" / "faulty.py"
    path.write_text(SOUND.replace("load: int, audit", "lod: int, audit"))
    return path


def step(name: str, *upstream: str, **values: Any) -> dict[str, Any]:
    described = {"name": name, "upstream": [*upstream]}
    return described | {"executor": "loop", "attempts": 1, "timeout": None} | values


def described(*steps: dict[str, Any], **values: Any) -> dict[str, Any]:
    made = {"name": "w", "description": "", "owner": "", "triggers": ["bell"], "steps": [*steps]}
    return made | values


class TestCheck:
    def test_a_sound_project_is_listed(self, call: Call, sound: Path) -> None:
        answer = call("check", "rates.py")
        assert answer.code == 0
        assert "rates.py:9" in answer.out
        assert "1 workflow, 1 sensor, no faults" in answer.out

    def test_faults_are_lines_with_file_and_line(self, call: Call, faulty: Path) -> None:
        answer = call("check", "faulty.py", "nowhere.py")
        assert answer.code == 4
        lines = answer.out.splitlines()
        assert lines[0].startswith("nowhere.py: there is no such file or folder")
        assert lines[1].startswith("faulty.py:20: step 'announce': parameter 'lod' is neither")
        assert lines[2:] == ["2 faults"]

    def test_what_a_module_prints_is_no_part_of_the_document(self, call: Call, sound: Path) -> None:
        answer = call("check", "rates.py", "--json")
        assert answer.document == {
            "ok": True,
            "files": [str(sound)],
            "workflows": ["rates"],
            "sensors": ["bell"],
            "faults": [],
        }
        assert answer.err == "a noisy module\n"

    def test_faults_are_in_the_document(self, call: Call, faulty: Path) -> None:
        answer = call("check", "--json", "faulty.py")
        assert answer.code == 4
        assert [fault["line"] for fault in answer.document["faults"]] == [20]

    def test_the_settings_file_names_the_paths(self, call: Call, sound: Path) -> None:
        sound.with_name("reactor.toml").write_text('paths = ["rates.py"]')
        assert call("check").code == 0

    def test_the_environment_names_the_paths(
        self, call: Call, sound: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REACTOR_PATHS", "rates.py")
        assert call("check").code == 0

    def test_paths_that_are_no_list_are_refused(self, call: Call, tmp_path: Path) -> None:
        (tmp_path / "cwd" / "reactor.toml").write_text('paths = "rates.py"')
        answer = call("check")
        assert answer.code == 2
        assert answer.err == (
            'reactor: reactor.toml: paths is not a list of texts, such as ["flows"]\n'
        )

    def test_no_path_at_all_is_a_usage_error(self, call: Call) -> None:
        answer = call("check")
        assert answer.code == 2
        assert "no PATH was given; name a Python file" in answer.err


class TestGraph:
    def test_the_graph_is_drawn_as_a_tree(self, call: Call, sound: Path) -> None:
        assert call("graph", "rates.py").out.splitlines() == [
            "rates",
            "every <rate>",
            "on bell",
            "└─ parse  ≤ 30s",
            "   ├─ load  5 tries",
            "   └─ audit  thread",
            "      └─ announce  also after load",
        ]

    def test_the_document_describes_the_workflows(self, call: Call, sound: Path) -> None:
        document = call("graph", "rates.py", "--json").document
        (workflow,) = document["workflows"]
        assert workflow["steps"][3]["upstream"] == ["audit", "load"]

    def test_an_unknown_workflow_is_answered_with_the_nearest(
        self, call: Call, sound: Path
    ) -> None:
        answer = call("graph", "rates.py", "--workflow", "rate")
        assert answer.code == 1
        assert "there is no workflow 'rate'; did you mean 'rates'?" in answer.err

    def test_a_faulty_project_is_not_drawn(self, call: Call, faulty: Path) -> None:
        answer = call("graph", "faulty.py")
        assert answer.code == 4
        assert answer.out == ""
        assert "faulty.py:20: " in answer.err

    def test_the_document_of_a_faulty_project_names_the_faults(
        self, call: Call, faulty: Path
    ) -> None:
        answer = call("graph", "faulty.py", "--json")
        assert answer.code == 4
        assert answer.document["error"] == "there is no graph to draw before the faults are gone"
        assert [fault["line"] for fault in answer.document["faults"]] == [20]

    def test_a_picture_is_written(self, call: Call, sound: Path) -> None:
        assert call("graph", "rates.py", "--svg", "out.svg").code == 0
        picture = ElementTree.fromstring(sound.with_name("out.svg").read_text())
        texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
        assert {"rates", "every <rate>", "bell", "parse", "load", "audit", "announce"} <= {*texts}

    def test_a_picture_that_cannot_be_written_is_said_to_be_so(
        self, call: Call, sound: Path
    ) -> None:
        answer = call("graph", "rates.py", "--svg", "nowhere/out.svg")
        assert answer.code == 2
        assert "nowhere/out.svg cannot be written: No such file" in answer.err


class TestPicture:
    def test_hostile_text_is_escaped(self) -> None:
        hostile = "<script>\x1b]\"'&"
        graph = described(step("a"), description=hostile, owner=hostile, triggers=[hostile])
        picture = draw_svg([graph])
        assert "<script" not in picture
        assert "\x1b" not in picture
        ElementTree.fromstring(picture)

    def test_a_long_edge_goes_around_the_boxes_between(self) -> None:
        picture = draw_svg([described(step("a"), step("b", "a"), step("c", "a", "b"))])
        ways = [line for line in picture.splitlines() if 'class="way"' in line]
        assert len(ways) == 4  # trigger to a, a to b, b to c, and a past b to c
        assert sum(" H" in way for way in ways) == 1

    def test_every_edge_is_drawn_once(self) -> None:
        parts = [step(f"p{number}", "split") for number in range(5)]
        joined = step("join", *(part["name"] for part in parts), "split")
        graph = described(step("split"), *parts, joined, triggers=["x", "y"])
        assert draw_svg([graph]).count('class="tip"') == 2 + 5 + 5 + 1

    def test_a_chain_longer_than_the_recursion_limit_is_drawn(self) -> None:
        steps = [step("s0")] + [step(f"s{n}", f"s{n - 1}") for n in range(1, 1500)]
        assert len(tree_lines(steps)) == 1500

    def test_every_step_has_one_line(self) -> None:
        steps = [step("a"), step("b"), step("c", "a", "b"), step("d", "a")]
        assert tree_lines(steps) == [
            ("├─ ", "a", ""),
            ("│  └─ ", "d", ""),
            ("└─ ", "b", ""),
            ("   └─ ", "c", "also after a"),
        ]
