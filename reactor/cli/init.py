"""`reactor init`: a small project to begin with, that passes `reactor check` and its own tests."""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from reactor.cli.options import JsonOption
from reactor.cli.output import console, print_json, text
from reactor.errors import SettingsError
from reactor.model.sensor import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

TEMPLATES = {
    "files": "CSV files that land in a folder",
    "kafka": "records of a Kafka topic, on a broker of yours",
    "timer": "something to do every ten minutes",
    "webhook": "signed HTTP calls",
}
DEFAULT = "files"
COMMON = "common"
# All files of a template have it, so that no tool takes them for what they become.
SUFFIX = ".tmpl"
# In the place of a leading dot: what builds and checks this repository must not read such a file.
DOT = "dot-"
PROJECT = "{{project}}"
UNNAMED = "project"
LONGEST_NAME = 40


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to write it; made if there is none.")
    ] = Path(),
    *,
    template: Annotated[
        str, typer.Option(help=f"One of {', '.join(TEMPLATES)}.", metavar="NAME")
    ] = DEFAULT,
    as_document: JsonOption = False,
) -> None:
    """Write a project to begin with.

    It is a workflow, its test, settings and a README.

    Nothing that exists is changed: where a file of the template is there already, nothing is
    written and the exit code is 2.
    """
    if template not in TEMPLATES:
        raise SettingsError(f"no template {template!r}{nearest(template, [*TEMPLATES])}")
    contents = template_files(template, project_name(folder))
    write_files(folder, contents)
    if as_document:
        files = [str(name) for name in contents]
        print_json({"template": template, "folder": str(folder.resolve()), "files": files})
        return
    out = console()
    for name in contents:
        out.print(text(folder / name))
    out.print()
    where = "" if folder.resolve() == Path.cwd() else f"cd {folder}, then "
    out.print(text(f"{TEMPLATES[template]}: {where}see README.md", "green"))


def template_files(template: str, project: str) -> dict[PurePosixPath, str]:
    """Return what a template holds for a project of that name, by place in its folder."""
    root = resources.files("reactor.cli") / "templates"
    found = {}
    for part in (COMMON, template):
        for place, file in _walk(root / part, PurePosixPath()):
            found[place] = file.read_text(encoding="utf-8").replace(PROJECT, project)
    return dict(sorted(found.items()))


def _walk(folder: Traversable, place: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, place / entry.name)
        elif entry.name.endswith(SUFFIX):
            name = entry.name.removesuffix(SUFFIX)
            yield place / (f".{name.removeprefix(DOT)}" if name.startswith(DOT) else name), entry


def project_name(folder: Path) -> str:
    """Return the folder's name as a project's: what stands in quotes, paths and consumer groups."""
    name = re.sub(r"[^a-zA-Z0-9._-]+", "-", folder.resolve().name)
    return name[:LONGEST_NAME].strip("-.") or UNNAMED


def write_files(folder: Path, contents: dict[PurePosixPath, str]) -> None:
    """Write all files below a folder, or none. Raises SettingsError where one is there already."""
    there = [str(place) for place in contents if os.path.lexists(folder / place)]
    if there:
        raise SettingsError(
            f"{folder.resolve()} has {' and '.join(there[:3])} already, which is left as it is; "
            "choose another DIR, or move what is there"
        )
    written: list[Path] = []
    try:
        for place, content in contents.items():
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            # "x": what appeared since is left as it is too.
            with target.open("x", encoding="utf-8") as file:
                written.append(target)
                file.write(content)
    except OSError as error:
        for target in written:
            target.unlink(missing_ok=True)
        where = error.filename or folder
        raise SettingsError(
            f"{where} cannot be written ({error.strerror}); choose another DIR"
        ) from None
