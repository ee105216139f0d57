"""The sensors that come with Reactor. Each is one module and uses nothing of the core but `reactor.api`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reactor_sensors.files import FileArrived, Files, marker, stable
    from reactor_sensors.kafka import Kafka, KafkaRecord
    from reactor_sensors.timers import At, Cron, Every, Tick
    from reactor_sensors.webhook import Webhook

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


_MODULES = {
    "files": ("FileArrived", "Files", "marker", "stable"),
    "kafka": ("Kafka", "KafkaRecord"),
    "timers": ("At", "Cron", "Every", "Tick"),
    "webhook": ("Webhook",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    # Not at the head: each costs a daemon some 10 ms of its start and its memory, and few use them all.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
