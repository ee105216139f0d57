"""A schema registry in memory on a real socket, for tests of what asks one.

It speaks what readers need of the REST interface of Confluent's:
https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    Answer = tuple[int, bytes]


class SchemaRegistry:
    """Open it with `async with`; `stop` and `start` take it down and bring it back at the same address.

    `asked` holds the paths asked for, in order, and `headers` those of the last question. `misbehave` makes answers
    others; `authorization`, when set, is the header without which it answers 401.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.authorization: str | None = None
        self._tls = tls
        self._port = 0
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[Any]] = set()
        self._newest = 0
        self._schemas: dict[str, dict[str, Any]] = {}
        self._misbehaviour: Callable[[str], Answer | None] | None = None
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, at the address of before."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and break those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    def register(
        self,
        schema: Any,
        *,
        kind: str = "AVRO",
        references: Sequence[tuple[str, str]] = (),
        subject: str = "",
        number: int | None = None,
    ) -> int:
        """Keep a schema and return its id: its text as it is, or what is to become JSON.

        `references` are (name, subject) pairs; it is version 1 of its own `subject`.
        """
        self._newest = number = self._newest + 1 if number is None else number
        answer: dict[str, Any] = {
            "schema": schema if isinstance(schema, str) else orjson.dumps(schema).decode()
        }
        if kind != "AVRO":
            answer["schemaType"] = kind
        if references:
            answer["references"] = [
                {"name": name, "subject": referred, "version": 1} for name, referred in references
            ]
        self._schemas[f"/schemas/ids/{number}"] = answer
        self._schemas[f"/schemas/guids/{self.guid(number)}"] = answer
        self._schemas[f"/subjects/{subject or number}/versions/1"] = answer
        return number

    def guid(self, number: int) -> uuid.UUID:
        """Return the GUID of a schema by its id."""
        return uuid.uuid5(uuid.NAMESPACE_URL, f"schema:{number}")

    def misbehave(self, how: Callable[[str], Answer | None] | None) -> None:
        """Answer each path with what `how` returns, status and body, and as usual where that is None."""
        self._misbehaviour = how

    async def wait_until_asked(self, count: int) -> None:
        """Return once so many questions were asked."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.asked) >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            # Cancelled by `stop`: asyncio 3.11 reports a connection's task that ends so as a failure.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                    status, body = await self._answer(head)
                    writer.write(_response(status, body))
                    await writer.drain()
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def _answer(self, head: str) -> Answer:
        first, *lines = head.strip().split("\r\n")
        path = first.split(" ")[1]
        self.headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        async with self._changed:
            self.asked.append(path)
            self._changed.notify_all()
        if self.authorization not in (None, self.headers.get("authorization")):
            return 401, b'{"error_code": 401, "message": "Unauthorized"}'
        if self._misbehaviour is not None and (answer := self._misbehaviour(path)) is not None:
            return answer
        if path == "/schemas/types":
            return 200, b'["JSON", "PROTOBUF", "AVRO"]'
        found = self._schemas.get(unquote(path.partition("?")[0]))
        if found is None:
            return 404, b'{"error_code": 40403, "message": "Schema not found"}'
        return 200, orjson.dumps(found)


def _response(status: int, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 %d Answer\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\n"
        b"Content-Length: %d\r\n\r\n" % (status, len(body))
    ) + body
