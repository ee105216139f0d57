"""Hostile folders: what is published into them, by whom, and whether just that arrived."""

from __future__ import annotations

import base64
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.torture.edges.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from random import Random
    from typing import Self

    from tests.torture.edges.stage import Row

SECRET = b"SECRET"
# Inode, size and mtime in nanoseconds: what a writer knows of a version without asking the product.
Version = tuple[bytes, int, int, int]


@dataclass(slots=True)
class Published:
    """The log of a writer: every complete version, with the content and the instant it was there."""

    contents: dict[Version, bytes] = field(default_factory=dict)
    at: dict[Version, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, path: bytes, status: os.stat_result, content: bytes) -> Version:
        version = (path, status.st_ino, status.st_size, status.st_mtime_ns)
        with self.lock:
            self.contents[version] = content
            self.at[version] = time.time_ns() // 1000
        return version


class FileStage(Stage):
    """A stage with `published`, and the question whether each of these versions arrived once and nothing else did."""

    def __init__(
        self, folder: Path, project: str = "files_project.py", *, begin: bool = True
    ) -> None:
        super().__init__(folder, project, begin=begin)
        self.published = Published()
        for name in ("tree", "closed", "renamed", "marked", "staging", "secret"):
            (folder / name).mkdir()

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def publish(self, path: Path, content: bytes, *, times: int | None = None) -> Version:
        """Write elsewhere and rename; `times` sets mtime and atime to this, in nanoseconds."""
        draft = self.folder / "staging" / f"{threading.get_ident()}"
        draft.write_bytes(content)
        if times is not None:
            os.utime(draft, ns=(times, times))
        status = draft.stat()
        draft.rename(path)
        return self.published.add(os.fsencode(path), status, content)

    def arrived(self) -> int:
        """Return how many events of files there are."""
        return self.count("SELECT count(*) FROM event WHERE sensor <> 'beat'")

    def all_arrived(self, versions: Iterable[Version] | None = None) -> bool:
        """Return whether each version, or every one there is, has its event."""
        wanted = self.published.contents.keys() if versions is None else set(versions)
        # Counting costs less than reading; too few events cannot be all.
        if self.arrived() < len(wanted):
            return False
        return wanted <= {version_of(row) for row in self.rows()}

    def longest_delay(self, versions: Sequence[Version]) -> float:
        """Return how long the slowest of these versions took from its writer to its event, in seconds."""
        times = {version_of(row): row.accepted_at for row in self.rows()}
        delays = [times[one] - self.published.at[one] for one in versions if one in times]
        return max(delays, default=0) / 1e6

    def judge(self, *, optional: Callable[[Version], bool] = lambda version: False) -> int:
        """Note what did not arrive, arrived twice or should not have; return the longest delay in milliseconds.

        `optional` names versions that were replaced so soon that nobody could have seen them.
        """
        known = self.published.contents
        times: dict[Version, list[Row]] = {}
        for row in self.rows():
            times.setdefault(version_of(row), []).append(row)
        self.expect_none(
            [version for version in known if version not in times and not optional(version)],
            "complete files missed",
        )
        self.expect_none(
            [version for version in times if version not in known],
            "events of something that was never published: an escape, or a half-written file",
        )
        self.expect_none(
            [version for version, rows in times.items() if len(rows) > 1], "versions fired twice"
        )
        self._judge_contents({row.id: version_of(row) for rows in times.values() for row in rows})
        delays = [
            rows[0].accepted_at - self.published.at[version]
            for version, rows in times.items()
            if version in known
        ]
        return max(delays, default=0) // 1000

    def _judge_contents(self, versions: dict[str, Version]) -> None:
        """A step that opened its file has read a whole version of that path, and never a secret."""
        of_path: dict[bytes, set[str]] = {}
        for (path, *_), content in self.published.contents.items():
            of_path.setdefault(path, set()).add(content.decode("latin-1"))
        opened = {line["event"]: line["content"] for line in self.effects()}
        secret = SECRET.decode()
        self.expect_none(
            [event for event, content in opened.items() if secret in content],
            "steps that were led to a secret",
        )
        self.expect_none(
            [
                event
                for event, content in opened.items()
                if not content.endswith(": gone or swapped")
                and event in versions
                and content not in of_path.get(versions[event][0], ())
            ],
            "steps that read half a file",
        )


def version_of(row: Row) -> Version:
    """Return which version an event is of, by its own words."""
    data = row.data
    encoded = data.get("path_base64")
    path = base64.b64decode(encoded) if encoded else data["path"].encode()
    _, inode, size, mtime, _ = data["version"].split("-")
    return path, int(inode, 16), int(size, 16), int(mtime, 16)


def racing(work: Callable[[threading.Event], None]) -> Racer:
    """Return a context in which `work` runs in a thread of its own until it is told that the race is over."""
    return Racer(work)


class Racer:
    """See `racing`. Leaving the context raises what the thread raised."""

    def __init__(self, work: Callable[[threading.Event], None]) -> None:
        self.is_over = threading.Event()
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="racer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def join(self) -> None:
        """Wait until the work ends by itself."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work(self.is_over)
        except (
            BaseException
        ) as error:  # a thread has nobody to raise to; leaving the context raises it
            self._error = error


def hostile_name(luck: Random) -> bytes:
    """Return a name that a file system takes and a program may not. None is hidden: wildcards pass those over."""
    kind = luck.randrange(6)
    if kind == 0:
        return b"x" + luck.randbytes(30).replace(b"/", b"").replace(b"\0", b"")
    if kind == 1:
        return b"\xff\xfe" * luck.randint(1, 120)
    if kind == 2:
        return b"\x1b]0;owned\x07\x1b[31m%d" % luck.randrange(10**9)
    if kind == 3:
        return b"line\nbreak\r\n%d" % luck.randrange(10**9)
    if kind == 4:
        return (b"%d" % luck.randrange(10**9)).ljust(255, b"n")
    return luck.choice((b"~%d", b"-rf %d", b"$(id)%d", b"%%2e%%2e%d", "‮ünï%d".encode())) % (
        luck.randrange(10**9)
    )
