"""The webhook sensor as a whole: requests in, events, dead letters and answers out."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import pytest
from pydantic import AfterValidator, BaseModel, TypeAdapter

from reactor.api import HookRequest, HookResponse, SettingsError, StoreError, StoreFullError
from reactor.engine.event_json import encode
from reactor.testing import NEW_YEAR, LoopClock, RecordingIntake, SensorContract, running
from reactor_sensors import Webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reactor.api import Sensor

KEY = "correct-horse-battery-staple"
JSON = {"content-type": "application/json"}


def request(body: bytes, headers: dict[str, str], path: str) -> HookRequest:
    pairs = [(n.lower().encode("latin-1"), text.encode("latin-1")) for n, text in headers.items()]
    return HookRequest(method="POST", path=path, headers=pairs, body=body, client="192.0.2.1")


class Client:
    """Speaks to the one endpoint of an intake."""

    def __init__(self, intake: RecordingIntake) -> None:
        self.intake = intake
        self.answer = HookResponse(status=0)

    async def post(self, body: bytes | str | object, headers: dict[str, str] | None = None) -> int:
        """Send a body, or a document as JSON, and return the status."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        ((path, route),) = self.intake.routes.items()
        self.answer = await route.handler(request(raw, JSON | (headers or {}), path))
        return self.answer.status

    async def push(
        self, body: bytes = b"{}", delivery: str | None = "d-1", *, key: str = KEY
    ) -> int:
        """Send a signed GitHub delivery."""
        digest = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-hub-signature-256": f"sha256={digest}", "x-github-event": "push"}
        if delivery is not None:
            headers["x-github-delivery"] = delivery
        return await self.post(body, headers)

    @property
    def content(self) -> Any:
        return orjson.loads(self.answer.body)


@contextlib.asynccontextmanager
async def serving(sensor: Sensor, intake: RecordingIntake | None = None) -> AsyncIterator[Client]:
    intake = intake or RecordingIntake(sensor.sensor_name)
    intake.state = "starting"
    async with running(sensor, intake):
        await intake.wait_until(lambda: intake.state == "up")
        yield Client(intake)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", KEY)


def github(**options: Any) -> Webhook:
    return Webhook("/github", scheme="github", secret="env:HOOK_KEY", **options)


def open_hook(**options: Any) -> Webhook:
    return Webhook("/open", auth=None, **options)


class TestContract(SensorContract):
    @pytest.fixture
    def sensor(self) -> Webhook:
        return github()

    @pytest.fixture
    def intake(self) -> RecordingIntake:
        return RecordingIntake("webhook:/github")

    async def happen(self, intake: RecordingIntake, number: int) -> None:
        client = Client(intake)
        if await client.push(b"{}", f"delivery-{number}") == 503:
            # Senders send again what was not taken.
            assert await client.push(b"{}", f"delivery-{number}") == 202


class TestDelivery:
    async def test_a_genuine_delivery_becomes_an_event(self) -> None:
        async with serving(github()) as client:
            assert await client.push(b'{"ref": "refs/heads/main"}') == 202
        (event,) = client.intake.events
        assert (event.id, event.source, event.type) == ("d-1", "webhook:/github", "push")
        assert event.data == {"ref": "refs/heads/main"}
        assert client.content == {"id": "d-1", "duplicate": False}
        assert client.answer.content_type == "application/json"

    async def test_the_same_delivery_again_is_a_duplicate(self) -> None:
        async with serving(github()) as client:
            await client.push()
            assert await client.push() == 202
        assert client.content == {"id": "d-1", "duplicate": True}
        assert len(client.intake.events) == 1

    async def test_a_storm_of_duplicates_is_one_event(self) -> None:
        async with serving(github()) as client, asyncio.TaskGroup() as storm:
            for number in range(200):
                storm.create_task(client.push(), name=f"push {number}")
        assert len(client.intake.events) == 1

    async def test_the_limits_are_handed_to_the_listener(self) -> None:
        async with serving(github(max_body_bytes=7, deadline="3s")) as client:
            route = client.intake.routes["/github"]
        assert (route.methods, route.max_body_bytes) == (("POST",), 7)
        assert route.deadline == timedelta(seconds=3)

    async def test_the_path_is_given_back_at_the_end(self) -> None:
        async with serving(github()) as client:
            pass
        assert client.intake.routes == {}

    async def test_a_large_body_is_checked_as_well(self) -> None:
        body = orjson.dumps("x" * 2_000_000)
        async with serving(github()) as client:
            assert await client.push(body) == 202
            assert await client.push(body, "d-2", key="wrong") == 401

    @pytest.mark.virtual_time
    async def test_it_happened_when_it_came(self) -> None:
        intake = RecordingIntake("webhook:/github", clock=LoopClock())
        async with serving(github(), intake) as client:
            await client.push()
        assert intake.events[0].time == NEW_YEAR


