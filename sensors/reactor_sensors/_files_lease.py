"""Whether anybody has a file open for writing, asked from the kernel."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys


def version_when_unwritten(descriptor: int) -> tuple[bool | None, os.stat_result]:
    """Return whether the file is open for writing (None: the system cannot say), and its state at
    that moment.

    A read lease (fcntl(2), F_SETLEASE) is granted only while nobody has the file open for writing,
    and only for one's own files or with CAP_LEASE. A writer that opens the file meanwhile waits the
    few microseconds until the lease is given back; with O_NONBLOCK it gets EAGAIN.
    """
    if sys.platform != "linux":
        return None, os.fstat(descriptor)
    try:
        # The kernel tells the holder that a writer waits, by default with SIGIO, which would end
        # the process. SIGURG is ignored unless somebody asked for it.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return (True if error.errno == errno.EAGAIN else None), os.fstat(descriptor)
    try:
        return False, os.fstat(descriptor)
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
