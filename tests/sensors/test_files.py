"""The files sensor as a whole: real folders, virtual time, an intake in memory."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import shutil
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from reactor.api import DefinitionError, StoreFullError
from reactor.testing import RecordingIntake, SensorContract, VirtualTimeLoop, running
from reactor_sensors import _files_tree, _files_watch
from reactor_sensors._files_hints import Hint, HintKind, NoHints
from reactor_sensors.files import FileArrived, Files, marker, stable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    Scenario = Callable[..., Coroutine[Any, Any, None]]


def in_virtual_time(test: Scenario) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


@contextlib.asynccontextmanager
async def watching(
    folder: Path,
    *,
    pattern: str = "inbox/**/*",
    intake: RecordingIntake | None = None,
    **options: Any,
) -> AsyncIterator[RecordingIntake]:
    (folder / "inbox").mkdir(exist_ok=True)
    intake = intake or RecordingIntake("files", directory=folder)
    intake.state = "starting"
    async with running(Files(pattern, **options), intake):
        await intake.wait_until(lambda: intake.state == "up")
        yield intake


def publish(path: Path, text: str = "data") -> None:
    """Write elsewhere on the same file system, then rename into place."""
    draft = path.parent / f".{os.getpid()}.draft"
    draft.write_text(text)
    draft.rename(path)


def names(intake: RecordingIntake) -> list[str]:
    return sorted(event.data.name for event in intake.events)


class TestContract(SensorContract):
    @pytest.fixture
    def sensor(self) -> Files:
        return Files("inbox/*.csv", watcher="inotify")

    @pytest.fixture
    def intake(self, tmp_path: Path) -> RecordingIntake:
        (tmp_path / "inbox").mkdir()
        return RecordingIntake("files", directory=tmp_path)

    async def happen(self, intake: RecordingIntake, number: int) -> None:
        publish(intake.directory / "inbox" / f"{number}.csv")


@in_virtual_time
async def test_an_event_tells_what_arrived(tmp_path: Path) -> None:
    async with watching(tmp_path) as intake:
        path = tmp_path / "inbox" / "a.csv"
        publish(path, "12345")
        (event,) = await intake.wait_for_events(1)
    status = path.stat()
    assert (event.type, event.source, event.subject) == ("reactor.file.arrived", "files", str(path))
    assert len(event.id) == 32
    assert event.data.path == str(path)
    assert event.data.as_path() == path
    assert event.data.size_bytes == 5
    assert event.data.version == "-".join(
        f"{number:x}"
        for number in (
            status.st_dev, status.st_ino, 5, status.st_mtime_ns, status.st_ctime_ns
        )
    )  # fmt: skip
    assert event.time == event.data.modified_at
    assert abs(event.time.timestamp() - status.st_mtime) < 0.001
    with event.data.open() as file:
        assert file.read() == b"12345"


@in_virtual_time
async def test_a_renamed_file_needs_no_time_to_pass(tmp_path: Path) -> None:
    async with watching(tmp_path) as intake:
        before = asyncio.get_running_loop().time()
        publish(tmp_path / "inbox" / "a.csv")
        await intake.wait_for_events(1)
        assert asyncio.get_running_loop().time() == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can say that a look will not wait")
@in_virtual_time
async def test_a_file_that_the_kernel_has_in_memory_needs_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(tmp_path) as intake:
        publish(tmp_path / "inbox" / "first")
        await intake.wait_for_events(1)
        # The thread is held; of the draft, which is gone, only a thread could learn.
        held = threading.Event()
        monkeypatch.setattr(_files_tree.Tree, "look", lambda tree, paths: held.wait(30) and [])
        publish(tmp_path / "inbox" / "second")
        await intake.wait_for_events(2)
        held.set()
    assert names(intake) == ["first", "second"]


@in_virtual_time
async def test_once_a_look_was_slow_the_thread_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(tmp_path) as intake:
        publish(tmp_path / "inbox" / "first")
        await intake.wait_for_events(1)
        monkeypatch.setattr(_files_watch, "SLOW_LOOK_SECONDS", -1.0)
        publish(tmp_path / "inbox" / "second")
        await intake.wait_for_events(2)
        monkeypatch.delattr(_files_tree.Tree, "look_at_hand")
        publish(tmp_path / "inbox" / "third")
        await intake.wait_for_events(3)
    assert names(intake) == ["first", "second", "third"]


@in_virtual_time
async def test_two_thousand_files_at_once_arrive_once_each(tmp_path: Path) -> None:
    async with watching(tmp_path) as intake:
        for number in range(2000):
            (tmp_path / "inbox" / f"{number}").write_bytes(b"x")
        await intake.wait_for_events(2000)
        await asyncio.sleep(120)
    assert len(set(names(intake))) == len(intake.events) == 2000
    assert intake.duplicates == 0


@in_virtual_time
async def test_files_in_folders_just_made_are_not_missed(tmp_path: Path) -> None:
    async with watching(tmp_path) as intake:
        for number in range(200):
            folder = tmp_path / "inbox" / f"s{number}"
            folder.mkdir()
            (folder / "f").touch()
        before = asyncio.get_running_loop().time()
        await intake.wait_for_events(200)
        assert asyncio.get_running_loop().time() - before <= 2
    assert intake.duplicates == 0


@in_virtual_time
async def test_a_folder_moved_in_brings_its_files_and_is_watched(tmp_path: Path) -> None:
    (tmp_path / "made" / "deep").mkdir(parents=True)
    (tmp_path / "made" / "deep" / "a").write_text("x")
    async with watching(tmp_path) as intake:
        (tmp_path / "made").rename(tmp_path / "inbox" / "came")
        await intake.wait_for_events(1)
        (tmp_path / "inbox" / "came" / "deep" / "b").write_text("x")
        await intake.wait_for_events(2)
        (tmp_path / "inbox" / "came").rename(tmp_path / "inbox" / "went")
        publish(tmp_path / "inbox" / "went" / "deep" / "c")
        await intake.wait_until(lambda: any(e.data.name == "c" for e in intake.events))
    paths = {event.data.path for event in intake.events if event.data.name == "c"}
    assert paths == {str(tmp_path / "inbox" / "went" / "deep" / "c")}


@in_virtual_time
async def test_a_restart_catches_up_and_repeats_nothing(tmp_path: Path) -> None:
    async with watching(tmp_path) as intake:
        publish(tmp_path / "inbox" / "a")
        await intake.wait_for_events(1)
    for number in range(1000):
        (tmp_path / "inbox" / f"{number}").write_text("x")
    async with watching(tmp_path, intake=intake):
        await intake.wait_for_events(1001)
    async with watching(tmp_path, intake=intake):
        await asyncio.sleep(120)
    assert len(intake.events) == 1001
    assert intake.duplicates == 0


@in_virtual_time
async def test_a_file_replaced_by_one_with_an_older_time_fires_again(tmp_path: Path) -> None:
    path = tmp_path / "inbox" / "a"
    async with watching(tmp_path) as intake:
        publish(path, "new")
        await intake.wait_for_events(1)
    draft = tmp_path / "draft"
    draft.write_text("old")
    os.utime(draft, (1, 1))
    draft.rename(path)
    async with watching(tmp_path, intake=intake):
        await intake.wait_for_events(2)
    assert intake.events[1].time == datetime.fromtimestamp(1, UTC)


@pytest.mark.parametrize(
    "touch",
    [lambda path: os.utime(path, (1, 1)), lambda path: path.chmod(0o600)],
    ids=["times", "mode"],
)
@in_virtual_time
async def test_a_file_touched_after_it_was_closed_is_no_other_version(
    tmp_path: Path, touch: Callable[[Path], None]
) -> None:
    """As shutil.copy2 does, which most Python programs copy with."""
    path = tmp_path / "inbox" / "a"
    async with watching(tmp_path) as intake:
        publish(path)
        await intake.wait_for_events(1)
        # Virtual: the hint of the arrival itself is behind us then.
        await asyncio.sleep(1)
        before = dict(intake.durable_cursor)
        touch(path)
        await intake.wait_until(lambda: intake.durable_cursor != before)
        await asyncio.sleep(300)
    async with watching(tmp_path, intake=intake):
        await asyncio.sleep(300)
    assert len(intake.events) == 1


@in_virtual_time
async def test_a_file_written_again_in_place_fires_whatever_its_times_say(tmp_path: Path) -> None:
    path = tmp_path / "inbox" / "a"
    async with watching(tmp_path) as intake:
        publish(path, "old")
        await intake.wait_for_events(1)
        with path.open("r+") as file:
            file.write("new")
            file.flush()
            os.utime(file.fileno(), (1, 1))
            await asyncio.sleep(300)
        await intake.wait_for_events(2)


@pytest.mark.parametrize("ready", ["closed", "renamed", "stable:10s", "marker:.done"])
@in_virtual_time
async def test_a_file_still_being_written_does_not_fire(tmp_path: Path, ready: str) -> None:
    path = tmp_path / "inbox" / "slow"
    async with watching(tmp_path, ready=ready, exclude=["*.done"]) as intake:
        (tmp_path / "inbox" / "slow.done").touch()
        with path.open("w") as file:
            for _ in range(8):
                file.write("x" * 1000)
                file.flush()
                await asyncio.sleep(20)
                assert intake.events == []
        (event,) = await intake.wait_for_events(1)
    assert event.data.size_bytes == 8000


@pytest.mark.parametrize("ready", ["closed", "renamed", "stable:10s"])
@in_virtual_time
async def test_a_scan_leaves_alone_what_is_being_written(tmp_path: Path, ready: str) -> None:
    (tmp_path / "inbox").mkdir()
    with (tmp_path / "inbox" / "slow").open("w") as file:
        file.write("x")
        file.flush()
        async with watching(tmp_path, ready=ready) as intake:
            await asyncio.sleep(200)
            assert intake.events == []
            file.close()
            await intake.wait_for_events(1)


@in_virtual_time
async def test_an_empty_file_found_by_a_scan_is_looked_at_twice(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a").touch()
    async with watching(tmp_path) as intake:
        before = asyncio.get_running_loop().time()
        await intake.wait_for_events(1)
        assert 0.2 < asyncio.get_running_loop().time() - before < 0.5


@in_virtual_time
async def test_a_stable_file_fires_after_its_quiet_time(tmp_path: Path) -> None:
    path = tmp_path / "inbox" / "a"
    async with watching(tmp_path, ready=stable("10s")) as intake:
        loop = asyncio.get_running_loop()
        path.write_text("1")
        await asyncio.sleep(8)
        path.write_text("22")
        before = loop.time()
        (event,) = await intake.wait_for_events(1)
        assert 9.9 <= loop.time() - before <= 10.5
    assert event.data.size_bytes == 2


@in_virtual_time
async def test_a_marked_file_fires_and_its_marker_does_not(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    async with watching(tmp_path, ready=marker(".done")) as intake:
        (inbox / "a").write_text("x")
        (inbox / "never").write_text("x")
        await asyncio.sleep(100)
        assert intake.events == []
        (inbox / "a.done").touch()
        await intake.wait_for_events(1)
        await asyncio.sleep(100)
    assert names(intake) == ["a"]


@in_virtual_time
async def test_a_hard_link_published_into_the_folder_fires(tmp_path: Path) -> None:
    draft = tmp_path / "draft"
    draft.write_text("x")
    async with watching(tmp_path) as intake:
        os.link(draft, tmp_path / "inbox" / "a")
        await intake.wait_for_events(1)


@in_virtual_time
async def test_hostile_names_arrive_and_can_be_opened(tmp_path: Path) -> None:
    hostile = [b"bad\xff", b"line\nbreak", b"\x1b[31mred", b"n" * 255, b"100%25", "ünï".encode()]
    folder = os.fsencode(tmp_path / "inbox")
    async with watching(tmp_path) as intake:
        for name in hostile:
            Path(os.fsdecode(os.path.join(folder, name))).write_bytes(name)
        await intake.wait_for_events(len(hostile))
    async with watching(tmp_path, intake=intake):
        await asyncio.sleep(120)
    adapter = TypeAdapter(FileArrived)
    opened = set()
    for event in intake.events:
        assert event.subject is not None
        assert event.subject.isprintable()
        data = adapter.validate_json(adapter.dump_json(event.data))
        assert data == event.data
        with data.open() as file:
            opened.add(file.read())
    assert opened == set(hostile)
    assert len(intake.events) == len(hostile)
    assert all(key.isascii() for key in intake.durable_cursor)


@in_virtual_time
async def test_what_is_no_regular_file_is_ignored(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    inbox = tmp_path / "inbox"
    async with watching(tmp_path) as intake:
        os.mkfifo(inbox / "fifo")
        (inbox / "link").symlink_to(outside / "secret")
        (inbox / "folder").symlink_to(outside)
        publish(inbox / "a")
        await asyncio.sleep(120)
    assert names(intake) == ["a"]


@in_virtual_time
async def test_a_folder_swapped_for_a_symlink_leads_nowhere(tmp_path: Path) -> None:
    outside, inner = tmp_path / "outside", tmp_path / "inbox" / "inner"
    outside.mkdir()
    (outside / "secret").write_text("x")
    async with watching(tmp_path) as intake:
        inner.mkdir()
        (inner / "a").write_text("x")
        await intake.wait_for_events(1)
        shutil.rmtree(inner)
        inner.symlink_to(outside)
        (outside / "another").write_text("x")
        await asyncio.sleep(120)
    assert names(intake) == ["a"]


@in_virtual_time
async def test_a_folder_swapped_after_the_event_leads_nowhere_either(tmp_path: Path) -> None:
    outside, inner = tmp_path / "outside", tmp_path / "inbox" / "deep" / "inner"
    outside.mkdir()
    (outside / "a").write_text("secret")
    async with watching(tmp_path) as intake:
        inner.mkdir(parents=True)
        (inner / "a").write_text("x")
        (event,) = await intake.wait_for_events(1)
    with event.data.open() as file:
        assert file.read() == b"x"
    shutil.rmtree(inner)
    inner.symlink_to(outside)
    with pytest.raises(OSError, match="inner"):
        event.data.open()


@in_virtual_time
async def test_a_file_below_a_watched_symlink_can_be_opened(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "inbox").symlink_to(tmp_path / "real")
    async with watching(tmp_path) as intake:
        (tmp_path / "real" / "deep" / "a").write_text("x")
        (event,) = await intake.wait_for_events(1)
    with event.data.open() as file:
        assert file.read() == b"x"


@in_virtual_time
async def test_a_missing_folder_is_waited_for(tmp_path: Path) -> None:
    intake = RecordingIntake("files", directory=tmp_path)
    loop = asyncio.get_running_loop()
    async with running(Files("later/*.csv"), intake):
        await intake.wait_until(lambda: intake.state.startswith("down"))
        assert "No such file" in intake.state
        (tmp_path / "later").mkdir()
        (tmp_path / "later" / "a.csv").write_text("x")
        before = loop.time()
        await intake.wait_for_events(1)
        assert loop.time() - before <= 1
        assert intake.state == "up"


@in_virtual_time
async def test_a_vanished_folder_is_not_taken_for_deletion(tmp_path: Path) -> None:
    async with watching(tmp_path) as intake:
        publish(tmp_path / "inbox" / "a")
        await intake.wait_for_events(1)
        (tmp_path / "inbox").rename(tmp_path / "away")
        await intake.wait_until(lambda: intake.state.startswith("down"))
        await asyncio.sleep(300)
        assert intake.durable_cursor
        (tmp_path / "away").rename(tmp_path / "inbox")
        await intake.wait_until(lambda: intake.state == "up")
        await asyncio.sleep(120)
    assert len(intake.events) == 1


@in_virtual_time
async def test_a_folder_made_anew_is_watched_again(tmp_path: Path) -> None:
    async with watching(tmp_path) as intake:
        shutil.rmtree(tmp_path / "inbox")
        (tmp_path / "inbox").mkdir()
        publish(tmp_path / "inbox" / "a")
        await intake.wait_for_events(1)


@in_virtual_time
async def test_the_ledger_forgets_deleted_files_at_the_next_scan(tmp_path: Path) -> None:
    async with watching(tmp_path) as intake:
        publish(tmp_path / "inbox" / "a")
        publish(tmp_path / "inbox" / "b")
        await intake.wait_for_events(2)
        (tmp_path / "inbox" / "a").unlink()
        await intake.wait_until(lambda: list(intake.durable_cursor) == ["b"])


@in_virtual_time
async def test_a_full_store_keeps_files_back_and_loses_none(tmp_path: Path) -> None:
    async with watching(tmp_path) as intake:
        intake.fail_next(StoreFullError("no space left on the device"))
        for name in "abc":
            publish(tmp_path / "inbox" / name)
        await intake.wait_for_events(3)
    assert names(intake) == ["a", "b", "c"]


@in_virtual_time
async def test_files_wait_while_no_credit_is_left(tmp_path: Path) -> None:
    async with watching(tmp_path) as intake:
        intake.overload(timedelta(seconds=1))
        publish(tmp_path / "inbox" / "a")
        await asyncio.sleep(300)
        assert intake.events == []
        intake.relieve()
        await intake.wait_for_events(1)


@in_virtual_time
async def test_polling_finds_files_without_any_hint(tmp_path: Path) -> None:
    async with watching(tmp_path, watcher="poll") as intake:
        loop = asyncio.get_running_loop()
        before = loop.time()
        publish(tmp_path / "inbox" / "a")
        await intake.wait_for_events(1)
        assert loop.time() - before <= 1.5


@pytest.mark.real_time
async def test_watchfiles_misses_nothing_in_folders_just_made(tmp_path: Path) -> None:
    async with watching(tmp_path, watcher="watchfiles", settle="50ms") as intake:
        for number in range(200):
            folder = tmp_path / "inbox" / f"s{number}"
            folder.mkdir()
            (folder / "f").touch()
        async with asyncio.timeout(5):
            await intake.wait_for_events(200)
    assert intake.duplicates == 0


@in_virtual_time
async def test_a_folder_that_a_hint_took_for_a_file_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: list[LossySource] = []

    def lossy(*args: Any) -> LossySource:
        sources.append(LossySource(args[-1]))
        return sources[-1]

    monkeypatch.setattr("reactor_sensors.files.hint_source", lossy)
    async with watching(tmp_path) as intake:
        await asyncio.sleep(1)
        (tmp_path / "inbox" / "folder").mkdir()
        publish(tmp_path / "inbox" / "folder" / "a")
        loop = asyncio.get_running_loop()
        before = loop.time()
        sources[0].deliver([Hint(HintKind.SEEN, "folder")])
        await intake.wait_for_events(1)
        assert loop.time() == before


class LossySource(NoHints):
    """Says nothing of files; the test makes it say that it lost something."""

    is_deaf = False

    def __init__(self, deliver: Callable[[Sequence[Hint]], None]) -> None:
        self.deliver = deliver


@in_virtual_time
async def test_an_overflow_of_hints_brings_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: list[LossySource] = []

    def lossy(*args: Any) -> LossySource:
        sources.append(LossySource(args[-1]))
        return sources[-1]

    monkeypatch.setattr("reactor_sensors.files.hint_source", lossy)
    async with watching(tmp_path) as intake:
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        for number in range(500):
            (tmp_path / "inbox" / f"{number}").write_text("x")
        before = loop.time()
        sources[0].deliver([Hint(HintKind.LOST, why="overflow")])
        await intake.wait_for_events(500)
        assert loop.time() - before <= 2


@in_virtual_time
async def test_too_many_hints_become_one_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_files_watch, "MOST_HINTS", 10)
    async with watching(tmp_path) as intake:
        for number in range(500):
            (tmp_path / "inbox" / f"{number}").write_text("x")
        await intake.wait_for_events(500)
    assert intake.duplicates == 0


@in_virtual_time
async def test_a_watcher_that_cannot_start_leaves_the_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(NoHints):
        def start(self) -> None:
            raise OSError(24, "Too many open files")

    monkeypatch.setattr("reactor_sensors.files.hint_source", lambda *_: Broken())
    async with watching(tmp_path) as intake:
        publish(tmp_path / "inbox" / "a")
        await intake.wait_for_events(1)
    assert "watcher cannot start" in caplog.text


@in_virtual_time
async def test_an_unreadable_folder_is_named_once_and_the_rest_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = _files_tree._below

    def refusing(root: int, folder: str) -> contextlib.AbstractContextManager[int]:
        if folder == "locked":  # root reads every folder, so permissions would not do
            raise PermissionError(errno.EACCES, "Permission denied")
        return below(root, folder)

    monkeypatch.setattr(_files_tree, "_below", refusing)
    (tmp_path / "inbox" / "locked").mkdir(parents=True)
    async with watching(tmp_path) as intake:
        publish(tmp_path / "inbox" / "a")
        await intake.wait_for_events(1)
        await asyncio.sleep(200)
    assert caplog.text.count("folder cannot be read") == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"pattern": ""}, "inbox/*.csv"),
        ({"pattern": "inbox/[a.csv"}, "is not closed"),
        ({"pattern": "inbox/**x/*.csv"}, "stands alone"),
        ({"pattern": "inbox/*/../x"}, "before the first wildcard"),
        ({"pattern": "a", "ready": "open"}, '"closed", "renamed"'),
        ({"pattern": "a", "ready": "stable:soon"}, "is not a duration"),
        ({"pattern": "a", "ready": "marker:a/b"}, "is not a suffix"),
        ({"pattern": "a", "exclude": ["../x"]}, "below the root"),
        ({"pattern": "a", "rescan": "0s"}, '"10ms" or longer'),
        ({"pattern": "a", "watcher": "magic"}, "watcher"),
        ({"pattern": "a", "readyy": "closed"}, "did you mean 'ready'"),
        ({}, "pattern"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(DefinitionError, match=expected.replace("*", r"\*")):
        Files(**options)


def test_a_long_pattern_still_makes_a_short_name() -> None:
    assert len(Files("x" * 1000 + "/*.csv").sensor_name) <= 200
