"""What a schema registry answers, and what becomes of the records: a registry on a real socket."""

from __future__ import annotations

import asyncio
import io
import shutil
import ssl
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from pydantic import Base64Bytes, BaseModel

from reactor.api import Event, Rejected, SettingsError
from reactor.testing import RecordingIntake
from reactor.testing.schema_registry import SchemaRegistry
from reactor_sensors import _registry_client
from reactor_sensors._kafka_hand import place_of
from reactor_sensors._kafka_journal import Journal
from reactor_sensors._kafka_poison import RegistryError
from reactor_sensors._kafka_positions import Partition
from reactor_sensors._kafka_record import Decoder, Origin
from reactor_sensors._kafka_schemas import Schemas
from reactor_sensors._registry_access import RegistryAccess
from reactor_sensors.kafka import Kafka
from tests.sensors.raw_record import Raw, at_once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

pytestmark = pytest.mark.real_time

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin(source="kafka://c/orders@g1", topic="orders", partition=0, generation="g1")
ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "number", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "raw", "type": "bytes"},
    ],
}


class Order(BaseModel):
    number: int
    at: datetime
    raw: Base64Bytes


def order(number: int = 3) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, ORDER, {"number": number, "at": NOW, "raw": b"\xff"})
    return stream.getvalue()


def framed(schema: int, payload: bytes) -> bytes:
    return b"\x00" + schema.to_bytes(4, "big") + payload


@pytest.fixture
async def registry() -> AsyncIterator[SchemaRegistry]:
    async with SchemaRegistry() as registry:
        yield registry


def schemas_of(registry: SchemaRegistry, kind: Any = "avro", **access: str) -> Schemas:
    return Schemas(kind, RegistryAccess(url=registry.url, **access), RecordingIntake())


def decoder(schemas: Schemas, model: Any = None, kind: Any = "avro") -> Decoder:
    return Decoder(kind, model, largest_bytes=10_000, schemas=schemas)


async def made(registry: SchemaRegistry, raw: Raw, kind: Any = "avro", model: Any = None) -> Any:
    reading = decoder(schemas_of(registry, kind), model, kind)
    await reading.prepare([raw])
    assert not reading.lacks_schema(raw)
    return reading.decode(ORIGIN, raw, now=NOW)


async def trouble(registry: SchemaRegistry, **access: str) -> str:
    schemas = schemas_of(registry, **access)
    with pytest.raises(RegistryError) as caught:
        await schemas.fetch([1])
    assert schemas.lacks(1)
    return str(caught.value)


async def test_a_value_is_read_by_the_schema_that_it_names(registry: SchemaRegistry) -> None:
    raw = Raw(value=framed(registry.register(ORDER), order()))
    event = await made(registry, raw)
    assert event.data.value == {"number": 3, "at": "2026-01-01T00:00:00+00:00", "raw": "/w=="}
    assert registry.asked == ["/schemas/ids/1"]


async def test_a_model_is_read_on_top_of_the_schema(registry: SchemaRegistry) -> None:
    raw = Raw(value=framed(registry.register(ORDER), order()))
    event = await made(registry, raw, model=Order)
    assert (event.data.value.at, event.data.value.raw) == (NOW, b"\xff")
    poison = await made(registry, raw, model=dict[str, int])
    assert (poison.reason, poison.detail[:9]) == ("breaks_model", "schema 1:")


async def test_json_is_checked_by_the_schema_that_it_names(registry: SchemaRegistry) -> None:
    number = registry.register({"type": "integer"}, kind="JSON")
    event = await made(registry, Raw(value=framed(number, b" 7")), "json-schema")
    assert event.data.value == 7
    poison = await made(registry, Raw(value=framed(number, b'"a"')), "json-schema")
    assert (poison.reason, "schema 1: " in poison.detail) == ("breaks_schema", True)


async def test_a_header_may_name_the_schema_by_its_guid(registry: SchemaRegistry) -> None:
    guid = registry.guid(registry.register(ORDER))
    name = ("__value_schema_id", b"\x01" + guid.bytes)
    event = await made(registry, Raw(value=order(), headers=[name]))
    assert event.data.value["number"] == 3
    assert registry.asked == [f"/schemas/guids/{guid}"]


async def test_what_a_schema_refers_to_is_read_with_it(registry: SchemaRegistry) -> None:
    registry.register("""{"type": "fixed", "name": "a.Zip", "size": 1}""", subject="zips")
    registry.register(
        {"type": "record", "name": "a.To", "fields": [{"name": "zip", "type": "Zip"}]},
        references=[("a.Zip", "zips")],
        subject="dir/to",
    )
    root = {"type": "array", "items": "a.To"}
    number = registry.register(root, references=[("a.To", "dir/to"), ("a.Zip", "zips")])
    event = await made(registry, Raw(value=framed(number, b"\x02\xff\x00")))
    assert event.data.value == [{"zip": "/w=="}]
    assert len(registry.asked) == 3


