"""G31: every admin route there is, asked for in every way that should not work."""

from __future__ import annotations

import http.client
import itertools
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from reactor.testing.process import DaemonProcess
from reactor.web.admin import AdminApi, admin_app

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from starlette.requests import Request

TOKEN = "t" * 43
HOST = "127.0.0.1:8081"
# Without a token, and only where the listener is on loopback. A test of the application holds them to it.
OPEN = {"/metrics", "/healthz", "/readyz"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO")
DENIED = {400, 401, 403, 404, 405, 421, 431}
PROJECT = """
from reactor import Event, Workflow
from reactor_sensors import Webhook

orders = Workflow("orders", on=Webhook("/orders", auth=None, name="orders"))

@orders.step
async def take(event: Event) -> None:
    pass
"""


async def nothing(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


def application(*extra: BaseRoute) -> Starlette:
    api = AdminApi(
        metrics=lambda accept: (b"", "text/plain"),
        health=lambda: (True, []),
        readiness=lambda: (True, []),
        emit=nothing,
        redrive=nothing,
        seek=nothing,
    )
    app = admin_app(api, token=TOKEN, hosts=[HOST], is_loopback=False)
    app.router.routes.extend(extra)
    return app


def routes() -> list[tuple[str, str]]:
    """Return method and path of all that the application serves."""
    return [
        (method, route.path)
        for route in application().routes
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
    ]


async def unguarded(app: Starlette) -> list[str]:
    """Return the routes that answer somebody without a token, or for a host that is not served.

    What cannot be asked, a mount or a socket, counts as unguarded: its own routes would not be seen here.
    """
    found: list[str] = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        for route in app.routes:
            if not isinstance(route, Route) or not route.methods or "{" in route.path:
                found.append(repr(route))
                continue
            for method in route.methods:
                url = f"http://{HOST}{route.path}"
                anonymous = await client.request(method, url)
                good = {"authorization": f"Bearer {TOKEN}", "x-reactor": "1"}
                elsewhere = await client.request(
                    method, url, headers={**good, "host": "evil.example"}
                )
                if (anonymous.status_code, elsewhere.status_code) != (401, 421):
                    found.append(f"{method} {route.path}")
    return found


async def test_every_route_has_a_guard() -> None:
    assert await unguarded(application()) == []


async def test_a_route_without_a_guard_is_found() -> None:
    async def answer(request: Request) -> Response:
        return Response("ok")

    assert sorted(await unguarded(application(Route("/new", answer)))) == ["GET /new", "HEAD /new"]


async def test_a_mount_is_found_whatever_lies_below_it() -> None:
    assert len(await unguarded(application(Mount("/ui", routes=[])))) == 1


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    folder: Path = tmp_path_factory.mktemp("routes")
    (folder / "project.py").write_text(PROJECT)
    with DaemonProcess(folder / "project.py", state=folder / "state", directory=folder) as daemon:
        yield daemon


def ask(
    daemon: DaemonProcess, method: str, path: str, headers: Mapping[str, str]
) -> tuple[int, dict[str, str]]:
    """Send a request as spelled, nothing tidied away; return status and headers, 0 where the daemon hung up."""
    address = urlsplit(daemon.admin)
    connection = http.client.HTTPConnection(address.netloc, timeout=10)
    try:
        connection.putrequest(method, "/", skip_host=True, skip_accept_encoding=True)
        # The client would refuse or encode some of these paths.
        connection._buffer[0] = f"{method} {path} HTTP/1.1".encode("latin-1")  # type: ignore[attr-defined]  # no public way
        for name, text in {"host": address.netloc, "connection": "close", **headers}.items():
            connection.putheader(name, text)
        connection.putheader("content-length", "2")
        connection.endheaders(b"{}")
        response = connection.getresponse()
        return response.status, {name.lower(): text for name, text in response.getheaders()}
    except (ConnectionError, http.client.BadStatusLine):
        return 0, {}
    finally:
        connection.close()


def good(daemon: DaemonProcess) -> dict[str, str]:
    token = (daemon.state / "admin-token").read_text(encoding="ascii").strip()
    return {"authorization": f"Bearer {token}", "x-reactor": "1"}


def spellings(path: str) -> list[str]:
    """Return ways to write a path that some server, proxy or framework takes for the path itself."""
    first = path[1:2]
    return [
        f"{path}/", f"/{path}", f"//evil.example{path}", f"/.{path}", f"/x/..{path}", f"{path}/.",
        f"{path}/../{path[1:]}", f"{path};a=b", f"{path}%00", f"{path}%20", f"{path}%0a", f"{path}.json",
        f"{path}/x", f"{path}#x", f"\\{path[1:]}", path.upper(), path.title(), f"/%2e{path}",
        f"/healthz/..{path}", f"/healthz/%2e%2e{path}", f"/healthz%2f..{path}", f"/metrics;{path}",
        path.replace("/", "%2f"), path.replace("/", "//"), path.replace("/", "\\"), f"{path}?token=x",
        f"/%{ord(first):02x}{path[2:]}", f"/%25{ord(first):02x}{path[2:]}", f"*{path}", path[1:],
        f"http://{HOST}{path}", f"http://evil.example{path}", f"{path}\xff", f"{path}%c0%af", f"/orders{path}",
    ]  # fmt: skip


closed = [(method, path) for method, path in routes() if path not in OPEN]


@pytest.mark.real_time
class TestDaemon:
    @pytest.mark.parametrize(("method", "path"), closed)
    def test_nobody_enters_without_the_token(
        self, daemon: DaemonProcess, method: str, path: str
    ) -> None:
        right = good(daemon)["authorization"]
        for authorization in (
            *("", "Bearer", "Bearer ", "Basic Og==", right[:-1], right + "x", right.lower()),
            *(right.removeprefix("Bearer "), f" {right}, Bearer x", right.replace(" ", "\t")),
        ):
            status, _ = ask(
                daemon, method, path, {"authorization": authorization, "x-reactor": "1"}
            )
            assert status == 401, authorization

    @pytest.mark.parametrize(("method", "path"), routes())
    def test_nobody_enters_by_another_host(
        self, daemon: DaemonProcess, method: str, path: str
    ) -> None:
        port = urlsplit(daemon.admin).port
        for host in (
            *("evil.example", f"evil.example:{port}", "127.0.0.1", "localhost:1", "0.0.0.0", ""),
            *(f"127.0.0.1:{port}.evil.example", f"127.0.0.1.evil.example:{port}"),
            *(f"evil@127.0.0.1:{port}", f"127.0.0.1:{port},evil", f"127.1:{port}"),
        ):
            status, _ = ask(daemon, method, path, {**good(daemon), "host": host})
            assert status in (400, 421), host

    @pytest.mark.parametrize(("method", "path"), closed)
    def test_no_page_of_another_origin_enters_with_the_operators_token(
        self, daemon: DaemonProcess, method: str, path: str
    ) -> None:
        right = good(daemon)
        del right["x-reactor"]
        for origin in ("https://evil.example", "null", daemon.admin):
            status, headers = ask(daemon, method, path, {**right, "origin": origin})
            assert status == 403, origin
            assert not [name for name in headers if name.startswith("access-control")]

    @pytest.mark.parametrize("path", sorted({path for _, path in routes()}))
    def test_no_browser_is_allowed_to_ask_across_origins(
        self, daemon: DaemonProcess, path: str
    ) -> None:
        preflight = {
            "origin": "https://evil.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, x-reactor",
        }
        status, headers = ask(daemon, "OPTIONS", path, preflight)
        assert status in DENIED
        assert not [name for name in headers if name.startswith("access-control")]

    @pytest.mark.parametrize("path", sorted({path for _, path in closed}))
    def test_no_spelling_of_a_path_leads_past_the_guard(
        self, daemon: DaemonProcess, path: str
    ) -> None:
        for spelling, method in itertools.product(spellings(path), ("GET", "POST")):
            status, headers = ask(daemon, method, spelling, {"x-reactor": "1"})
            assert status in DENIED | {0}, (method, spelling)
            assert "location" not in headers, (method, spelling)

    @pytest.mark.parametrize(
        ("method", "path"), [*itertools.product(METHODS, sorted({p for _, p in closed}))]
    )
    def test_no_method_leads_past_the_guard(
        self, daemon: DaemonProcess, method: str, path: str
    ) -> None:
        status, _ = ask(daemon, method, path, {"x-reactor": "1"})
        assert status in DENIED | {0}

    def test_with_token_host_and_header_the_door_is_open(self, daemon: DaemonProcess) -> None:
        status, _ = ask(daemon, "POST", "/api/redrive", good(daemon))
        assert status not in (401, 403, 421)
