"""TLS, client certificates and bearer tokens between the Kafka sensor and a real broker."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from confluent_kafka import Producer
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from reactor.testing import RecordingIntake, running
from reactor.testing.kafka_broker import KafkaBroker
from reactor.testing.kafka_listeners import BrokerTls
from reactor_sensors.kafka import Kafka
from tests.kafka.conftest import started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.real_time

SECRET_MARK = "canary-7f3a"


class Certificates:
    """An authority of this session, the certificates that it signed, and an authority that nobody knows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        authority = trustme.CA()
        server = authority.issue_cert("127.0.0.1")
        elsewhere = authority.issue_cert("broker.example")
        client = authority.issue_cert("client@example.com")
        self.ca = self._write("ca.pem", authority.cert_pem.bytes())
        self.stranger = self._write("stranger.pem", trustme.CA().cert_pem.bytes())
        self.server = self._write("server.pem", _pkcs8(server) + _chain(server))
        self.elsewhere = self._write("elsewhere.pem", _pkcs8(elsewhere) + _chain(elsewhere))
        self.client = self._write("client.pem", _chain(client))
        self.client_key = self._write("client.key", _pkcs8(client, password=SECRET_MARK))

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path


def _pkcs8(certificate: trustme.LeafCert, password: str = "") -> bytes:
    # Kafka reads keys in no other form.
    key = load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    lock = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def _chain(certificate: trustme.LeafCert) -> bytes:
    return b"".join(part.bytes() for part in certificate.cert_chain_pems)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls_broker(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaBroker]:
    """A real broker with listeners for TLS, for client certificates, and for credentials within TLS."""
    broker = KafkaBroker(
        tmp_path_factory.mktemp("kafka-tls"),
        users={"alice": "alice-secret"},
        tls=BrokerTls(certificate=certificates.server, authority=certificates.ca),
    )
    with started(broker):
        yield broker


@pytest.fixture
def topic(tls_broker: KafkaBroker, create_topic_at: Callable[..., str]) -> str:
    """A topic on that broker with one record."""
    name = create_topic_at(tls_broker.bootstrap, 1)
    producer = Producer({"bootstrap.servers": tls_broker.bootstrap, "log_level": 3})
    producer.produce(name, b"1")
    assert producer.flush(20) == 0
    return name


@contextlib.asynccontextmanager
async def reading(bootstrap: str, topic: str, **options: Any) -> AsyncIterator[RecordingIntake]:
    intake = RecordingIntake("kafka")
    options = {
        name: str(value) if name.startswith("tls_") else value for name, value in options.items()
    }
    sensor = Kafka(topic, bootstrap_servers=bootstrap, group=topic, session_timeout="2s", **options)
    async with running(sensor, intake):
        await intake.wait_until(lambda: intake.state != "starting")
        yield intake


def unsecured_token(*, lasts: float = 600.0, subject: str = "carol") -> str:
    """Return an unsecured JSON Web Token (RFC 7519, 6), which Kafka's validator for tests takes."""
    now = time.time()
    claims = {"sub": subject, "iat": now - 1000, "exp": now + lasts, "mark": SECRET_MARK}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


async def test_records_come_through_tls_with_an_authority_of_ones_own(
    tls_broker: KafkaBroker, certificates: Certificates, topic: str
) -> None:
    async with reading(tls_broker.tls_bootstrap, topic, tls=True, tls_ca=certificates.ca) as intake:
        await intake.wait_for_events(1)


async def test_a_broker_of_another_authority_is_not_trusted(
    tls_broker: KafkaBroker, certificates: Certificates, topic: str
) -> None:
    async with reading(
        tls_broker.tls_bootstrap, topic, tls=True, tls_ca=certificates.stranger
    ) as intake:
        assert "the broker's certificate is not trusted" in intake.state
        assert "tls_ca must name the authority" in intake.state


