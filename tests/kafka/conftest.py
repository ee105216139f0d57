"""Brokers for tests: a real one for all, a real one to break, and the mock that lives in librdkafka.

What the fixtures give:
- `broker`: the real broker of the session, of $REACTOR_TEST_KAFKA or one that is started
- `create_topic(partitions=3, **config)` and `topic`: fresh topics on it, deleted afterwards
- `broker_to_break`: a real broker that a test may kill, suspend and restart; it runs again for the next
- `start_broker(**options)`: starts one of the test's own, with the options of KafkaBroker
- `sasl_broker`: a real broker of the session with the users of SASL_USERS
- `create_topic_at(address, partitions=3, **config)`: a fresh topic on any broker, left there
- `mock_broker`: the address of a mock; any topic that is asked for exists, with 4 partitions
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from reactor.testing.java import UnavailableError
from reactor.testing.kafka_broker import BROKER_VARIABLE, ForeignBroker, KafkaBroker

ANSWER_TIMEOUT_SECONDS = 20.0
DEFAULT_PARTITIONS = 3
SASL_USERS = {"alice": "alice-secret", "bob": "bob-secret"}
# librdkafka tells on standard error of every connection that ends; errors are enough.
QUIET = {"log_level": 3}


def started(broker: KafkaBroker) -> KafkaBroker:
    """Start a broker; without Java or Maven the test is skipped, and in CI it fails."""
    try:
        return broker.start()
    except UnavailableError as error:
        message = (
            f"no Kafka broker: {error}\n"
            f"Or name the address of a broker that may be written to: {BROKER_VARIABLE}=HOST:PORT"
        )
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker | ForeignBroker]:
    """The real broker that tests share: of $REACTOR_TEST_KAFKA, or else started for the session."""
    if address := os.environ.get(BROKER_VARIABLE):
        expect_answer(address)
        yield ForeignBroker(bootstrap=address)
        return
    with started(KafkaBroker(tmp_path_factory.mktemp("kafka"))) as own:
        yield own


def expect_answer(address: str) -> None:
    try:
        admin(address).list_topics(timeout=ANSWER_TIMEOUT_SECONDS)
    except KafkaException as error:
        pytest.fail(
            f"the broker of {BROKER_VARIABLE}={address} does not answer ({error}); expected one "
            "that serves without credentials. Start it, or unset the variable to have one started",
            pytrace=False,
        )


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[Callable[..., KafkaBroker]]:
    """A function that starts a real broker of the test's own, with the options of KafkaBroker."""
    with ExitStack() as stack:

        def start(name: str = "kafka", **options: Any) -> KafkaBroker:
            return stack.enter_context(started(KafkaBroker(tmp_path / name, **options)))

        yield start


@pytest.fixture(scope="session")
def kept_to_break(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """What `broker_to_break` hands from test to test: a restart takes half the time of a new one."""
    with started(KafkaBroker(tmp_path_factory.mktemp("kafka-to-break"))) as own:
        yield own


@pytest.fixture
def broker_to_break(kept_to_break: KafkaBroker) -> KafkaBroker:
    """A real broker that the test may kill, suspend and restart, and need not repair.

    Topics and groups of earlier tests are still there: take names of your own.
    """
    if kept_to_break.is_running:
        kept_to_break.resume()
    return kept_to_break.start()


@pytest.fixture(scope="session")
def sasl_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A real broker that also has a listener for credentials; see KafkaBroker for its rules."""
    with started(KafkaBroker(tmp_path_factory.mktemp("kafka-sasl"), users=SASL_USERS)) as own:
        yield own


def admin(address: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": address, **QUIET})


def create_topic_on(client: AdminClient, partitions: int, config: Mapping[str, object]) -> str:
    name = f"reactor-test-{uuid.uuid4().hex[:12]}"
    settings = {key.replace("_", "."): str(value) for key, value in config.items()}
    wanted = NewTopic(name, num_partitions=partitions, replication_factor=1, config=settings)
    client.create_topics([wanted])[name].result(ANSWER_TIMEOUT_SECONDS)
    return name


@pytest.fixture
def create_topic_at() -> Callable[..., str]:
    """A function like that of `create_topic`, for the broker at an address."""

    def create(address: str, partitions: int = DEFAULT_PARTITIONS, **config: object) -> str:
        return create_topic_on(admin(address), partitions, config)

    return create


@pytest.fixture
def create_topic(broker: KafkaBroker | ForeignBroker) -> Iterator[Callable[..., str]]:
    """A function that creates a topic on `broker` and returns its name; deleted after the test.

    Its keywords are settings of the topic with `_` for `.`, such as `max_message_bytes=1_000`.
    """
    client = admin(broker.bootstrap)
    created: set[str] = set()

    def create(partitions: int = DEFAULT_PARTITIONS, **config: object) -> str:
        name = create_topic_on(client, partitions, config)
        created.add(name)
        return name

    yield create
    # A test may have deleted its topic itself.
    left = created & client.list_topics(timeout=ANSWER_TIMEOUT_SECONDS).topics.keys()
    for answer in client.delete_topics([*left]).values() if left else ():
        answer.result(ANSWER_TIMEOUT_SECONDS)


@pytest.fixture
def topic(request: pytest.FixtureRequest, create_topic: Callable[..., str]) -> str:
    """A fresh topic with 3 partitions; `parametrize("topic", [8], indirect=True)` makes them 8."""
    return create_topic(getattr(request, "param", DEFAULT_PARTITIONS))


@pytest.fixture
def mock_broker() -> Iterator[str]:
    """The address of librdkafka's mock broker: in this process, in memory, ready at once.

    It knows consumer groups, transactions and idempotent producers, and no administration: a topic
    exists as soon as it is asked for, with 4 partitions.
    """
    # The broker lives as long as the client that it came with.
    owner = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, **QUIET})
    only = owner.list_topics(timeout=ANSWER_TIMEOUT_SECONDS).brokers[1]
    yield f"{only.host}:{only.port}"
    del owner
