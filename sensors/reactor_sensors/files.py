"""Files: an event for every complete file that lands in a folder, once per version of it."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, PlainSerializer, field_validator

from reactor.api import Duration, Sensor
from reactor_sensors._files_event import ARRIVED, FileArrived, printable
from reactor_sensors._files_glob import Glob, split_pattern
from reactor_sensors._files_hints import Watcher, hint_source
from reactor_sensors._files_ledger import Ledger
from reactor_sensors._files_ready import Readiness, marker, parse_readiness, stable
from reactor_sensors._files_tree import Tree
from reactor_sensors._files_watch import FilesWatch, Pace

if TYPE_CHECKING:
    from reactor.api import Intake

__all__ = ["ARRIVED", "FileArrived", "Files", "marker", "stable"]

_LONGEST_LABEL = 150
_SHORTEST_PACE = timedelta(milliseconds=10)

Ready = Annotated[
    Readiness, BeforeValidator(parse_readiness), PlainSerializer(str, return_type=str)
]


class Files(Sensor):
    """Fires for each complete file that `pattern` matches, once per version, restarts included.

    `Files("inbox/**/*.csv", ready="closed", exclude=["*.tmp", "old/**"])`. A relative pattern
    starts at the project's directory. The folder before the first wildcard is watched; while it is
    missing or unreadable the sensor is down, waits, and forgets nothing.

    - `ready`: when a file counts as complete. `"closed"`: nobody has it open for writing;
      `"renamed"`: it came by rename; `stable("10s")` or `"stable:10s"`: unchanged so long;
      `marker(".done")` or `"marker:.done"`: its marker lies beside it. A file known to be open for
      writing never fires.
    - `exclude`: names at any depth (`"*.tmp"`), or paths below the watched folder (`"old/**"`).
    - `settle`: how long a file must stay unchanged where nothing better can be known.
    - `rescan`: time between full scans, which find what no watcher told. `poll`: the same where
      there is no watcher.
    - `watcher`: "auto", "inotify", "watchfiles" or "poll".

    Raises DefinitionError for a pattern or option that cannot be meant.
    """

    kind: ClassVar[str] = "files"

    pattern: str
    ready: Ready = Readiness(policy="closed")
    exclude: tuple[str, ...] = ()
    settle: Duration = timedelta(seconds=2)
    rescan: Duration = timedelta(seconds=60)
    poll: Duration = timedelta(seconds=1)
    watcher: Watcher = "auto"

    def __init__(self, *pattern: str | os.PathLike[str], **options: Any) -> None:
        if len(pattern) == 1:
            options["pattern"] = os.fspath(pattern[0])
        elif pattern:
            raise TypeError(
                f"Files takes one pattern, not {len(pattern)}; write a list of Files instead"
            )
        super().__init__(**options)

    @field_validator("pattern")
    @classmethod
    def _pattern_can_match(cls, pattern: str) -> str:
        Glob.compile(split_pattern(pattern)[1])
        return pattern

    @field_validator("exclude")
    @classmethod
    def _excludes_can_match(cls, exclude: tuple[str, ...]) -> tuple[str, ...]:
        Glob.compile(("*",), exclude)
        return exclude

    @field_validator("rescan", "poll")
    @classmethod
    def _pace_is_bearable(cls, pace: timedelta) -> timedelta:
        if pace < _SHORTEST_PACE:
            raise ValueError('must be "10ms" or longer; each scan reads the whole folder')
        return pace

    def label(self) -> str:
        """Return the pattern, cut in the middle when it is long."""
        text = printable(os.fsencode(self.pattern).decode(errors="backslashreplace"))
        half = _LONGEST_LABEL // 2
        return text if len(text) <= _LONGEST_LABEL else f"{text[:half]}…{text[-half:]}"

    @property
    def data_type(self) -> Any:
        return FileArrived

    async def run(self, intake: Intake) -> None:
        """Watch until cancelled. Storage errors other than a full disk pass to the caller."""
        folder, segments = split_pattern(self.pattern)
        root = _absolute(intake.directory, folder)
        ledger = Ledger(await intake.cursor())
        tree = Tree(root, Glob.compile(segments, self.exclude), ledger, suffix=self.ready.suffix)
        watch = FilesWatch(
            tree,
            ledger,
            intake,
            readiness=self.ready,
            pace=Pace(settle=self.settle, rescan=self.rescan, poll=self.poll),
            new_source=partial(hint_source, self.watcher, root),
        )
        await watch.run()


def _absolute(directory: os.PathLike[str], folder: str) -> str:
    return os.path.abspath(os.path.join(directory, folder))
