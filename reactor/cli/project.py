"""`reactor check` and `reactor graph`: a project as it is written, without running it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reactor.cli.listing import Listing
from reactor.cli.options import JsonOption, PathsArgument, project_paths
from reactor.cli.output import (
    FAULTS,
    NotFoundError,
    console,
    count,
    line,
    print_json,
    text,
)
from reactor.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reactor.daemon.project import Project
    from reactor.model.graph import Fault


def check(paths: PathsArgument = None, *, as_document: JsonOption = False) -> None:
    """Find every fault of a project at once.

    Each is a line with its file and line; nothing is run. Exit code 4: there are some.
    """
    project = _load(project_paths(paths))
    if as_document:
        print_json(_check_document(project))
    elif project.faults:
        _print_faults(project.faults)
    else:
        _print_sound(project)
    if project.faults:
        raise typer.Exit(FAULTS)


def graph(
    paths: PathsArgument = None,
    *,
    workflow: Annotated[str | None, typer.Option(help="Only this workflow.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write a picture to this file.")] = None,
    as_document: JsonOption = False,
) -> None:
    """Draw the steps of workflows, as text or SVG."""
    from reactor.cli.picture import draw_svg
    from reactor.model.definition import describe_graph
    from reactor.model.sensor import nearest

    project = _load(project_paths(paths))
    if project.faults:
        _print_faults(project.faults, sys.stderr)
        if as_document:
            error = "there is no graph to draw before the faults are gone"
            print_json({"error": error, **_check_document(project)})
        raise typer.Exit(FAULTS)
    graphs = [describe_graph(graph) for graph in project.graphs.values()]
    if workflow is not None:
        graphs = [one for one in graphs if one["name"] == workflow]
        if not graphs:
            hint = nearest(workflow, [*project.graphs])
            raise NotFoundError(f"there is no workflow {workflow!r}{hint}")
    if svg is not None:
        _write(svg, draw_svg(graphs))
    if as_document:
        print_json({"workflows": graphs} | ({"svg": str(svg)} if svg else {}))
    elif svg is not None:
        console().print(text(f"{svg}: {count(len(graphs), 'workflow')}"))
    else:
        _print_graphs(graphs)


def _load(paths: Sequence[Path]) -> Project:
    from reactor.daemon.project import load_project

    # What a user's module prints while it is imported is no part of the answer.
    with contextlib.redirect_stdout(sys.stderr):
        return load_project(paths)


def _print_faults(faults: Sequence[Fault], file: Any = None) -> None:
    for fault in faults:
        where = f"{_relative(fault.file)}:{fault.line}" if fault.line else _relative(fault.file)
        print(text(f"{where}: {fault.message}").plain, file=file)
    print(count(len(faults), "fault"), file=file)


def _print_sound(project: Project) -> None:
    rows = Listing("workflow", "steps", "fired by", "file", right=["steps"], flexible=["fired by"])
    for one in project.graphs.values():
        triggers = ", ".join(trigger.describe() for trigger in one.triggers)
        rows.add(one.name, len(one.steps), triggers, f"{_relative(one.file)}:{one.line}")
    out = console()
    rows.print(out)
    out.print()
    workflows = count(len(project.graphs), "workflow")
    out.print(text(f"{workflows}, {count(len(project.sensors), 'sensor')}, no faults", "green"))


def _check_document(project: Project) -> dict[str, Any]:
    return {
        "ok": not project.faults,
        "files": [str(file) for file in project.files],
        "workflows": [*project.graphs],
        "sensors": [*project.sensors],
        "faults": [
            {"file": fault.file, "line": fault.line or None, "message": fault.message}
            for fault in project.faults
        ],
    }


def _print_graphs(graphs: Sequence[dict[str, Any]]) -> None:
    from reactor.cli.picture import tree_lines

    out = console()
    for index, one in enumerate(graphs):
        if index:
            out.print()
        out.print(text(one["name"], "bold"))
        if one["description"]:
            out.print(text(one["description"], "dim"))
        for trigger in one["triggers"]:
            out.print(text(f"on {trigger}", "cyan"))
        for stem, name, notes in tree_lines(one["steps"]):
            out.print(line((stem, "dim"), (name, ""), (f"  {notes}" if notes else "", "dim")))


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from None


def _relative(file: str) -> str:
    """Return a path as one would type it here."""
    with contextlib.suppress(ValueError):
        short = os.path.relpath(file)
        if not short.startswith(".."):
            return short
    return file
