"""The least that an accepted webhook could cost: a raw ASGI application on uvicorn, one row, one group commit.

It checks nothing: no signature, no duplicate, no limit, no workflow.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from benchmarks.group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from multiprocessing.connection import Connection

    Message = MutableMapping[str, Any]
    Application = Callable[
        [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
        Awaitable[None],
    ]

_SCHEMA = "CREATE TABLE delivery (seq INTEGER PRIMARY KEY, data BLOB, at REAL)"
_INSERT = "INSERT INTO delivery (data, at) VALUES (?, ?)"


def serve(directory: str, ready: Connection[object, object]) -> None:
    """Serve on a free port of 127.0.0.1, send its address through `ready`, and go on until killed."""
    uvloop.run(_serve(Path(directory), ready))


async def _serve(directory: Path, ready: Connection[object, object]) -> None:
    writer = GroupCommit(directory / "bare.db", _SCHEMA)
    config = uvicorn.Config(
        _application(writer),
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
    # Otherwise it would import while the first request waits.
    config.load()
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # A client that comes before uvicorn listens waits in the backlog.
        ready.send(listener.getsockname())
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run(), name="group commit")
            group.create_task(server.serve(sockets=[listener]), name="uvicorn")


def _application(writer: GroupCommit) -> Application:
    async def application(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        writer.put(_INSERT, (body, time.time()))
        await writer.durable()
        answer = json.dumps({"id": "1", "duplicate": False}).encode()
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return application