async def test_schemas_that_refer_to_each_other_are_refused(registry: SchemaRegistry) -> None:
    registry.register({"type": "array", "items": "B"}, references=[("B", "b")], subject="a")
    number = registry.register('"B"', references=[("A", "a"), ("B", "b")], subject="b")
    poison = await made(registry, Raw(value=framed(number, b"")))
    assert poison.reason == "bad_schema"
    assert len(registry.asked) < 10


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b"", ()),
        (b"\x00\x00\x00\x01", ()),
        (b"\x00\xff\xff\xff\xff", ()),
        (b"\x01short", ()),
        (b'{"a": 1}', ()),
        (b"x", [("__value_schema_id", b"\x00\x00\x00\x00\x01 ")]),
    ],
)
async def test_a_value_that_names_no_schema_is_poison_and_nobody_is_asked(
    value: bytes, headers: Any, registry: SchemaRegistry
) -> None:
    poison = await made(registry, Raw(value=value, headers=headers))
    assert (poison.reason, registry.asked) == ("not_framed", [])


async def test_a_tombstone_needs_no_schema(registry: SchemaRegistry) -> None:
    assert (await made(registry, Raw(value=None))).data.value is None


async def test_a_schema_that_is_not_there_is_poison_that_names_it(registry: SchemaRegistry) -> None:
    poison = await made(registry, Raw(value=framed(9, b"")))
    assert isinstance(poison, Rejected)
    assert (poison.reason, poison.subject) == ("unknown_schema", "k")
    assert "schema 9: the registry has no /schemas/ids/9" in poison.detail


async def test_a_registry_that_says_not_found_in_its_own_way_is_believed_where_it_is_one(
    registry: SchemaRegistry,
) -> None:
    registry.misbehave(lambda path: (404, b"") if "/ids/" in path else None)
    assert (await made(registry, Raw(value=framed(1, b"")))).reason == "unknown_schema"
    assert registry.asked == ["/schemas/ids/1", "/schemas/types"]


async def test_a_schema_of_another_kind_is_poison(registry: SchemaRegistry) -> None:
    number = registry.register('syntax = "proto3";', kind="PROTOBUF")
    poison = await made(registry, Raw(value=framed(number, b"")))
    assert (poison.reason, "PROTOBUF" in poison.detail) == ("bad_schema", True)


async def test_an_answer_without_an_end_is_poison(registry: SchemaRegistry) -> None:
    registry.register("x" * (_registry_client.LARGEST_ANSWER_BYTES + 1))
    poison = await made(registry, Raw(value=framed(1, b"")))
    assert (poison.reason, "larger than" in poison.detail) == ("bad_schema", True)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, b"", "answers 500"),
        (503, b"{}", "answers 503"),
        (429, b"", "answers 429"),
        (403, b"", "refuses the credentials (403)"),
        (302, b"", "redirects (302)"),
        (200, b"<html>", "no schema"),
        (200, b'{"schema": 7}', "no schema"),
        (200, b'{"schema": "\\"int\\"", "references": [{}]}', "references"),
        (404, b"<html>", "no schema registry there"),
    ],
)
async def test_what_a_registry_may_answer_otherwise_later_is_trouble(
    status: int, body: bytes, why: str, registry: SchemaRegistry
) -> None:
    registry.misbehave(lambda _: (status, body))
    assert why in await trouble(registry)


async def test_a_registry_that_is_down_is_trouble_that_names_it(registry: SchemaRegistry) -> None:
    await registry.stop()
    assert (await trouble(registry)).startswith(f"schema registry {registry.url}: ")


async def test_a_registry_that_never_answers_is_trouble(
    registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_registry_client, "ANSWER_SECONDS", 0.05)
    silence = asyncio.Event()
    monkeypatch.setattr(registry, "_answer", lambda _: silence.wait())
    assert "no answer" in await trouble(registry)


