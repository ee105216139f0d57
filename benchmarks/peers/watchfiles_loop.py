"""watchfiles, the loop of its documentation: names added below a folder, as they come. Nothing is kept.

Prints "ready", then sends "NAME NANOSECONDS" (CLOCK_MONOTONIC) to a datagram socket for each name that was not seen
before; with a count it sends once, when so many were seen. Never returns. Arguments: folder, socket, step in
milliseconds (watchfiles' own default is 50), count or 0. Runs in an environment of its own (watchfiles.txt), so it
imports nothing of Reactor. Source: https://watchfiles.helpmanual.io/api/watch/
"""

import asyncio
import os
import socket
import sys
import time

from watchfiles import Change, awatch

folder, receiver, step, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


async def tell_arrivals() -> None:
    """Tell of every name once."""
    seen = set()
    is_ready = False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(receiver)
        # The watch is in place only once the iteration has begun, and nothing says when: its first answer, an empty
        # set after a timeout, does.
        async for changes in awatch(folder, step=step, rust_timeout=100, yield_on_timeout=True):
            now = time.monotonic_ns()
            if not changes and not is_ready:
                is_ready = True
                print("ready", flush=True)
            for change, path in changes:
                name = os.path.basename(path)
                if change is not Change.added or name in seen:
                    continue
                seen.add(name)
                if not count:
                    sender.send(f"{name} {now}".encode())
                elif len(seen) == count:
                    sender.send(f"all {time.monotonic_ns()}".encode())


asyncio.run(tell_arrivals())
