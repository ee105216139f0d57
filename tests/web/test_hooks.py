"""The hooks listener over real sockets, on a loop whose clock jumps: a deadline costs no time."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reactor.errors import DefinitionError, SettingsError
from reactor.model.sensor import HookRequest, HookResponse
from reactor.telemetry import Metrics, Telemetry
from reactor.telemetry.facts import RequestFailed, RequestShed
from reactor.web.hooks import HooksListener
from reactor.web.protocol import MOST_HEAD_BYTES, MOST_HEADERS
from reactor.web.server import HttpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reactor.telemetry.fact import Fact

pytestmark = pytest.mark.virtual_time

LIMIT = 1000
DEADLINE = timedelta(seconds=8)


class Facts(list["Fact"]):
    def take(self, fact: Fact) -> None:
        self.append(fact)

    def reasons(self) -> list[str]:
        return [fact.reason for fact in self if isinstance(fact, RequestShed)]


class Client:
    """One connection that sends what it is told, byte for byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the next answer; status 0 means closed without one."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), headers, body

    async def is_closed(self) -> bool:
        """Return True once the other end has closed; bytes before that are a failure."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True


class Site:
    """A listener with one path, `/echo`, and its clients."""

    def __init__(self, hooks: HooksListener, facts: Facts, stack: AsyncExitStack) -> None:
        self.hooks = hooks
        self.facts = facts
        self.requests: list[HookRequest] = []
        self._stack = stack

    async def echo(self, request: HookRequest) -> HookResponse:
        self.requests.append(request)
        return HookResponse(status=202, body=json.dumps(len(request.body)).encode())

    async def connect(self) -> Client:
        reader, writer = await asyncio.open_connection(*self.hooks.address)
        self._stack.callback(writer.close)
        return Client(reader, writer)


@asynccontextmanager
async def serving() -> AsyncIterator[Site]:
    facts = Facts()
    hooks = HooksListener("127.0.0.1", 0, telemetry=Telemetry(Metrics(release="test"), (facts,)))
    await hooks.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(hooks.stop, 1.0)
        site = Site(hooks, facts, stack)
        with hooks.serve("/echo", site.echo, max_body_bytes=LIMIT, deadline=DEADLINE):
            hooks.settle()
            yield site


def post(body: bytes, path: str = "/echo", *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_a_request_reaches_its_handler_untouched() -> None:
    async with serving() as site:
        client = await site.connect()
        await client.send(post(b"\x00\xff raw", "/echo?a=%20b", "X-Odd:  Value "))
        status, headers, body = await client.answer()
    assert (status, body, headers["content-type"]) == (202, b"6", "application/json")
    (request,) = site.requests
    assert (request.method, request.path, request.body) == ("POST", "/echo", b"\x00\xff raw")
    assert (request.header("x-odd"), request.client) == ("Value", "127.0.0.1")
    assert "date" in headers


async def test_one_connection_carries_many_requests() -> None:
    async with serving() as site:
        client = await site.connect()
        for size in (0, 1, 999):
            await client.send(post(b"x" * size))
            assert (await client.answer())[2] == str(size).encode()


async def test_a_header_that_no_request_can_have_is_not_there() -> None:
    async with serving() as site:
        client = await site.connect()
        await client.send(post(b"", "/echo", "X-Odd: 1"))
        assert (await client.answer())[0] == 202
    request = site.requests[0]
    assert [request.header(name) for name in ("x-odd", "x-öd", "x-€")] == ["1", None, None]


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as site:
        client = await site.connect()
        await client.send(post(b"1") + post(b"22") + post(b"333"))
        assert [(await client.answer())[2] for _ in range(3)] == [b"1", b"2", b"3"]


async def test_bodies_of_pipelined_requests_are_measured_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reactor.web.server.MOST_BODY_BYTES", 3 * LIMIT)
    async with serving() as site:
        client = await site.connect()
        # More than all may hold together: what is answered is held no longer.
        for _ in range(3):
            await client.send(post(b"x" * LIMIT) * 3)
            assert [(await client.answer())[0] for _ in range(3)] == [202, 202, 202]


async def test_bodies_of_all_connections_together_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began: asyncio.Queue[HookRequest] = asyncio.Queue()
    goes_on = asyncio.Event()

    async def slow(request: HookRequest) -> HookResponse:
        began.put_nowait(request)
        await goes_on.wait()
        return HookResponse(status=202)

    monkeypatch.setattr("reactor.web.server.MOST_BODY_BYTES", 2 * LIMIT)
    async with serving() as site:
        with site.hooks.serve("/slow", slow, max_body_bytes=LIMIT, deadline=DEADLINE):
            first, second, third = [await site.connect() for _ in range(3)]
            for client in (first, second):
                await client.send(post(b"x" * LIMIT, "/slow"))
                await began.get()
            await third.send(post(b"x"))
            status, headers, _ = await third.answer()
            assert (status, headers["retry-after"]) == (503, "1")
            assert site.facts.reasons() == ["too_many_bytes"]
            assert await third.is_closed()
            # What is answered is held no longer, nor what came over a connection that is lost.
            third.writer.close()
            second.writer.transport.abort()
            goes_on.set()
            assert (await first.answer())[0] == 202
            for _ in range(2):
                await first.send(post(b"x" * LIMIT))
                assert (await first.answer())[0] == 202
            both = [await site.connect() for _ in range(2)]
            goes_on.clear()
            for client in both:
                await client.send(post(b"x" * LIMIT, "/slow"))
                await began.get()
            goes_on.set()
            assert [(await client.answer())[0] for client in both] == [202, 202]


async def test_a_body_in_pieces_and_chunks_arrives_whole() -> None:
    async with serving() as site:
        client = await site.connect()
        await client.send(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"3\r\nabc\r\n",
            b"2\r\nde\r\n0\r\n\r\n",
        )
        assert (await client.answer())[0] == 202
    assert site.requests[0].body == b"abcde"


@pytest.mark.parametrize(
    "path", ["/", "/echo/", "/ECHO", "//echo", "/ech%6f", "/echo;x", "/x/../echo"]
)
async def test_only_the_path_as_spelled_is_served(path: str) -> None:
    async with serving() as site:
        client = await site.connect()
        await client.send(post(b"", path))
        assert (await client.answer())[0] == 404
    assert site.requests == []
    assert site.facts.reasons() == ["unknown_path"]


async def test_another_method_is_told_which_one_is_taken() -> None:
    async with serving() as site:
        client = await site.connect()
        await client.send(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers, _ = await client.answer()
    assert (status, headers["allow"]) == (405, "POST")


async def test_a_path_whose_sensor_starts_again_is_late_not_unknown() -> None:
    async with serving() as site:
        with site.hooks.serve("/gone", site.echo, max_body_bytes=1, deadline=DEADLINE):
            pass
        client = await site.connect()
        await client.send(post(b"", "/gone"))
        status, headers, _ = await client.answer()
        assert (status, headers["retry-after"]) == (503, "2")
        site.hooks.settle()
        await client.send(post(b"", "/gone"))
        assert (await client.answer())[0] == 404


async def test_two_sensors_cannot_have_one_path() -> None:
    async with serving() as site:
        with (
            pytest.raises(DefinitionError, match="'/echo' is served by another sensor"),
            site.hooks.serve("/echo", site.echo, max_body_bytes=1, deadline=DEADLINE),
        ):
            pass


async def test_a_handler_that_raises_is_named_without_its_words() -> None:
    async def broken(request: HookRequest) -> HookResponse:
        raise RuntimeError("the secret is hunter2")

    async with serving() as site:
        with site.hooks.serve("/broken", broken, max_body_bytes=1, deadline=DEADLINE):
            client = await site.connect()
            await client.send(post(b"", "/broken"))
            status, _, body = await client.answer()
    assert status == 500
    assert b"hunter2" not in body
    (failed,) = [fact for fact in site.facts if isinstance(fact, RequestFailed)]
    assert failed.error == "RuntimeError"
    assert "test_hooks.py:" in failed.where


async def test_what_a_sensor_refuses_is_counted() -> None:
    async def forged(request: HookRequest) -> HookResponse:
        return HookResponse(status=401)

    async with serving() as site:
        with site.hooks.serve("/forged", forged, max_body_bytes=1, deadline=DEADLINE):
            client = await site.connect()
            await client.send(post(b"", "/forged"))
            assert (await client.answer())[0] == 401
    assert site.facts.reasons() == ["status_401"]


class TestSlowClients:
    async def timed(self, *parts: bytes) -> tuple[float, int, list[str]]:
        """Return how long a client that sends only this may stay, the answer's status and the reasons."""
        loop = asyncio.get_running_loop()
        async with serving() as site:
            client = await site.connect()
            began = loop.time()
            await client.send(*parts)
            status, headers, _ = await client.answer()
            took = loop.time() - began
            assert headers["connection"] == "close"
            assert await client.is_closed()
        return took, status, site.facts.reasons()

    async def test_a_silent_one_is_sent_away(self) -> None:
        took, status, reasons = await self.timed()
        assert status == 408
        assert 4 <= took <= 5
        assert reasons == ["too_slow"]

    @pytest.mark.parametrize(
        "sent", [b"POST", b"POST /echo HTTP/1.1\r\n", b"POST /echo HTTP/1.1\r\nHost: x\r\nX-A: "]
    )
    async def test_half_a_head_is_not_waited_for(self, sent: bytes) -> None:
        took, status, _ = await self.timed(sent)
        assert status == 408
        assert took <= 5

    async def test_half_a_body_is_waited_for_until_the_deadline(self) -> None:
        took, status, _ = await self.timed(post(b"x" * 10)[:-5])
        assert status == 408
        assert 7 <= took <= 8

    async def test_dripping_bytes_earns_no_more_time(self) -> None:
        loop = asyncio.get_running_loop()
        async with serving() as site:
            client = await site.connect()
            began = loop.time()
            await client.send(post(b"x" * 500)[:-500])

            async def drip() -> None:
                while True:
                    await asyncio.sleep(0.5)
                    client.writer.write(b"x")

            dripping = asyncio.create_task(drip(), name="drip")
            status, _, _ = await client.answer()
            dripping.cancel()
            assert status == 408
            assert loop.time() - began <= 8

    async def test_an_idle_connection_is_closed_without_a_word(self) -> None:
        loop = asyncio.get_running_loop()
        async with serving() as site:
            client = await site.connect()
            await client.send(post(b""))
            await client.answer()
            began = loop.time()
            assert await client.is_closed()
            assert 29 <= loop.time() - began <= 31
        assert site.facts.reasons() == []

    async def test_they_do_not_hold_up_a_good_one(self) -> None:
        loop = asyncio.get_running_loop()
        async with serving() as site:
            for number in range(300):
                slow = await site.connect()
                await slow.send(post(b"x" * 10)[: 10 + number % 40])
            client = await site.connect()
            began = loop.time()
            await client.send(post(b"ok"))
            assert (await client.answer())[0] == 202
            assert loop.time() == began


