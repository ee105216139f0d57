"""The sensors that come with Reactor. Each is one module and uses nothing of the core but `reactor.api`."""

from typing import TYPE_CHECKING, Any

from reactor_sensors.files import FileArrived, Files, marker, stable
from reactor_sensors.timers import At, Cron, Every, Tick
from reactor_sensors.webhook import Webhook

if TYPE_CHECKING:
    from reactor_sensors.kafka import Kafka, KafkaRecord

__all__ = [
    "At",
    "Cron",
    "Every",
    "FileArrived",
    "Files",
    "Kafka",
    "KafkaRecord",
    "Tick",
    "Webhook",
    "marker",
    "stable",
]


def __getattr__(name: str) -> Any:
    # Not at the head: it would cost every daemon 10 ms of its start, and most read no topic.
    if name in ("Kafka", "KafkaRecord"):
        from reactor_sensors import kafka

        return getattr(kafka, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
