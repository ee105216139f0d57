"""Starlette on uvicorn, one row and one group commit per delivery: the raw ASGI application with a framework around it.

Prints "HOST PORT", then serves until killed. Argument: a directory for the database. It checks nothing: no signature,
no duplicate, no limit, no workflow. Runs in an environment of its own (starlette.txt); of this repository it takes only
the group commit, which is the same for all. Source: https://www.starlette.io/, https://www.uvicorn.org/settings/
"""

import asyncio
import contextlib
import socket
import sys
import time
from pathlib import Path

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.group_commit import GroupCommit

SCHEMA = "CREATE TABLE delivery (seq INTEGER PRIMARY KEY, data BLOB, at REAL)"
INSERT = "INSERT INTO delivery (data, at) VALUES (?, ?)"


async def take(request: Request) -> JSONResponse:
    """Answer 202 once the body is on disk."""
    writer: GroupCommit = request.app.state.writer
    writer.put(INSERT, (await request.body(), time.time()))
    await writer.durable()
    return JSONResponse({"id": "1", "duplicate": False}, status_code=202)


@contextlib.asynccontextmanager
async def lifespan(application: Starlette):
    """Commit while the application runs."""
    application.state.writer = GroupCommit(Path(sys.argv[1]) / "starlette.db", SCHEMA)
    committing = asyncio.create_task(application.state.writer.run(), name="group commit")
    # All is imported by now; a client that comes before uvicorn listens waits in the backlog.
    print(*application.state.address, flush=True)
    yield
    committing.cancel()


async def serve() -> None:
    """Serve on a free port of 127.0.0.1."""
    application = Starlette(routes=[Route("/hook", take, methods=["POST"])], lifespan=lifespan)
    config = uvicorn.Config(application, http="httptools", access_log=False, log_level="warning")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        application.state.address = listener.getsockname()
        await uvicorn.Server(config).serve(sockets=[listener])


uvloop.run(serve())