async def test_a_broker_with_the_certificate_of_another_host_is_not_trusted(
    certificates: Certificates, start_broker: Callable[..., KafkaBroker]
) -> None:
    broker = start_broker(
        tls=BrokerTls(certificate=certificates.elsewhere, authority=certificates.ca)
    )
    async with reading(broker.tls_bootstrap, "any", tls=True, tls_ca=certificates.ca) as intake:
        assert "certificate is not valid for '127.0.0.1'" in intake.state


async def test_a_port_without_tls_is_said(
    tls_broker: KafkaBroker, certificates: Certificates, topic: str
) -> None:
    async with reading(tls_broker.bootstrap, topic, tls=True, tls_ca=certificates.ca) as intake:
        assert "does that port speak TLS" in intake.state


async def test_a_port_with_tls_that_is_spoken_to_without_is_said(
    tls_broker: KafkaBroker, topic: str
) -> None:
    async with reading(tls_broker.tls_bootstrap, topic) as intake:
        assert "does that port ask for TLS (tls=True)" in intake.state


async def test_a_port_with_credentials_that_is_spoken_to_without_is_said(
    tls_broker: KafkaBroker, topic: str
) -> None:
    async with reading(tls_broker.sasl_bootstrap, topic) as intake:
        assert "or for credentials (sasl=)" in intake.state


async def test_a_client_shows_its_certificate(
    tls_broker: KafkaBroker,
    certificates: Certificates,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("KEY_PASSWORD", SECRET_MARK)
    async with reading(
        tls_broker.mutual_tls_bootstrap,
        topic,
        tls=True,
        tls_ca=certificates.ca,
        tls_cert=certificates.client,
        tls_key=certificates.client_key,
        tls_key_password="env:KEY_PASSWORD",
    ) as intake:
        await intake.wait_for_events(1)
    assert SECRET_MARK not in caplog.text


async def test_a_client_without_a_certificate_is_told_that_it_needs_one(
    tls_broker: KafkaBroker, certificates: Certificates, topic: str
) -> None:
    async with reading(
        tls_broker.mutual_tls_bootstrap, topic, tls=True, tls_ca=certificates.ca
    ) as intake:
        assert "ask for a client certificate (tls_cert)" in intake.state


async def test_a_token_opens_the_broker_and_is_asked_for_at_each_connection(
    tls_broker: KafkaBroker,
    certificates: Certificates,
    topic: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    calls: list[str] = []

    async def token() -> str:
        calls.append(unsecured_token())
        return calls[-1]

    async with reading(
        tls_broker.sasl_tls_bootstrap,
        topic,
        tls=True,
        tls_ca=certificates.ca,
        sasl="OAUTHBEARER",
        token=token,
    ) as intake:
        await intake.wait_for_events(1)
    # To the address given, to the broker that it names, and to the group's coordinator.
    assert len(calls) >= 3
    assert caplog.text.count("Authenticated via OAUTHBEARER") == len(calls)
    assert not any(call in caplog.text for call in calls)


async def test_a_token_that_is_refused_is_said_and_not_shown(
    tls_broker: KafkaBroker,
    certificates: Certificates,
    topic: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    expired = unsecured_token(lasts=-300)

    async def token() -> str:
        return expired

    async with reading(
        tls_broker.sasl_tls_bootstrap,
        topic,
        tls=True,
        tls_ca=certificates.ca,
        sasl="OAUTHBEARER",
        token=token,
    ) as intake:
        assert "wrong credentials" in intake.state
        assert "invalid_token" in intake.state
        assert expired not in intake.state
    assert expired not in caplog.text


async def test_a_token_function_that_fails_is_asked_again_until_it_succeeds(
    tls_broker: KafkaBroker, certificates: Certificates, topic: str
) -> None:
    answers: list[str] = []

    async def token() -> str:
        if not answers:
            raise ConnectionError("the identity provider is away")
        return answers[0]

    async with reading(
        tls_broker.sasl_tls_bootstrap,
        topic,
        tls=True,
        tls_ca=certificates.ca,
        sasl="OAUTHBEARER",
        token=token,
    ) as intake:
        assert "the token= function failed: ConnectionError: the identity" in intake.state
        answers.append(unsecured_token())
        await intake.wait_for_events(1)