async def test_credentials_are_read_by_reference_and_never_said(
    registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register('"int"')
    monkeypatch.setenv("SECRET", "hunter2")
    registry.authorization = "Bearer hunter2"
    schemas = schemas_of(registry, token="env:SECRET")
    await schemas.fetch([1])
    registry.authorization = "Basic YWxpY2U6aHVudGVyMg=="
    schemas = schemas_of(registry, username="alice", password="env:SECRET")
    await schemas.fetch([1])
    registry.authorization = "another"
    said = await trouble(registry, token="env:SECRET")
    assert "refuses the credentials (401)" in said
    assert "hunter2" not in said


async def test_a_secret_that_is_not_there_is_a_setting_to_correct(registry: SchemaRegistry) -> None:
    with pytest.raises(SettingsError, match="NOWHERE"):
        await schemas_of(registry, token="env:NOWHERE").expect_access()
    assert "NOWHERE" in await trouble(registry, token="env:NOWHERE")


async def test_an_authority_that_is_not_there_is_a_setting_to_correct(tmp_path: Path) -> None:
    access = RegistryAccess(url="https://localhost", ca="nowhere.pem")
    schemas = Schemas("avro", access, RecordingIntake(directory=tmp_path))
    with pytest.raises(SettingsError, match=r"registry_ca 'nowhere\.pem'"):
        await schemas.expect_access()


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """A server's context; the authority that signed it is cert.pem in `tmp_path`."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with; install it")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", f"{key}", "-out", f"{cert}"]
    subprocess.run(["openssl", *made.split(), *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def test_an_authority_of_ones_own_is_trusted_where_it_is_named(
    certificate: ssl.SSLContext, tmp_path: Path
) -> None:
    async with SchemaRegistry(tls=certificate) as registry:
        registry.register('"int"')
        intake = RecordingIntake(directory=tmp_path)
        access = RegistryAccess(url=registry.url, ca="cert.pem")
        await Schemas("avro", access, intake).fetch([1])
        assert "certificate" in (await trouble(registry)).lower()


async def test_a_schema_is_asked_for_once_however_many_need_it(registry: SchemaRegistry) -> None:
    registry.register('"int"')
    schemas = schemas_of(registry)
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(schemas.fetch([1, 1]), name=f"reader {number}")
    await schemas.fetch([1])
    assert registry.asked == ["/schemas/ids/1"]


async def test_a_schema_that_can_be_learnt_is_although_another_cannot(
    registry: SchemaRegistry,
) -> None:
    registry.register('"int"')
    registry.misbehave(lambda path: (500, b"") if path.endswith("2") else None)
    schemas = schemas_of(registry)
    with pytest.raises(RegistryError):
        await schemas.fetch([1, 2])
    assert (schemas.lacks(1), schemas.lacks(2)) == (False, True)


async def test_records_that_need_no_other_schema_go_on_while_others_wait(
    registry: SchemaRegistry,
) -> None:
    for _ in range(2):
        registry.register('"int"')
    registry.misbehave(lambda path: (503, b"") if path.endswith("/2") else None)
    intake, told = RecordingIntake("kafka"), []
    journal = Journal(
        intake, decoder(schemas_of(registry)), may_write=at_once, tell=lambda: told.append(1)
    )
    for number, schemas in ((0, [1, 2, 1]), (1, [1, 1])):
        origin = Origin(source="kafka://c/t@g", topic="t", partition=number, generation="g")
        records = [Raw(offset=at, value=framed(one, b"\x02")) for at, one in enumerate(schemas)]
        journal.offer(place_of(Partition("t", number), origin, "c"), records)
    writing = asyncio.create_task(journal.run(), name="journal")
    await registry.wait_until_asked(4)
    assert journal.written == {Partition("t", 0): 1, Partition("t", 1): 2}
    assert "answers 503" in journal.trouble
    registry.misbehave(None)
    await intake.wait_for_events(5)
    writing.cancel()
    await asyncio.wait([writing])
    assert journal.written == {Partition("t", 0): 3, Partition("t", 1): 2}
    assert (intake.incidents, intake.rejected, journal.trouble) == (["registry"], [], "")


async def test_a_revocation_does_not_wait_for_the_registry(registry: SchemaRegistry) -> None:
    registry.misbehave(lambda _: (503, b""))
    intake = RecordingIntake("kafka")
    journal = Journal(intake, decoder(schemas_of(registry)), may_write=at_once)
    place = place_of(Partition("orders", 0), ORIGIN, "c")
    journal.offer(place, [Raw(value=framed(1, b"\x02"))])
    writing = asyncio.create_task(journal.run(), name="journal")
    await registry.wait_until_asked(1)
    async with asyncio.timeout(30):
        await journal.settle(grace_seconds=3600)
    registry.misbehave(None)
    registry.register('"int"')
    journal.offer(place, [Raw(value=framed(1, b"\x02"))])
    await intake.wait_for_events(1)
    writing.cancel()
    await asyncio.wait([writing])
    assert journal.written == {Partition("orders", 0): 8}


def kafka(**options: Any) -> Kafka:
    return Kafka("orders", **{"bootstrap_servers": "h:1", "group": "g", **options})


async def test_a_dead_letter_is_read_again_once_the_schema_is_there(
    registry: SchemaRegistry,
) -> None:
    poison = await made(registry, Raw(value=framed(1, order())))
    sensor = kafka(decode="avro", registry=registry.url, model=Order)
    intake = RecordingIntake("kafka")

    async def revived() -> Event[Any]:
        found: Awaitable[Event[Any]] | Event[Any] = sensor.revive(
            poison.raw, event_id="x", subject=None, at=NOW
        )
        assert not isinstance(found, Event)
        return await found

    with pytest.raises(ValueError, match="does not run yet"):
        await revived()
    running = asyncio.create_task(sensor.run(intake), name="sensor")
    await intake.wait_until(lambda: intake.state != "starting")
    await registry.stop()
    with pytest.raises(ValueError, match="schema registry"):
        await revived()
    await registry.start()
    registry.register(ORDER)
    assert (await revived()).data.value.number == 3
    running.cancel()
    await asyncio.wait([running])


def test_a_sensor_that_ran_is_equal_to_one_that_did_not() -> None:
    one, other = (kafka(decode="avro", registry="http://r:8081") for _ in range(2))
    one._running.schemas = Schemas("avro", RegistryAccess(url="http://r"), RecordingIntake())
    assert one == other
    assert hash(one) == hash(other)