class TestProof:
    @pytest.mark.parametrize(
        ("headers", "why"),
        [
            ({}, "the signature is missing"),
            ({"x-hub-signature-256": "sha256=" + 64 * "0"}, "the signature is wrong"),
            ({"x-hub-signature-256": "sha1=0"}, "the signature is wrong"),
            ({"x-hub-signature": "sha1=0"}, "the signature is missing"),
        ],
    )
    async def test_without_proof_nothing_is_kept(self, headers: dict[str, str], why: str) -> None:
        async with serving(github()) as client:
            assert await client.post(b"not even JSON", headers) == 401
        assert client.content == {"error": why}
        assert "www-authenticate" in client.answer.headers
        assert (client.intake.events, client.intake.rejected) == ([], [])

    @pytest.mark.virtual_time
    async def test_a_delivery_gets_stale(self) -> None:
        intake = RecordingIntake("s", clock=LoopClock())
        sensor = Webhook("/slack", scheme="slack", secret="env:HOOK_KEY", replay_window="30s")
        at = int(intake.clock.now().timestamp())
        signed = hmac.new(KEY.encode(), f"v0:{at}:".encode() + b"{}", hashlib.sha256)
        headers = {
            "x-slack-request-timestamp": str(at),
            "x-slack-signature": f"v0={signed.hexdigest()}",
        }
        async with serving(sensor, intake) as client:
            assert await client.post(b"{}", headers) == 202
            await asyncio.sleep(31)
            assert await client.post(b"{}", headers) == 401
        assert client.content == {"error": "the signature is stale"}

    async def test_an_open_endpoint_asks_for_none(self) -> None:
        async with serving(open_hook()) as client:
            assert await client.post({"a": 1}) == 202
        assert client.intake.events[0].type == "reactor.webhook.delivery"

    async def test_a_refusal_is_logged_once_a_minute(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            async with serving(github()) as client:
                for _ in range(50):
                    await client.push(key="forged")
        assert [record.message for record in caplog.records] == ["delivery refused"]

    @pytest.mark.virtual_time
    async def test_the_next_line_tells_how_many_were_left_out(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            async with serving(github()) as client:
                for _ in range(3):
                    await client.push(key="forged")
                await asyncio.sleep(61)
                await client.push(key="forged")
        assert [getattr(record, "unsaid", None) for record in caplog.records] == [0, 2]


class TestSecrets:
    async def test_each_of_several_secrets_opens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOOK_NEW", "new")
        sensor = Webhook("/github", scheme="github", secret=["env:HOOK_NEW", "env:HOOK_KEY"])
        async with serving(sensor) as client:
            assert await client.push() == 202
            assert await client.push(b"{}", "d-2", key="new") == 202

    async def test_a_rotated_file_opens_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("first\n")
        sensor = Webhook("/github", scheme="github", secret=f"file:{tmp_path / 'key'}")
        async with serving(sensor) as client:
            assert await client.push(key="first") == 202
            (tmp_path / "key").write_text("second\n")
            assert await client.push(b"{}", "d-2", key="second") == 202

    @pytest.mark.virtual_time
    async def test_a_secret_that_was_taken_away_opens_nothing_a_second_later(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "key").write_text("first")
        sensor = Webhook("/github", scheme="github", secret=f"file:{tmp_path / 'key'}")
        async with serving(sensor) as client:
            assert await client.push(key="first") == 202
            (tmp_path / "key").write_text("second")
            await asyncio.sleep(1)
            assert await client.push(b"{}", "d-2", key="first") == 401

    async def test_one_secret_that_is_missing_does_not_close_for_the_other(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        sensor = Webhook("/github", scheme="github", secret=["env:HOOK_GONE", "env:HOOK_KEY"])
        with caplog.at_level(logging.WARNING):
            async with serving(sensor) as client:
                assert await client.push() == 202
        assert [record.message for record in caplog.records] == ["secret not usable"]

    async def test_without_any_secret_it_does_not_serve(self) -> None:
        intake = RecordingIntake("s")
        sensor = Webhook("/github", scheme="github", secret="env:HOOK_GONE")
        with pytest.raises(SettingsError, match="env:HOOK_GONE"):
            await sensor.run(intake)
        assert intake.state == "starting"

    async def test_a_blank_secret_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOOK_KEY", " \t")
        with pytest.raises(SettingsError, match="'env:HOOK_KEY' is blank"):
            await github().run(RecordingIntake("s"))

    async def test_a_malformed_secret_is_not_repeated(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOOK_KEY", "whsec_!" + KEY)
        sensor = Webhook("/s", scheme="standard", secret="env:HOOK_KEY")
        with pytest.raises(SettingsError, match=r"'env:HOOK_KEY': the scheme") as caught:
            await sensor.run(RecordingIntake("s"))
        assert KEY not in str(caught.value)

    async def test_a_secret_that_vanishes_ends_the_run_with_the_reason(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "key").write_text("first")
        sensor = Webhook("/github", scheme="github", secret=f"file:{tmp_path / 'key'}")
        intake = RecordingIntake("s")
        run = asyncio.create_task(sensor.run(intake), name="sensor")
        await intake.wait_until(lambda: intake.state == "up")
        (tmp_path / "key").unlink()
        client = Client(intake)
        assert await client.push(key="wrong") == 503
        assert client.answer.headers == {"retry-after": "5"}
        with pytest.raises(SettingsError, match="key': No such file"):
            await run

    async def test_no_secret_is_shown_anywhere(self, caplog: pytest.LogCaptureFixture) -> None:
        sensor = github()
        shown = [repr(sensor), str(sensor), sensor.model_dump_json()]
        with caplog.at_level(logging.DEBUG):
            async with serving(sensor) as client:
                for key in (KEY, "forged"):
                    await client.push(b"}", key=key)
                    shown += [repr(client.answer), repr(client.content)]
        shown += [str(vars(record)) for record in caplog.records]
        shown += [repr(client.intake.rejected), repr(client.intake.routes)]
        assert KEY not in "".join(shown)


class TestIdentity:
    async def test_without_any_id_each_delivery_is_new(self) -> None:
        async with serving(github()) as client:
            await client.push(delivery=None)
            await client.push(delivery=None)
        first, second = client.intake.events
        assert first.id != second.id
        assert len(first.id) == 32

    async def test_an_idempotency_key_serves_where_there_is_no_other_id(self) -> None:
        async with serving(open_hook()) as client:
            for _ in range(2):
                await client.post({}, {"idempotency-key": "k-1"})
        assert client.content == {"id": "k-1", "duplicate": True}

    @pytest.mark.parametrize(
        ("scheme", "headers", "body", "expected"),
        [
            ("standard", {"webhook-id": "m-1"}, {"type": "a.b"}, ("m-1", "a.b", None)),
            (
                "github",
                {"x-github-delivery": "g-1", "x-github-event": "push"},
                {"id": "x"},
                ("g-1", "push", None),
            ),
            ("stripe", {}, {"id": "evt_1", "type": "paid"}, ("evt_1", "paid", None)),
            (
                "slack",
                {},
                {"event_id": "Ev1", "type": "event_callback", "event": {"type": "message"}},
                ("Ev1", "message", None),
            ),
            (
                "shopify",
                {
                    "x-shopify-webhook-id": "w-1",
                    "x-shopify-event-id": "e-1",
                    "x-shopify-topic": "orders/paid",
                    "x-shopify-shop-domain": "a.example",
                },
                {},
                ("w-1", "orders/paid", "a.example"),
            ),
            (
                "shopify",
                {"x-shopify-event-id": "e-1", "x-shopify-topic": "orders/paid"},
                {},
                ("orders/paid:e-1", "orders/paid", None),
            ),
        ],
    )
    async def test_each_scheme_names_its_deliveries(
        self, scheme: str, headers: dict[str, str], body: Any, expected: tuple[str, str, str | None]
    ) -> None:
        headers |= {"idempotency-key": "spare"}
        async with serving(open_hook(scheme=scheme)) as client:
            assert await client.post(body, headers) == 202
        (event,) = client.intake.events
        assert (event.id, event.type, event.subject) == expected

    @pytest.mark.parametrize("scheme", ["stripe", "slack"])
    @pytest.mark.parametrize("body", [{"id": 7, "event_id": 7, "type": 7}, [], None, "x", 1])
    async def test_a_body_without_an_id_falls_back(self, scheme: str, body: Any) -> None:
        async with serving(open_hook(scheme=scheme)) as client:
            assert await client.post(body, {"idempotency-key": "spare"}) == 202
        (event,) = client.intake.events
        assert (event.id, event.type) == ("spare", "reactor.webhook.delivery")

    @pytest.mark.parametrize("identity", ["", "x" * 201, "a\x01b", "a\x85b", "a\xadb"])
    async def test_an_id_that_cannot_be_shown_is_refused(self, identity: str) -> None:
        async with serving(open_hook(scheme="github")) as client:
            assert await client.post({}, {"x-github-delivery": identity}) == 400
            assert await client.post({}, {"idempotency-key": identity}) == 400
        assert client.intake.events == []

    async def test_an_id_in_a_body_is_held_to_the_same(self) -> None:
        async with serving(open_hook(scheme="stripe")) as client:
            assert await client.post({"id": "x" * 201}) == 400
            assert await client.post({"id": "a\nb"}) == 400

    @pytest.mark.parametrize("event", [{}, [], None, "x", {"type": 3}])
    async def test_an_odd_slack_event_has_the_plain_type(self, event: Any) -> None:
        async with serving(open_hook(scheme="slack")) as client:
            assert await client.post({"type": "event_callback", "event": event}) == 202
        assert client.intake.events[0].type == "reactor.webhook.delivery"


class TestChallenge:
    async def test_slack_gets_its_challenge_back_and_no_event_is_made(self) -> None:
        async with serving(open_hook(scheme="slack")) as client:
            body = {"type": "url_verification", "challenge": "3eZbrw1aB", "token": "t"}
            assert await client.post(body) == 200
        assert client.content == {"challenge": "3eZbrw1aB"}
        assert client.intake.events == []

    async def test_a_challenge_without_proof_is_not_answered(self) -> None:
        sensor = Webhook("/slack", scheme="slack", secret="env:HOOK_KEY")
        async with serving(sensor) as client:
            assert await client.post({"type": "url_verification", "challenge": "x"}) == 401

    async def test_others_have_no_challenges(self) -> None:
        async with serving(open_hook()) as client:
            assert await client.post({"type": "url_verification", "challenge": "x"}) == 202


class TestContentType:
    @pytest.mark.parametrize(
        "media",
        ["application/json", "Application/JSON; charset=utf-8", "text/json", "a/b+json", "", " "],
    )
    async def test_json_by_any_name_is_taken(self, media: str) -> None:
        async with serving(open_hook()) as client:
            assert await client.post({}, {"content-type": media}) == 202

    async def test_without_a_content_type_json_is_tried(self) -> None:
        async with serving(open_hook()) as client:
            handler = client.intake.routes["/open"].handler
            assert (await handler(request(b"{}", {}, "/open"))).status == 202

    @pytest.mark.parametrize(
        ("media", "hint"),
        [
            ("text/plain", "expected application/json"),
            ("application/xml", "expected application/json"),
            ("json", "expected application/json"),
            ("application/x-www-form-urlencoded", "choose JSON"),
            ("multipart/form-data; boundary=x", "choose JSON"),
        ],
    )
    async def test_what_is_not_json_is_not_taken(self, media: str, hint: str) -> None:
        async with serving(open_hook()) as client:
            assert await client.post({}, {"content-type": media}) == 415
        assert hint in client.content["error"]


class Order(BaseModel):
    number: int
    at: datetime | None = None


def explode(_: int) -> int:
    raise ZeroDivisionError(KEY)


class TestModel:
    async def test_data_is_an_instance_of_the_model(self) -> None:
        async with serving(open_hook(model=Order)) as client:
            await client.post(b'{"number": 7, "at": "2026-01-01T00:00:00Z"}')
        assert client.intake.events[0].data == Order(number=7, at=NEW_YEAR)

    async def test_what_breaks_the_model_is_kept_as_a_dead_letter(self) -> None:
        raw = b'{"number": "seven"}'
        async with serving(github(model=Order)) as client:
            assert await client.push(raw) == 422
        (letter,) = client.intake.rejected
        assert (letter.event_id, letter.raw, letter.reason) == ("d-1", raw, "breaks_model")
        assert "number: Input should be a valid integer" in letter.detail
        assert "seven" not in letter.detail
        assert client.content == {"error": letter.detail, "id": "d-1", "dead_letter": True}

    async def test_a_dead_letter_has_the_identity_its_body_tells(self) -> None:
        async with serving(open_hook(scheme="stripe", model=Order)) as client:
            await client.post({"id": "evt_1"})
            await client.post({"id": "evt_1"})
        assert [letter.event_id for letter in client.intake.rejected] == ["evt_1"]

    async def test_a_model_that_raises_what_it_should_not_loses_nothing(self) -> None:
        model = Annotated[int, AfterValidator(explode)]
        async with serving(open_hook(model=model)) as client:
            assert await client.post(b"1") == 422
        assert "ZeroDivisionError" in client.content["error"]
        assert KEY not in client.content["error"]

    async def test_many_faults_are_told_in_short(self) -> None:
        async with serving(open_hook(model=list[int])) as client:
            await client.post(["x"] * 1000)
        assert client.content["error"].endswith("and 995 more")

    @pytest.mark.parametrize("model", [list[float], Any])
    async def test_numbers_that_no_store_gives_back_break_any_model(self, model: Any) -> None:
        async with serving(open_hook(model=model)) as client:
            assert await client.post(b"[NaN]") == 422
            assert await client.post(b"[1e999]") == 422

    async def test_what_the_payload_names_cannot_break_a_line(self) -> None:
        async with serving(open_hook(model=dict[str, int])) as client:
            await client.post(b'{"a\\n\\u001b[31m": "x"}')
        assert client.content["error"].isprintable()


class TestRedrive:
    async def test_what_a_mended_model_takes_is_the_event_it_would_have_been(self) -> None:
        body = b'{"number": "A7"}'
        async with serving(github(model=Order)) as client:
            await client.push(body)
        (letter,) = client.intake.rejected
        event = github(model=dict[str, str]).revive(
            letter.raw, event_id=letter.event_id, subject=letter.subject, at=NEW_YEAR
        )
        async with serving(github(model=dict[str, str]), client.intake) as client:
            await client.push(body)
        (accepted,) = client.intake.events
        assert (event.source, event.id, event.type) == (accepted.source, "d-1", "push")
        assert (event.data, event.time) == ({"number": "A7"}, NEW_YEAR)

    @pytest.mark.parametrize(
        ("raw", "subject", "why"),
        [
            (b"{", None, "the body is not JSON"),
            (b"{}", None, "number: Field required"),
            (b'{"number":1}', "7", "not what this sensor wrote"),
            (b'{"number":1}', "no JSON", "not what this sensor wrote"),
            (b'{"id":"' + b"x" * 300 + b'"}', None, "the delivery's id in the body"),
        ],
    )
    def test_what_is_still_no_event_says_why(
        self, raw: bytes, subject: str | None, why: str
    ) -> None:
        sensor = open_hook(scheme="stripe", model=Order)
        with pytest.raises(ValueError, match=why):
            sensor.revive(raw, event_id="e", subject=subject, at=NEW_YEAR)


POISON = {
    "nothing": b"",
    "spaces": b"  \n",
    "zero byte": b"\x00",
    "truncated": b'{"a": ',
    "two documents": b"{} {}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "surrogate bytes": b'["\xed\xa0\x80"]',
    "lone surrogate": b'"\\ud800"',
    "lone surrogate key": b'{"\\udfff": 1}',
    "NaN": b'{"a": NaN}',
    "infinity": b"-Infinity",
    "beyond a double": b"[1e400, -1e400]",
    "huge integer": b"9" * 100_000,
    "deep lists": b"[" * 100_000,
    "deep closed lists": b"[" * 5000 + b"]" * 5000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep, barely": b"[" * 202 + b"]" * 202,
    "single quotes": b"{'a': 1}",
    "comment": b"/* */ {}",
    "trailing comma": b"[1,]",
    "bare control character": b'"a\nb"',
    "gzip": b"\x1f\x8b\x08\x00",
    "html": b"<html>",
    "pickle": b"\x80\x04}\x94.",
}
ODD = {
    "repeated keys": (b'{"a": 1, "a": 2}', {"a": 2}),
    "integer of 65 bits": (b"18446744073709551616", 2**64),
    "negative integer of 65 bits": (b"-9223372036854775809", -(2**63) - 1),
    "long integer": (b"9" * 300, int("9" * 300)),
    "tiny": (b"1e-400", 0.0),
    "escaped zero": (b'"\\u0000"', "\x00"),
    "pair of surrogates": (b'"\\ud83d\\ude00"', "😀"),
    "empty key": (b'{"": null}', {"": None}),
    "deep enough": (b"[" * 150 + b"]" * 150, None),
    "proto": (b'{"__proto__": {"a": 1}}', {"__proto__": {"a": 1}}),
}


class TestPoison:
    @pytest.mark.parametrize("body", POISON.values(), ids=POISON)
    @pytest.mark.parametrize("model", [None, Order])
    async def test_poison_becomes_a_dead_letter_with_its_bytes(
        self, body: bytes, model: Any
    ) -> None:
        async with serving(github(model=model)) as client:
            assert await client.push(body) == 422
        (letter,) = client.intake.rejected
        assert (letter.raw, letter.reason, letter.event_id) == (body, "not_json", "d-1")
        assert letter.detail.isprintable()

    @pytest.mark.parametrize(("body", "data"), ODD.values(), ids=ODD)
    async def test_odd_json_comes_back_from_a_store_as_it_was(self, body: bytes, data: Any) -> None:
        async with serving(open_hook()) as client:
            assert await client.post(body) == 202
        (event,) = client.intake.events
        if data is not None:
            assert event.data == data
        assert TypeAdapter(Any).validate_json(encode(event.data)) == event.data

    @pytest.mark.parametrize("scheme", [None, "standard", "github", "stripe", "slack", "shopify"])
    async def test_no_mixture_of_headers_and_bodies_is_our_fault(self, scheme: str | None) -> None:
        luck = random.Random(scheme)
        names = ["webhook-id", "x-github-event", "idempotency-key", "ce-specversion", "ce-id"]
        names += ["ce-source", "ce-type", "ce-time", "ce-subject", "x-shopify-event-id"]
        texts = ["1.0", "a", "", "%FF", "\x00", "é", '"', "x" * 5000, "2018-04-05T17:31:00Z"]
        media = ["application/json", "application/cloudevents+json", "text/plain", "é"]
        bodies = [*POISON.values(), *(body for body, _ in ODD.values())]
        bodies += [b'{"id": 1, "specversion": "1.0", "data_base64": {}}', b"null", b"[]", b'"a"']
        async with serving(open_hook(scheme=scheme, model=luck.choice([None, Order]))) as client:
            for _ in range(300):
                headers = {name: luck.choice(texts) for name in luck.sample(names, 4)}
                headers["content-type"] = luck.choice(media)
                assert await client.post(luck.choice(bodies), headers) < 500


class Stalled(RecordingIntake):
    """A store that answers nothing until the test is over."""

    async def accept(self, *_: Any, **__: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    reject = accept


class TestBackPressure:
    @pytest.mark.parametrize(
        ("retry_after", "told"),
        [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.001, "2"), (59.5, "60")],
    )
    async def test_without_credit_the_sender_is_told_when_to_come_back(
        self, retry_after: float, told: str
    ) -> None:
        async with serving(github()) as client:
            client.intake.overload(timedelta(seconds=retry_after))
            assert await client.push() == 503
            assert client.answer.headers == {"retry-after": told}
            client.intake.relieve()
            assert await client.push() == 202
        assert client.content["duplicate"] is False

    @pytest.mark.parametrize("error", [StoreFullError("full"), StoreError("stopped")])
    @pytest.mark.parametrize(("body", "then"), [(b"{}", 202), (b"{", 422)])
    async def test_what_cannot_be_stored_is_not_acknowledged(
        self, error: StoreError, body: bytes, then: int
    ) -> None:
        async with serving(github()) as client:
            client.intake.fail_next(error)
            assert await client.push(body) == 503
            assert client.answer.headers == {"retry-after": "5"}
            assert await client.push(body) == then

    @pytest.mark.virtual_time
    @pytest.mark.parametrize("body", [b"{}", b"{"])
    async def test_a_slow_store_is_not_waited_for(self, body: bytes) -> None:
        async with serving(github(), Stalled("s")) as client:
            began = asyncio.get_running_loop().time()
            assert await client.push(body) == 503
            assert asyncio.get_running_loop().time() - began == pytest.approx(2.5)
        assert client.answer.headers == {"retry-after": "5"}

    async def test_a_client_that_goes_away_is_no_failure(self) -> None:
        async with serving(github(), Stalled("s")) as client, asyncio.TaskGroup() as tasks:
            push = tasks.create_task(client.push(), name="push")
            await asyncio.sleep(0)
            push.cancel()
        assert push.cancelled()
