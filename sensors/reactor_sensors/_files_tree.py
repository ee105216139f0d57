"""The watched folder on disk: listing, looking and asking what is gone. Every call blocks; run them
in a thread; only `look_at_hand` does not.

Every folder is opened below its parent's descriptor with O_NOFOLLOW, so that a symlink swapped in
leads nowhere, and nothing stays open between calls, so that the file system can be unmounted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from reactor.api import monotonic
from reactor_sensors._files_glob import Glob, join, parts_of
from reactor_sensors._files_lease import version_when_unwritten
from reactor_sensors._files_ledger import Ledger, Observation, Version, key_of
from reactor_sensors._files_mounts import is_remote

if sys.platform == "linux":
    from reactor_sensors._files_linux import cached_status, open_cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SLICE_FILES = 256
SLICE_SECONDS = 0.05
DEEPEST = 100
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
# What a file system says that is no longer there, or whose server is not.
_BROKEN = frozenset(
    {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN}
)


class RootLostError(Exception):
    """The watched folder is missing, unreadable, broken, or no longer the one that was opened."""


class Folder(NamedTuple):
    """What `look` found where a hint expected a file: a folder that has to be listed."""

    path: str


@dataclass(slots=True)
class Slice:
    """A part of a scan: files that the ledger does not know, and what could not be listed or was
    left out.

    `restamped` are new ledger rows of known files whose folder has another device number than
    before.
    """

    found: list[Observation] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    restamped: dict[str, bytes] = field(default_factory=dict)
    is_last: bool = False


class Tree:
    """A root folder and the files below it that a glob means."""

    def __init__(self, root: str, glob: Glob, ledger: Ledger, *, suffix: str = "") -> None:
        self.root = root
        self._glob = glob
        self._ledger = ledger
        self._suffix = suffix
        self._identity: tuple[int, int] | None = None
        self._remote: dict[int, bool] = {}
        self._slice = Slice()

    def find_root(self) -> None:
        """Watch the folder that is now at the root's path. Raises RootLostError."""
        self._identity = None
        with self._opened_root() as descriptor:
            status = os.fstat(descriptor)
            self._identity = (status.st_dev, status.st_ino)
            self._remote.clear()

    def check_root(self, on_folder: Callable[[str, int], None] | None = None) -> None:
        """Raise RootLostError unless the root is still the folder that `find_root` found."""
        with self._opened_root() as descriptor:
            if on_folder is not None:
                on_folder("", descriptor)

    def scan(
        self, starts: Sequence[str], on_folder: Callable[[str, int], None], seen: set[str] | None
    ) -> Scan:
        """Return a scan of the folders `starts` and all below; `seen` collects the ledger key of
        every file.
        """
        return Scan(self._slices(starts, on_folder, seen))

    def look_at_hand(
        self, paths: Sequence[str]
    ) -> tuple[list[Observation | Folder], Sequence[str]]:
        """Do what `look` does where that need not wait; return also the paths that are left for `look`.

        It need not where the kernel has all of the way in memory, as it has of a file that was just closed or renamed,
        where no mount lies on that way, and where a thread has found that this is no network file system.
        """
        found: list[Observation | Folder] = []
        identity = self._identity
        if (
            sys.platform != "linux"
            or identity is None
            or self._remote.get(identity[0]) is not False
        ):
            return found, paths
        root = open_cached(self.root)
        if root is None:
            return found, paths
        left = []
        try:
            status = os.fstat(root)
            if identity != (status.st_dev, status.st_ino):
                return found, paths
            for path in paths:
                try:
                    thing = self._look_at_cached(root, path, status.st_dev)
                except OSError:
                    # It is gone, or not cached: a thread may find out.
                    left.append(path)
                    continue
                if thing is not None:
                    found.append(thing)
        finally:
            os.close(root)
        return found, left

    def look(self, paths: Sequence[str]) -> list[Observation | Folder]:
        """Return what is at these paths now, in their order, without what does not matter. Raises
        RootLostError.
        """
        found: list[Observation | Folder] = []
        with self._opened_root() as root, contextlib.ExitStack() as stack:
            opened: tuple[str, int] | None = None
            for path in paths:
                folder, _, name = path.rpartition("/")
                try:
                    if opened is None or opened[0] != folder:
                        stack.close()
                        opened = None
                        opened = (folder, stack.enter_context(_below(root, folder)))
                    status = os.stat(name, dir_fd=opened[1], follow_symlinks=False)
                    thing = self._look_at(path, name, opened[1], status)
                except OSError as error:
                    _raise_if_broken(error)
                    continue
                if thing is not None:
                    found.append(thing)
        return found

    def gone(self, keys: Sequence[tuple[str, str]]) -> list[str]:
        """Return the ledger keys, of pairs (key, path), whose files were deleted. Raises
        RootLostError.
        """
        gone = []
        with self._opened_root() as root:
            for key, path in keys:
                device = _device_without(root, path)
                if device is not None and self._ledger.is_gone(key, device):
                    gone.append(key)
        return gone

    @contextlib.contextmanager
    def _opened_root(self) -> Iterator[int]:
        try:
            descriptor = os.open(self.root, _FOLDER)
        except OSError as error:
            raise RootLostError(f"{error.strerror}: the folder cannot be opened") from None
        try:
            status = os.fstat(descriptor)
            if self._identity not in (None, (status.st_dev, status.st_ino)):
                raise RootLostError("another folder has taken its place")
            yield descriptor
        finally:
            os.close(descriptor)

    def _slices(
        self, starts: Sequence[str], on_folder: Callable[[str, int], None], seen: set[str] | None
    ) -> Iterator[Slice]:
        due = self._begin_slice()
        with self._opened_root() as root:
            todo = [path for path in starts if self._glob.states_of(parts_of(path)) is not None]
            while todo:
                folder = todo.pop()
                try:
                    with _below(root, folder) as descriptor:
                        # The watch comes before the listing: a file made in between is in one of
                        # them.
                        on_folder(folder, descriptor)
                        for thing in self._listed(folder, descriptor, seen):
                            if isinstance(thing, Folder):
                                todo.append(thing.path)
                            elif thing is not None:
                                self._slice.found.append(thing)
                            if len(self._slice.found) >= SLICE_FILES or monotonic() >= due:
                                yield self._slice
                                due = self._begin_slice()
                except OSError as error:
                    _raise_if_broken(error)
                    if error.errno not in _ABSENT:
                        self._slice.unreadable.append((folder, error.strerror or str(error)))
                    if not folder:
                        raise RootLostError(
                            f"{error.strerror}: the folder cannot be listed"
                        ) from None
        self._slice.is_last = True
        yield self._slice

    def _begin_slice(self) -> float:
        self._slice = Slice()
        return monotonic() + SLICE_SECONDS

    def _listed(
        self, folder: str, descriptor: int, seen: set[str] | None
    ) -> Iterator[Observation | Folder | None]:
        parts = parts_of(folder)
        states = self._glob.states_of(parts)
        assert states is not None, "only folders that can hold matches are listed"
        device = os.fstat(descriptor).st_dev
        with os.scandir(descriptor) as entries:
            for entry in entries:
                name = entry.name
                thing: Observation | Folder | None = None
                try:
                    if entry.is_dir(follow_symlinks=False):
                        thing = self._folder(join(folder, name), [*parts, name])
                    elif self._glob.is_file(states, name) and not self._is_left_out(parts, name):
                        thing = self._listed_file(folder, entry, descriptor, device, seen)
                except OSError as error:
                    _raise_if_broken(error)
                yield thing

    def _listed_file(
        self,
        folder: str,
        entry: os.DirEntry[str],
        descriptor: int,
        device: int,
        seen: set[str] | None,
    ) -> Observation | None:
        path = join(folder, entry.name)
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            self._ignore(path, status.st_mode)
            return None
        if seen is not None:
            seen.add(key_of(path))
        version = Version.of(status)
        if self._ledger.knows(path, version):
            self._slice.restamped.update(self._ledger.restamped(path, version, device))
            return None
        return self._observe(path, entry.name, descriptor, device)

    def _look_at_cached(self, root: int, path: str, device: int) -> Observation | Folder | None:
        """Look at what is at `path` below `root`, which lies on `device`. Raises OSError where that is not cached."""
        assert sys.platform == "linux"
        folder, _, name = path.rpartition("/")
        descriptor = open_cached(folder, below=root) if folder else root
        if descriptor is None:
            raise BlockingIOError
        try:
            status = cached_status(descriptor, name)
            if status is None:
                raise BlockingIOError
            # A folder below may have another one without a mount in between.
            return self._look_at(path, name, descriptor, status, None if folder else device)
        finally:
            if descriptor != root:
                os.close(descriptor)

    def _look_at(
        self,
        path: str,
        name: str,
        folder: int,
        status: os.stat_result,
        device: int | None = None,
    ) -> Observation | Folder | None:
        """Look at a name in an open folder, which is asked for its `device` where that is not known."""
        if stat.S_ISDIR(status.st_mode):
            return self._folder(path, path.split("/"))
        if (self._suffix and self._is_marker(name)) or not self._glob.matches(path.split("/")):
            return None
        if not stat.S_ISREG(status.st_mode):
            self._ignore(path, status.st_mode)
            return None
        if self._ledger.knows(path, Version.of(status)):
            return None
        if device is None:
            device = os.fstat(folder).st_dev
        return self._observe(path, name, folder, device)

    def _folder(self, path: str, parts: list[str]) -> Folder | None:
        if len(parts) > DEEPEST:
            self._slice.unreadable.append((path, f"it is deeper than {DEEPEST} folders"))
            return None
        return Folder(path) if self._glob.states_of(parts) is not None else None

    def _observe(self, path: str, name: str, folder: int, device: int) -> Observation | None:
        # The marker first: a writer that starts anew after this is seen by the lease.
        marked = self._marker_ctime_ns(name, folder) if self._suffix else None
        try:
            descriptor = os.open(name, _FILE, dir_fd=folder)
        except PermissionError:
            # Not ours to read. The step will say so; silence would hide the file.
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            return Observation(path, Version.of(status), device, None, marked)
        try:
            is_remote = self._remote.get(device)
            if is_remote is None:
                is_remote = self._ask_whether_remote(device, path)
            if is_remote:
                is_written, status = None, os.fstat(descriptor)
            else:
                is_written, status = version_when_unwritten(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            return Observation(path, Version.of(status), device, is_written, marked)
        finally:
            os.close(descriptor)

    def _marker_ctime_ns(self, name: str, folder: int) -> int | None:
        try:
            status = os.stat(name + self._suffix, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            _raise_if_broken(error)
            return None
        return status.st_ctime_ns if stat.S_ISREG(status.st_mode) else None

    def _is_marker(self, name: str) -> bool:
        return bool(self._suffix) and name.endswith(self._suffix)

    def _is_left_out(self, folders: list[str], name: str) -> bool:
        return self._is_marker(name) or self._glob.excludes([*folders, name])

    def _ask_whether_remote(self, device: int, path: str) -> bool:
        folder = os.path.dirname(os.path.join(self.root, path))
        return self._remote.setdefault(device, is_remote(folder))

    def _ignore(self, path: str, mode: int) -> None:
        if len(self._slice.ignored) < SLICE_FILES:
            self._slice.ignored.append((path, f"not a regular file ({stat.filemode(mode)})"))


class Scan:
    """A scan under way, taken slice by slice; each `next_slice` may run in another thread than the
    last.
    """

    def __init__(self, slices: Iterator[Slice]) -> None:
        self._slices = slices

    def next_slice(self) -> Slice:
        """Return the next slice; there is none after `is_last`. Raises RootLostError."""
        return next(self._slices)


@contextlib.contextmanager
def _below(root: int, folder: str) -> Iterator[int]:
    """Open a folder below `root`, component by component, following no symlink."""
    descriptor = os.open(".", _FOLDER, dir_fd=root)
    try:
        for name in parts_of(folder):
            deeper = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def _device_without(root: int, path: str) -> int | None:
    """Return the device of the deepest folder of `path` still there, or None when the path exists
    or cannot be judged.
    """
    *folders, name = parts_of(path)
    descriptor = os.open(".", _FOLDER, dir_fd=root)
    try:
        for folder in folders:
            deeper = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError as error:
        _raise_if_broken(error)
        return os.fstat(descriptor).st_dev if error.errno in _ABSENT else None
    finally:
        os.close(descriptor)
    return None


def _raise_if_broken(error: OSError) -> None:
    if error.errno in _BROKEN:
        raise RootLostError(f"{error.strerror}: the file system does not answer") from error
