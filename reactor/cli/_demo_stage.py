"""What the demo plays on: its folder, the example project, the data, and a broker where there can be one."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reactor.cli._demo_data import data_files, data_folder, job_records, require_packages
from reactor.cli._demo_plan import TOPIC_WORKFLOWS, WORKFLOWS
from reactor.cli._demo_topic import Topic, open_topic
from reactor.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reactor.cli._demo_data import DataFile, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """`project` is what to run of the example, `topic` is None where no broker can be embedded; then it says why."""

    folder: Path
    project: Sequence[Path]
    files: Mapping[str, DataFile]
    records: Sequence[Record]
    topic: Topic | None
    why_without_topic: str = ""

    @property
    def kafka(self) -> str | None:
        """The address of the broker."""
        return self.topic.address if self.topic else None


@contextlib.contextmanager
def open_stage(folder: Path | None) -> Iterator[Stage]:
    """Yield everything that the demo needs; the broker ends with the block.

    Raises SettingsError when a package, the project or a usable folder is missing.
    """
    require_packages()
    source = data_folder()
    project = project_folder()
    place = prepared_folder(folder)
    found = open_topic()
    topic = found if isinstance(found, Topic) else None
    try:
        yield Stage(
            folder=place,
            project=project_paths(project, has_topic=topic is not None),
            files=data_files(source),
            records=job_records(source),
            topic=topic,
            why_without_topic=found if isinstance(found, str) else "",
        )
    finally:
        if topic:
            topic.close()


def project_folder() -> Path:
    """Return the example project: that of an installed package, else that of the repository."""
    here = Path(__file__).resolve()
    for place in (here.parent / "_demo_project", here.parents[2] / "examples" / "demo" / "project"):
        if (place / "prices.py").is_file():
            return place
    raise SettingsError(
        "this installation has no example project; run the demo from the repository: make demo"
    )


def project_paths(folder: Path, *, has_topic: bool) -> list[Path]:
    """Return what to run of the example project: all, or each module but the one of the topic."""
    if has_topic:
        return [folder]
    # Each of these has a module of its name; the folder has helper modules too, which cannot be run.
    return [folder / f"{workflow}.py" for workflow in WORKFLOWS if workflow not in TOPIC_WORKFLOWS]


def prepared_folder(folder: Path | None) -> Path:
    """Return the folder to work in, with an inbox. Raises SettingsError where it is not empty."""
    if folder is None:
        place = Path(tempfile.mkdtemp(prefix="reactor-demo-")).resolve()
    else:
        place = folder.resolve()
        try:
            place.mkdir(parents=True, exist_ok=True)
            is_empty = next(place.iterdir(), None) is None
        except OSError as error:
            raise SettingsError(
                f"{place} cannot be used ({error.strerror}); choose another --folder"
            ) from None
        if not is_empty:
            raise SettingsError(
                f"{place} is not empty; the demo counts from zero, so choose a new --folder"
            )
    for name in ("prices", "weather", "airports", "cars"):
        (place / "inbox" / name).mkdir(parents=True)
    return place
