"""What kind of file system a path is on: whether the kernel of this machine sees every change of
it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_REMOTE = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse", "gfs2", "glusterfs", "lustre", "ncpfs",
        "nfs", "nfs4", "ocfs2", "orangefs", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
    }
)  # fmt: skip
_MOUNTS = Path("/proc/self/mountinfo")


def is_remote(path: str) -> bool:
    """Return whether others may change files at `path` unseen by this kernel. False where it cannot
    be told.

    There inotify is silent about the others, and a lease is refused for want of a delegation, which
    looks as if somebody were writing (NFSv4, SMB).
    """
    if sys.platform != "linux":
        return False
    try:
        mounts = _MOUNTS.read_bytes()
    except OSError:
        return False
    kind = file_system_of(os.path.realpath(path), os.fsdecode(mounts))
    return kind in _REMOTE or kind.startswith("fuse.")


def file_system_of(path: str, mountinfo: str) -> str:
    """Return the type of the file system that holds an absolute path; see proc(5) for the format."""
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, types = left.split(" "), right.split(" ")
        if len(fields) < 5:
            continue
        point = _unescape(fields[4])
        is_above = point == "/" or path == point or path.startswith(point + "/")
        if (
            is_above and len(point) >= best
        ):  # of two mounts on one point the later hides the earlier
            best, kind = len(point), types[0]
    return kind


def _unescape(text: str) -> str:
    for code, char in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        text = text.replace(code, char)
    return text
