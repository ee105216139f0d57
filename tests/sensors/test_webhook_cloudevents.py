"""CloudEvents 1.0.2 over HTTP: binary, structured, and what only looks like one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from reactor.api import HookRequest
from reactor.testing import NEW_YEAR, RecordingIntake, running
from reactor_sensors import Webhook

STRUCTURED = "application/cloudevents+json; charset=utf-8"
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "/mycontext/4",
    "type": "com.example.someevent",
}


def request(body: bytes, headers: dict[str, str]) -> HookRequest:
    pairs = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    return HookRequest(method="POST", path="/ce", headers=pairs, body=body, client="192.0.2.1")


async def post(
    intake: RecordingIntake, body: bytes, headers: dict[str, str], **options: Any
) -> tuple[int, Any]:
    intake.state = "starting"
    async with running(Webhook("/ce", auth=None, name="ce", **options), intake):
        await intake.wait_until(lambda: intake.state == "up")
        answer = await intake.routes["/ce"].handler(request(body, headers))
    return answer.status, orjson.loads(answer.body)


async def binary(
    intake: RecordingIntake, attributes: dict[str, str], body: bytes = b'{"n":1}', **options: Any
) -> tuple[int, Any]:
    headers = {f"ce-{name}": text for name, text in attributes.items()}
    return await post(intake, body, {"content-type": "application/json", **headers}, **options)


async def structured(
    intake: RecordingIntake, envelope: dict[str, Any], **options: Any
) -> tuple[int, Any]:
    return await post(intake, orjson.dumps(envelope), {"content-type": STRUCTURED}, **options)


@pytest.fixture
def intake() -> RecordingIntake:
    return RecordingIntake("ce")


async def test_a_binary_event_keeps_its_attributes(intake: RecordingIntake) -> None:
    more = {"subject": "a/b", "time": "2018-04-05T17:31:00.123456789+02:00", "traceparent": "00-x"}
    status, content = await binary(intake, {**ATTRIBUTES, **more})
    assert (status, content) == (202, {"id": "A234-1234-1234", "duplicate": False})
    (event,) = intake.events
    assert (event.id, event.source, event.type, event.subject, event.data) == (
        "A234-1234-1234",
        "ce#/mycontext/4",
        "com.example.someevent",
        "a/b",
        {"n": 1},
    )
    assert event.time == datetime(2018, 4, 5, 15, 31, 0, 123456, tzinfo=UTC)


async def test_a_structured_event_keeps_its_attributes(intake: RecordingIntake) -> None:
    more = {"subject": "a/b", "time": "2018-04-05T17:31:00Z", "data": {"n": 1}}
    status, _ = await structured(intake, {**ATTRIBUTES, **more})
    assert status == 202
    (event,) = intake.events
    assert (event.id, event.source, event.type, event.subject, event.data) == (
        "A234-1234-1234",
        "ce#/mycontext/4",
        "com.example.someevent",
        "a/b",
        {"n": 1},
    )
    assert event.time == datetime(2018, 4, 5, 17, 31, tzinfo=UTC)


async def test_the_same_event_in_either_mode_is_one(intake: RecordingIntake) -> None:
    await binary(intake, ATTRIBUTES)
    status, content = await structured(intake, {**ATTRIBUTES, "data": {"n": 1}})
    assert (status, content["duplicate"], len(intake.events)) == (202, True, 1)


async def test_the_same_id_of_another_source_is_another_event(intake: RecordingIntake) -> None:
    await binary(intake, ATTRIBUTES)
    await binary(intake, {**ATTRIBUTES, "source": "/other"})
    assert [event.source for event in intake.events] == ["ce#/mycontext/4", "ce#/other"]


async def test_no_source_reaches_outside_its_sensor(intake: RecordingIntake) -> None:
    await binary(intake, {**ATTRIBUTES, "source": "files"})
    assert intake.events[0].source == "ce#files"


async def test_an_event_without_data_has_none(intake: RecordingIntake) -> None:
    await binary(intake, ATTRIBUTES, b"")
    await structured(intake, {**ATTRIBUTES, "id": "2"})
    assert [event.data for event in intake.events] == [None, None]


async def test_data_in_base64_is_decoded(intake: RecordingIntake) -> None:
    encoded = base64.b64encode(b'{"n": 1}').decode()
    status, _ = await structured(intake, {**ATTRIBUTES, "data_base64": encoded})
    assert (status, intake.events[0].data) == (202, {"n": 1})


async def test_header_values_are_decoded_once(intake: RecordingIntake) -> None:
    headers = {**ATTRIBUTES, "subject": "Euro%20%E2%82%AC%20%F0%9F%98%80 %2541", "id": '"a\\"b"'}
    await binary(intake, headers)
    assert (intake.events[0].subject, intake.events[0].id) == ("Euro € 😀 %41", 'a"b')


async def test_the_models_errors_are_told_of_structured_data(intake: RecordingIntake) -> None:
    status, content = await structured(
        intake, {**ATTRIBUTES, "data": {"n": "x"}}, model=dict[str, int]
    )
    assert (status, content["dead_letter"]) == (422, True)
    assert (intake.rejected[0].reason, intake.rejected[0].event_id) == (
        "breaks_model",
        "/mycontext/4#A234-1234-1234",
    )


@pytest.mark.parametrize("mode", [binary, structured])
async def test_a_redriven_event_is_the_one_it_would_have_been(
    intake: RecordingIntake, mode: Any
) -> None:
    more = {"subject": "s", "time": "2018-04-05T17:31:00Z"}
    if mode is structured:
        more["data"] = {"n": 1}  # type: ignore[assignment]  # a structured event has members of any type
    await mode(intake, {**ATTRIBUTES, **more}, model=dict[str, str])
    await mode(intake, {**ATTRIBUTES, **more}, model=dict[str, int])
    (letter,), (event,) = intake.rejected, intake.events
    mended = Webhook("/ce", auth=None, name="ce", model=dict[str, int])
    revived = mended.revive(
        letter.raw, event_id=letter.event_id, subject=letter.subject, at=NEW_YEAR
    )
    assert revived == event


async def test_two_sources_with_one_id_make_two_dead_letters(intake: RecordingIntake) -> None:
    await binary(intake, ATTRIBUTES, b"{")
    await binary(intake, {**ATTRIBUTES, "source": "/other"}, b"{")
    assert len(intake.rejected) == 2


async def test_a_signed_identity_stands_above_unsigned_headers(intake: RecordingIntake) -> None:
    for source in ("/a", "/b"):
        headers = {f"ce-{name}": text for name, text in ATTRIBUTES.items()}
        headers |= {"ce-source": source, "webhook-id": "msg_1"}
        await post(intake, b"{}", headers, scheme="standard")
    assert [(event.source, event.id) for event in intake.events] == [("ce", "msg_1")]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": None}, "id"),
        ({"source": None}, "source"),
        ({"type": None}, "type"),
        ({"id": ""}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"source": "x" * 501}, "source"),
        ({"type": "a\x00b"}, "type"),
        ({"subject": ""}, "subject"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2018-04-05T17:31:00"}, "time"),
        ({"time": "2018-04-05"}, "time"),
        ({"time": "2018-02-31T17:31:00Z"}, "time"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "time"),
    ],
)
@pytest.mark.parametrize("mode", [binary, structured])
async def test_an_invalid_event_is_refused_by_name(
    intake: RecordingIntake, mode: Any, change: dict[str, str | None], named: str
) -> None:
    changed = {**ATTRIBUTES, **change}
    status, content = await mode(
        intake, {name: text for name, text in changed.items() if text is not None}
    )
    assert status == 400
    assert named in content["error"]
    assert not intake.events
    assert not intake.rejected


@pytest.mark.parametrize(
    "envelope",
    [
        {**ATTRIBUTES, "id": 7},
        {**ATTRIBUTES, "source": ["/a"]},
        {**ATTRIBUTES, "time": 0},
        {**ATTRIBUTES, "data": 1, "data_base64": "MQ=="},
        {**ATTRIBUTES, "data_base64": "?"},
        {**ATTRIBUTES, "data_base64": "é"},
        {**ATTRIBUTES, "data_base64": 1},
        [ATTRIBUTES],
        "event",
        None,
    ],
)
async def test_an_envelope_of_wrong_types_is_refused(
    intake: RecordingIntake, envelope: Any
) -> None:
    status, _ = await structured(intake, envelope)
    assert status == 400


async def test_a_header_that_is_no_utf8_is_refused(intake: RecordingIntake) -> None:
    status, content = await binary(intake, {**ATTRIBUTES, "subject": "%FF"})
    assert (status, content["error"]) == (
        400,
        "the header ce-subject is not percent-encoded UTF-8",
    )


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents-batch+json", "application/cloudevents+avro"]
)
async def test_batches_and_other_formats_are_not_taken(
    intake: RecordingIntake, content_type: str
) -> None:
    status, content = await post(intake, b"[]", {"content-type": content_type})
    assert status == 415
    assert "one at a time" in content["error"]


async def test_data_in_base64_that_is_no_json_becomes_a_dead_letter(
    intake: RecordingIntake,
) -> None:
    status, _ = await structured(intake, {**ATTRIBUTES, "data_base64": "/w=="})
    assert (status, intake.rejected[0].reason) == (422, "not_json")


async def test_an_event_without_time_happened_when_it_came() -> None:
    intake = RecordingIntake("ce")
    before = intake.clock.now()
    await binary(intake, ATTRIBUTES)
    assert timedelta(0) <= intake.events[0].time - before < timedelta(minutes=1)
