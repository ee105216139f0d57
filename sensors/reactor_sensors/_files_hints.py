"""Who tells that something happened, so that a scan need not find it. Hints may be late, doubled or
lost.

What is lost is found by the next scan; a source that knows that it lost something says so with
LOST.
"""

from __future__ import annotations

import enum
import errno
import os
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from reactor_sensors._files_mounts import is_remote

if sys.platform == "linux":
    from reactor_sensors import _files_linux as linux

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence

    from watchfiles._rust_notify import RustNotify

Watcher = Literal["auto", "inotify", "watchfiles", "poll"]


class HintKind(enum.IntEnum):
    """What is said to have happened to a path."""

    TOUCHED = -1  # its times, owner or mode were set; perhaps it was deleted
    SEEN = 0  # it is there or has changed; perhaps it is a folder
    CLOSED = 1  # a writer closed it
    MOVED = 2  # it came by rename
    FOLDER = 3  # a folder came; what is in it may have been missed
    LOST = 4  # anything may have been missed, anywhere
    DEAF = 5  # a folder cannot be watched; only scans will find what comes there


class Hint(NamedTuple):
    """`path` is relative to the root and decoded by `os.fsdecode`; "" for LOST. `why` goes with
    DEAF and LOST.
    """

    kind: HintKind
    path: str = ""
    why: str = ""


# Its own constructor is a call of Python.
_hint: Callable[[Iterable[Any]], Hint] = partial(tuple.__new__, Hint)

Deliver = "Callable[[Sequence[Hint]], None]"


class HintSource(Protocol):
    """One watcher over one root. `deliver` is called on the event loop, with hints in the order of
    events.
    """

    is_deaf: bool

    def start(self) -> None:
        """Begin. Called on the loop. Raises OSError when it cannot."""
        ...

    def watch(self, folder: str, descriptor: int) -> None:
        """Watch one open folder. Called in the scanning thread, before the folder is listed; never
        raises.
        """
        ...

    def close(self) -> None:
        """End; nothing is delivered afterwards. May be repeated."""
        ...


class NoHints:
    """Stands where scans do all the work."""

    is_deaf = True

    def start(self) -> None: ...

    def watch(self, folder: str, descriptor: int) -> None: ...

    def close(self) -> None: ...


def hint_source(
    watcher: Watcher,
    root: str,
    loop: asyncio.AbstractEventLoop,
    deliver: Callable[[Sequence[Hint]], None],
) -> HintSource:
    """Return the source that an option names. May read mount tables: call it in a thread.

    "auto" takes inotify on Linux and watchfiles elsewhere; on a network file system it takes none,
    because neither hears what other machines do.
    """
    if watcher == "poll" or (watcher == "auto" and is_remote(root)):
        return NoHints()
    if sys.platform == "linux" and watcher in ("auto", "inotify"):
        return InotifyHints(loop, deliver)
    return WatchfilesHints(root, loop, deliver)


