"""An endpoint that does the least that a durable answer needs: what it takes is what the machine takes.

`python bare.py FILE` prints its port. Each body is appended to the file, synced in a thread, as a daemon does it, and
answered with 202. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import sys

ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


async def main(path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def keep(body: bytes) -> None:
        os.write(file, body)
        os.fdatasync(file)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await asyncio.to_thread(keep, await reader.readexactly(int(length)))
                writer.write(ANSWER)
        except asyncio.IncompleteReadError:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
