"""What every source of hints must do; inotify and watchfiles inherit it. The kernel is the subject."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from reactor_sensors import _files_hints
from reactor_sensors._files_hints import (
    Hint,
    HintKind,
    HintSource,
    NoHints,
    WatchfilesHints,
    hint_source,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.real_time


class Heard:
    """Collects hints, and waits for one."""

    def __init__(self) -> None:
        self.hints: list[Hint] = []
        self.threads: set[int] = set()
        self._changed = asyncio.Condition()

    def deliver(self, hints: Sequence[Hint]) -> None:
        self.hints += hints
        self.threads.add(threading.get_ident())
        self._told = asyncio.get_running_loop().create_task(self._tell(), name="hint heard")

    async def until(self, condition: Callable[[list[Hint]], bool]) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: condition(self.hints))

    async def until_path(self, path: str) -> Hint:
        await self.until(lambda hints: any(hint.path == path for hint in hints))
        return next(hint for hint in self.hints if hint.path == path)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class HintSourceContract:
    def open(self, root: Path, heard: Heard) -> HintSource:
        raise NotImplementedError

    @contextlib.contextmanager
    def listening(self, root: Path) -> Iterator[Heard]:
        heard = Heard()
        source = self.open(root, heard)
        source.start()
        descriptor = os.open(root, os.O_RDONLY)
        source.watch("", descriptor)
        os.close(descriptor)
        try:
            yield heard
        finally:
            source.close()
            source.close()

    async def test_a_new_file_is_told(self, tmp_path: Path) -> None:
        with self.listening(tmp_path) as heard:
            (tmp_path / "a").write_text("x")
            await heard.until_path("a")

    async def test_a_file_that_came_by_rename_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "draft").write_text("x")
        with self.listening(tmp_path / "in") as heard:
            (tmp_path / "draft").rename(tmp_path / "in" / "a")
            await heard.until_path("a")

    async def test_a_new_folder_is_told(self, tmp_path: Path) -> None:
        with self.listening(tmp_path) as heard:
            (tmp_path / "folder").mkdir()
            assert (await heard.until_path("folder")).kind in (HintKind.FOLDER, HintKind.SEEN)

    async def test_a_name_that_is_no_text_is_told_or_confessed(self, tmp_path: Path) -> None:
        with self.listening(tmp_path) as heard:
            (tmp_path / os.fsdecode(b"bad\xff")).write_text("x")
            await heard.until(
                lambda hints: any(h.kind is HintKind.LOST or h.path == "bad\udcff" for h in hints)
            )

    async def test_the_end_of_the_root_is_told(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        root.mkdir()
        with self.listening(root) as heard:
            root.rmdir()
            await heard.until(lambda hints: any(hint.kind is HintKind.LOST for hint in hints))

    async def test_hints_arrive_on_the_loop(self, tmp_path: Path) -> None:
        with self.listening(tmp_path) as heard:
            (tmp_path / "a").write_text("x")
            await heard.until_path("a")
        assert heard.threads == {threading.get_ident()}

    async def test_nothing_is_told_after_closing(self, tmp_path: Path) -> None:
        with self.listening(tmp_path) as heard:
            (tmp_path / "a").write_text("x")
            await heard.until_path("a")
        heard.hints.clear()
        (tmp_path / "b").write_text("x")
        with self.listening(tmp_path) as after:
            (tmp_path / "c").write_text("x")
            await after.until_path("c")
        assert heard.hints == []


class TestWatchfiles(HintSourceContract):
    def open(self, root: Path, heard: Heard) -> HintSource:
        return WatchfilesHints(str(root), asyncio.get_running_loop(), heard.deliver)


if sys.platform == "linux":
    from reactor_sensors import _files_linux
    from reactor_sensors._files_hints import InotifyHints
    from reactor_sensors._files_linux import LARGEST_EVENT_BYTES

    class TestInotify(HintSourceContract):
        def open(self, root: Path, heard: Heard) -> HintSource:
            return InotifyHints(asyncio.get_running_loop(), heard.deliver)

        async def test_it_knows_closing_from_renaming(self, tmp_path: Path) -> None:
            with self.listening(tmp_path) as heard:
                (tmp_path / "a").write_text("x")
                (tmp_path / "a").rename(tmp_path / "b")
                await heard.until_path("b")
            assert [(hint.kind, hint.path) for hint in heard.hints] == [
                (HintKind.SEEN, "a"),
                (HintKind.CLOSED, "a"),
                (HintKind.MOVED, "b"),
            ]

        async def test_more_events_than_one_read_takes_all_arrive(
            self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
        ) -> None:
            monkeypatch.setattr(_files_hints, "_READ_BYTES", LARGEST_EVENT_BYTES)
            with self.listening(tmp_path) as heard:
                for number in range(100):
                    (tmp_path / str(number)).touch()
                await heard.until(lambda hints: len(hints) == 200)

        async def test_an_overflow_of_the_queue_is_told(self, tmp_path: Path) -> None:
            with open("/proc/sys/fs/inotify/max_queued_events") as file:
                limit = int(file.read())
            with self.listening(tmp_path) as heard:
                first, second = tmp_path / "a", tmp_path / "b"
                first.touch()
                # Two names in turn, because equal events that follow each other become one.
                for _ in range(limit // 2 + 1):
                    first.rename(second)
                    second.rename(first)
                await heard.until(lambda hints: any(hint.kind is HintKind.LOST for hint in hints))

        async def test_a_folder_that_cannot_be_watched_is_told(
            self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
        ) -> None:
            def refuse(*_: object) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(_files_linux, "add_watch", refuse)
            with self.listening(tmp_path) as heard:
                await heard.until(lambda hints: any(h.kind is HintKind.DEAF for h in hints))
            assert "fs.inotify.max_user_watches" in heard.hints[0].why

        async def test_a_folder_gone_before_its_watch_is_no_trouble(self, tmp_path: Path) -> None:
            heard = Heard()
            source = self.open(tmp_path, heard)
            source.start()
            source.watch("gone", 2**20)
            await asyncio.sleep(0)
            source.close()
            assert heard.hints == []


async def test_polling_needs_no_source(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    source = hint_source("poll", str(tmp_path), loop, lambda hints: None)
    assert isinstance(source, NoHints)


async def test_a_network_file_system_is_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_files_hints, "is_remote", lambda path: True)
    loop = asyncio.get_running_loop()
    assert isinstance(hint_source("auto", str(tmp_path), loop, lambda hints: None), NoHints)