if sys.platform == "linux":
    _WATCHED = (
        linux.IN_CLOSE_WRITE
        | linux.IN_MOVED_TO
        | linux.IN_CREATE
        | linux.IN_ATTRIB
        | linux.IN_DELETE_SELF
        | linux.IN_MOVE_SELF
        | linux.IN_ONLYDIR
    )
    _SELF = linux.IN_DELETE_SELF | linux.IN_MOVE_SELF | linux.IN_UNMOUNT
    # So much at a time: hundreds of events, then the loop sees to everything else.
    _READ_BYTES = 16 * 1024

    class InotifyHints:
        """inotify(7): knows when a writer closes a file, and when its own queue overflowed."""

        def __init__(
            self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Sequence[Hint]], None]
        ) -> None:
            self.is_deaf = False
            self._loop = loop
            self._deliver = deliver
            self._queue: int | None = None
            self._folders: dict[
                int, str
            ] = {}  # by watch descriptor; the kernel does not reuse them

        def start(self) -> None:
            self._queue = linux.open_inotify()
            self._loop.add_reader(self._queue, self._read)

        def watch(self, folder: str, descriptor: int) -> None:
            queue = self._queue
            if queue is None:
                return
            try:
                # Through the descriptor: the path may lead elsewhere by now.
                watch = linux.add_watch(queue, f"/proc/self/fd/{descriptor}", _WATCHED)
            except OSError as error:
                self._say_deaf(folder, error)
                return
            # Again for a folder that was moved: it keeps its watch and has another path.
            self._folders[watch] = folder

        def close(self) -> None:
            queue, self._queue = self._queue, None
            if queue is not None:
                self._loop.remove_reader(queue)
                os.close(queue)

        def _say_deaf(self, folder: str, error: OSError) -> None:
            if error.errno in (errno.ENOENT, errno.ENOTDIR) or self._queue is None:
                return
            why = str(error.strerror)
            if error.errno == errno.ENOSPC:
                why = (
                    "the limit of watches is reached; raise the sysctl fs.inotify.max_user_watches"
                )
            self._loop.call_soon_threadsafe(self._deliver, [Hint(HintKind.DEAF, folder, why)])

        def _read(self) -> None:
            if self._queue is None:
                return
            try:
                data = os.read(self._queue, _READ_BYTES)
            except BlockingIOError:
                return
            # What is left in the queue makes its descriptor readable again.
            hints = []
            for event in linux.events_in(data):
                hint = self._hint_of(*event)
                if hint is not None:
                    hints.append(hint)
            if hints:
                self._deliver(hints)

        def _hint_of(self, watch: int, mask: int, name: bytes) -> Hint | None:
            if not name:
                return self._hint_without_name(watch, mask)
            folder = self._folders.get(watch)
            if folder is None:
                # Between the kernel's watch and our note of it; the listing comes after both.
                return None
            path = os.fsdecode(name)
            if folder:
                path = f"{folder}/{path}"
            is_touched = mask & linux.IN_ATTRIB
            if mask & linux.IN_ISDIR:
                return None if is_touched else Hint(HintKind.FOLDER, path)
            if is_touched:
                kind = HintKind.TOUCHED
            elif mask & linux.IN_CLOSE_WRITE:
                kind = HintKind.CLOSED
            else:
                kind = HintKind.MOVED if mask & linux.IN_MOVED_TO else HintKind.SEEN
            return _hint((kind, path, ""))

        def _hint_without_name(self, watch: int, mask: int) -> Hint | None:
            """Of the queue, or of a watched folder itself."""
            if mask & linux.IN_Q_OVERFLOW:
                return Hint(HintKind.LOST, why="the queue of inotify overflowed")
            folder = self._folders.get(watch)
            if folder is None or not mask & (_SELF | linux.IN_IGNORED):
                return None
            if mask & linux.IN_IGNORED:
                self._folders.pop(watch, None)
            if folder:
                return None
            return Hint(HintKind.LOST, why="the folder itself was moved or deleted")


class WatchfilesHints:
    """watchfiles: every platform; no close event, no word of an overflow, and one undecodable name
    ends it.

    Then it is started again, after a LOST.
    """

    _GATHER_MS = 50
    _STEP_MS = 25
    _TIMEOUT_MS = 1000
    _DELETED = 3

    def __init__(
        self, root: str, loop: asyncio.AbstractEventLoop, deliver: Callable[[Sequence[Hint]], None]
    ) -> None:
        self.is_deaf = False
        self._root = os.path.realpath(root)
        self._loop = loop
        self._deliver = deliver
        self._stop = threading.Event()

    def start(self) -> None:
        notify = self._open()
        threading.Thread(
            target=self._listen, args=(notify,), name="files hints", daemon=True
        ).start()

    def watch(self, folder: str, descriptor: int) -> None:
        """Do nothing: it finds new folders by itself, though not at once."""

    def close(self) -> None:
        self._stop.set()

    def _open(self) -> RustNotify:
        # Where inotify does the work, its time at start and its memory are saved.
        from watchfiles._rust_notify import RustNotify

        return RustNotify([self._root], False, False, 300, True, True)

    def _listen(self, notify: RustNotify) -> None:
        from watchfiles._rust_notify import WatchfilesRustInternalError

        while not self._stop.is_set():
            try:
                with notify:
                    self._pass_on(notify)
            except (WatchfilesRustInternalError, OSError) as error:
                self._tell([Hint(HintKind.LOST, why=f"watchfiles: {error}")])
            # It stops at each name that it cannot decode; not so often that scans would fill the
            # day.
            if self._stop.wait(1.0):
                return
            try:
                notify = self._open()
            except (WatchfilesRustInternalError, OSError):
                continue  # the root is gone; the sensor's own look at it will say so
            self._tell([Hint(HintKind.LOST, why="watchfiles was started again")])

    def _pass_on(self, notify: RustNotify) -> None:
        while not self._stop.is_set():
            changes = notify.watch(self._GATHER_MS, self._STEP_MS, self._TIMEOUT_MS, self._stop)
            if isinstance(changes, str):
                continue
            paths = [path for change, path in changes if change != self._DELETED]
            self._tell([Hint(HintKind.SEEN, self._relative(path)) for path in paths])
            if any(change == self._DELETED and path == self._root for change, path in changes):
                self._tell([Hint(HintKind.LOST, why="the folder itself was deleted")])

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self._root) if path != self._root else ""

    def _tell(self, hints: Sequence[Hint]) -> None:
        if not self._stop.is_set() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrive, hints)

    def _arrive(self, hints: Sequence[Hint]) -> None:
        if not self._stop.is_set():
            self._deliver(hints)
