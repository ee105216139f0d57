"""The admin application: closed by default, whatever way a request takes to a route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.routing import Route

from reactor.web.admin import LARGEST_BODY_BYTES, AdminApi, RequestRefused, admin_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Message

TOKEN = "t" * 43
HOST = "127.0.0.1:8081"
GOOD = {"host": HOST, "authorization": f"Bearer {TOKEN}", "x-reactor": "1"}
OPEN_ON_LOOPBACK = {"/metrics", "/healthz", "/readyz"}


async def echo(body: Mapping[str, Any]) -> Mapping[str, Any]:
    if body.get("refuse"):
        raise RequestRefused(404, "no such sensor")
    return dict(body)


API = AdminApi(
    metrics=lambda accept: (b"metrics", accept or "text/plain"),
    health=lambda: (False, ["stuck"]),
    readiness=lambda: (True, []),
    emit=echo,
    redrive=echo,
    seek=echo,
)


def client(*, is_loopback: bool = True) -> httpx.AsyncClient:
    app = admin_app(API, token=TOKEN, hosts=[HOST], is_loopback=is_loopback)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}")


def every_route() -> list[tuple[str, str]]:
    app = admin_app(API, token=TOKEN, hosts=[HOST], is_loopback=True)
    assert all(isinstance(route, Route) for route in app.routes)
    return [
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
    ]


@pytest.mark.parametrize(("method", "path"), every_route())
@pytest.mark.parametrize(
    "odd",
    [
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"bearer {TOKEN[:-1]}"},
        {"authorization": "Bearer tökén"},
    ],
    ids=str,
)
async def test_without_the_token_a_route_is_closed(
    method: str, path: str, odd: dict[str, str]
) -> None:
    headers = {**GOOD, **odd}
    async with client(is_loopback=False) as http:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        assert (await http.request(method, path, headers=raw)).status_code == 401
    async with client() as http:
        status = (await http.request(method, path, headers=raw)).status_code
        assert (status != 401) == (path in OPEN_ON_LOOPBACK)


@pytest.mark.parametrize(("method", "path"), every_route())
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost", ""])
async def test_another_host_is_not_served(method: str, path: str, host: str) -> None:
    async with client() as http:
        answer = await http.request(method, path, headers={**GOOD, "host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize(
    "path",
    [
        "/api/emit/",
        "//api/emit",
        "/api/./emit",
        "/api/emit;x",
        "/metrics/../api/emit",
        "/healthz/api/emit",
        "/api%2Femit/..",
        "/API/EMIT",
    ],
)
async def test_no_spelling_of_a_path_leads_past_the_token(path: str) -> None:
    async with client() as http:
        answer = await http.post(path, headers={"host": HOST}, content=b"{}")
    assert answer.status_code in (401, 404, 405)


@pytest.mark.parametrize(("method", "path"), every_route())
async def test_no_request_is_sent_on_to_a_place_the_client_named(method: str, path: str) -> None:
    async with client() as http:
        answer = await http.request(method, path + "/", headers={**GOOD, "host": "evil.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers


async def test_what_changes_something_needs_a_header_no_page_can_send() -> None:
    headers = {name: value for name, value in GOOD.items() if name != "x-reactor"}
    async with client() as http:
        answer = await http.post("/api/emit", headers=headers, content=b"{}")
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "the header X-Reactor is missing"},
    )


async def test_no_answer_may_be_shared_with_another_origin() -> None:
    async with client() as http:
        for method, path in every_route():
            answer = await http.request(method, path, headers={**GOOD, "origin": "https://evil"})
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_fault_of_ours() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"sensor":', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    app = admin_app(API, token=TOKEN, hosts=[HOST], is_loopback=True)
    headers = [(name.encode(), text.encode()) for name, text in GOOD.items()]
    scope = {"type": "http", "method": "POST", "path": "/api/emit", "headers": headers}
    await app(scope, receive, send)
    assert [message["status"] for message in sent if "status" in message] == [400]


async def test_health_and_readiness_give_their_reasons() -> None:
    async with client() as http:
        health, ready = await http.get("/healthz"), await http.get("/readyz")
    assert (health.status_code, health.json()) == (503, {"ok": False, "reasons": ["stuck"]})
    assert (ready.status_code, ready.json()) == (200, {"ok": True, "reasons": []})


async def test_the_body_reaches_the_function_and_its_answer_comes_back() -> None:
    async with client() as http:
        emitted = await http.post("/api/emit", headers=GOOD, json={"sensor": "s"})
        redriven = await http.post("/api/redrive", headers=GOOD, json={"all": True})
    assert (emitted.status_code, emitted.json()) == (202, {"sensor": "s"})
    assert (redriven.status_code, redriven.json()) == (200, {"all": True})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"a":' * 100_000, 400),
        (b'{"refuse": 1}', 404),
        (b" " * (LARGEST_BODY_BYTES + 1), 413),
    ],
    ids=["empty", "half", "list", "bytes", "deep", "refused", "large"],
)
async def test_a_bad_body_gets_an_answer_that_says_why(body: bytes, status: int) -> None:
    async with client() as http:
        answer = await http.post("/api/emit", headers=GOOD, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]
