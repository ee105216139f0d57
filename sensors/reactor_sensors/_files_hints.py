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
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from reactor_sensors._files_mounts import is_remote

if sys.platform == "linux":
    from asyncinotify import Event as InotifyEvent
    from asyncinotify import Inotify, Mask

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

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
        Mask.CLOSE_WRITE
        | Mask.MOVED_TO
        | Mask.CREATE
        | Mask.ATTRIB
        | Mask.DELETE_SELF
        | Mask.MOVE_SELF
        | Mask.ONLYDIR
    )
    # Tested as plain numbers: operators of IntFlag take microseconds each.
    _IS_FOLDER, _OVERFLOW, _IGNORED = int(Mask.ISDIR), int(Mask.Q_OVERFLOW), int(Mask.IGNORED)
    _CLOSED, _MOVED = int(Mask.CLOSE_WRITE), int(Mask.MOVED_TO)
    _TOUCHED = int(Mask.ATTRIB)
    _SELF = int(Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.UNMOUNT)
    _EVENTS_PER_READ = 64
    _EVENTS_PER_TURN = 4096

    class InotifyHints:
        """inotify(7): knows when a writer closes a file, and when its own queue overflowed."""

        def __init__(
            self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Sequence[Hint]], None]
        ) -> None:
            self.is_deaf = False
            self._loop = loop
            self._deliver = deliver
            self._inotify: Inotify | None = None
            self._folders: dict[
                int, str
            ] = {}  # by watch descriptor; the kernel does not reuse them

        def start(self) -> None:
            # Its own NONBLOCK flag is misspelt as CLOEXEC (asyncinotify 4.4.4), hence the plain
            # numbers.
            flags = os.O_CLOEXEC | os.O_NONBLOCK
            inotify = Inotify(flags=flags, cache_size=_EVENTS_PER_READ, sync_timeout=0)  # type: ignore[arg-type]  # see above
            self._inotify = inotify
            self._loop.add_reader(inotify.fd, self._read)

        def watch(self, folder: str, descriptor: int) -> None:
            inotify = self._inotify
            if inotify is None:
                return
            try:
                # Through the descriptor: the path may lead elsewhere by now.
                watch = inotify.add_watch(f"/proc/self/fd/{descriptor}", _WATCHED)
            except ValueError:
                return  # closed meanwhile
            except OSError as error:
                self._say_deaf(folder, error)
                return
            # Again for a folder that was moved: it keeps its watch and has another path.
            self._folders[watch.wd] = folder

        def close(self) -> None:
            inotify, self._inotify = self._inotify, None
            if inotify is not None:
                self._loop.remove_reader(inotify.fd)
                inotify.close()

        def _say_deaf(self, folder: str, error: OSError) -> None:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return
            why = str(error.strerror)
            if error.errno == errno.ENOSPC:
                why = (
                    "the limit of watches is reached; raise the sysctl fs.inotify.max_user_watches"
                )
            self._loop.call_soon_threadsafe(self._deliver, [Hint(HintKind.DEAF, folder, why)])

        def _read(self) -> None:
            inotify = self._inotify
            hints: list[Hint] = []
            for _ in range(_EVENTS_PER_TURN):
                event = inotify.sync_get() if inotify is not None else None
                if event is None:
                    break
                hint = self._hint(event)
                if hint is not None:
                    hints.append(hint)
            else:
                # What it has read ahead does not make the descriptor readable again.
                self._loop.call_soon(self._read)
            if hints:
                self._deliver(hints)

        def _hint(self, event: InotifyEvent) -> Hint | None:
            mask = int(event.mask)
            if mask & _OVERFLOW:
                return Hint(HintKind.LOST, why="the queue of inotify overflowed")
            watch = event.watch
            folder = self._folders.get(watch.wd) if watch is not None else None
            if watch is None or folder is None:
                # Between the kernel's watch and our note of it; the listing comes after both.
                return None
            if mask & (_SELF | _IGNORED):
                if mask & _IGNORED:
                    self._folders.pop(watch.wd, None)
                return (
                    Hint(HintKind.LOST, why="the folder itself was moved or deleted")
                    if not folder
                    else None
                )
            if event.name is None:
                return None
            path = f"{folder}/{event.name}" if folder else str(event.name)
            if mask & _IS_FOLDER:
                return None if mask & _TOUCHED else Hint(HintKind.FOLDER, path)
            if mask & _TOUCHED:
                return Hint(HintKind.TOUCHED, path)
            if mask & _CLOSED:
                return Hint(HintKind.CLOSED, path)
            return Hint(HintKind.MOVED if mask & _MOVED else HintKind.SEEN, path)


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
        return RustNotify([self._root], False, False, 300, True, True)

    def _listen(self, notify: RustNotify) -> None:
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