class TestFatClients:
    async def refusal(self, *parts: bytes) -> tuple[int, list[str], int]:
        async with serving() as site:
            client = await site.connect()
            await client.send(*parts)
            status, _, _ = await client.answer()
            assert await client.is_closed()
        return status, site.facts.reasons(), len(site.requests)

    async def test_a_body_announced_too_large_is_refused_before_it_comes(self) -> None:
        head = post(b"x" * (LIMIT + 1)).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        assert await self.refusal(head) == (413, ["too_large"], 0)

    async def test_a_body_that_grows_too_large_is_refused(self) -> None:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert await self.refusal(head, *[b"64\r\n" + b"x" * 100 + b"\r\n"] * 11) == (
            413,
            ["too_large"],
            0,
        )

    async def test_the_largest_body_allowed_is_taken(self) -> None:
        async with serving() as site:
            client = await site.connect()
            await client.send(post(b"x" * LIMIT))
            assert (await client.answer())[0] == 202

    async def test_a_head_without_end_is_refused(self) -> None:
        head = b"POST /echo HTTP/1.1\r\nX-Long: " + b"a" * (MOST_HEAD_BYTES + 1)
        assert await self.refusal(head) == (431, ["head_too_large"], 0)

    async def test_a_url_without_end_is_refused(self) -> None:
        assert await self.refusal(b"POST /" + b"a" * (MOST_HEAD_BYTES + 1)) == (
            431,
            ["head_too_large"],
            0,
        )

    async def test_too_many_headers_are_refused(self) -> None:
        odd = [f"X-{number}: 1" for number in range(MOST_HEADERS)]
        assert await self.refusal(post(b"", "/echo", *odd)) == (431, ["head_too_large"], 0)

    async def test_long_headers_that_come_with_their_body_are_refused(self) -> None:
        odd = [f"X-{number}: " + "a" * 1000 for number in range(MOST_HEAD_BYTES // 1000 + 1)]
        assert await self.refusal(post(b"x", "/echo", *odd)) == (431, ["head_too_large"], 0)

    async def test_a_trailer_without_end_is_refused(self) -> None:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks = b"2\r\n{}\r\n", b"0\r\n", b"X-Long: "
        # More than is read at once.
        endless = [b"a" * MOST_HEAD_BYTES] * 20
        assert await self.refusal(head, *chunks, *endless) == (431, ["head_too_large"], 0)

    async def test_long_chunks_count_for_the_body_and_not_for_a_head(self) -> None:
        async with serving() as site:
            client = await site.connect()
            await client.send(
                b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for _ in range(LIMIT // 100):
                await client.send(b"64\r\n", b"x" * 50, b"x" * 50 + b"\r\n")
            await client.send(b"0\r\nX-Odd: trailer\r\n\r\n")
            assert (await client.answer())[2] == b"%d" % LIMIT
            await client.send(post(b"next"))
            assert (await client.answer())[2] == b"4"
            assert [request.header("x-odd") for request in site.requests] == [None, None]

    @pytest.mark.parametrize(
        "junk",
        [
            b"\x16\x03\x01\x02\x00\x01",
            b"GET\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
            b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ],
    )
    async def test_what_is_not_http_is_refused(self, junk: bytes) -> None:
        status, _, reached = await self.refusal(junk)
        assert (status, reached) == (400, 0)


async def test_when_all_places_are_taken_the_one_that_waits_longest_gives_way() -> None:
    async def answer(scope: object, receive: object, send: object) -> None:
        """Never called: nobody completes a request here."""

    facts = Facts()
    telemetry = Telemetry(Metrics(release="test"), (facts,))
    server = HttpServer(answer, "127.0.0.1", 0, telemetry=telemetry, most_open=2)
    await server.start()
    clients = [await asyncio.open_connection(*server.address) for _ in range(3)]
    assert await Client(*clients[0]).is_closed()
    assert facts.reasons() == ["too_many_connections"]
    for _, writer in clients:
        writer.close()
    await server.stop(1.0)


async def test_stopping_lets_a_request_be_answered() -> None:
    began = asyncio.Event()
    goes_on = asyncio.Event()

    async def slow(request: HookRequest) -> HookResponse:
        began.set()
        await goes_on.wait()
        return HookResponse(status=202)

    async with serving() as site:
        with site.hooks.serve("/slow", slow, max_body_bytes=1, deadline=DEADLINE):
            idle, client = await site.connect(), await site.connect()
            await client.send(post(b"", "/slow"))
            await began.wait()
            stopping = asyncio.create_task(site.hooks.stop(5.0), name="stop")
            assert await idle.is_closed()
            goes_on.set()
            assert (await client.answer())[0] == 202
            await stopping


async def test_an_address_that_is_taken_says_so() -> None:
    async with serving() as site:
        second = HooksListener(*site.hooks.address, telemetry=Telemetry(Metrics(release="test")))
        with pytest.raises(
            SettingsError, match="Address already in use; choose another with --hooks"
        ):
            await second.start()
