"""The project that `reactor init --template kafka` writes, against a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer

from reactor.testing.process import TELL, DaemonProcess

if TYPE_CHECKING:
    from pathlib import Path

    from reactor.testing.kafka_broker import ForeignBroker, KafkaBroker

pytestmark = pytest.mark.real_time

FUTURE = "from __future__ import annotations\n"
# A step that lets the test see that the last one of the project has run.
WITNESS = """

@orders.step
async def told(book: str) -> None:
    tell(book)
"""


def reactor(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "reactor", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def produce(bootstrap: str, topic: str, *values: Any) -> None:
    """Send values and return when the broker has acknowledged them."""
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 3})
    for value in values:
        producer.produce(topic, value if isinstance(value, bytes) else json.dumps(value))
    assert producer.flush(10) == 0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new project, whose last step tells the test what was booked."""
    reactor("init", "shop", "--template", "kafka", folder=tmp_path)
    path = tmp_path / "shop" / "flows" / "orders.py"
    head, future, rest = path.read_text().partition(FUTURE)
    path.write_text(head + future + TELL + rest + WITNESS)
    return tmp_path / "shop"


def test_a_new_project_books_the_orders_of_a_broker_and_parks_what_is_none(
    project: Path, broker: KafkaBroker | ForeignBroker, topic: str
) -> None:
    order = {"number": 1, "customer": "ada", "amount": 8.5}
    produce(broker.bootstrap, topic, order, b"no order")
    daemon = DaemonProcess(
        state=project / ".reactor",
        directory=project,
        environment={
            "KAFKA_BOOTSTRAP": broker.bootstrap,
            "KAFKA_TOPIC": topic,
            "KAFKA_GROUP": topic,
        },
    )
    with daemon:
        daemon.wait_until_told("order 1 of ada: 8.50")
        produce(broker.bootstrap, topic, {**order, "number": 2})
        daemon.wait_until_told("order 2 of ada: 8.50")
        assert daemon.stop() == 0
    booked = [json.loads(path.read_text()) for path in (project / "booked").iterdir()]
    assert sorted(one["number"] for one in booked) == [1, 2]
    runs = json.loads(reactor("runs", "--json", folder=project))["runs"]
    assert [run["outcome"] for run in runs] == ["succeeded", "succeeded"]
    assert "not_json" in reactor("dead", folder=project)
    assert "balanced" in reactor("audit", folder=project)
