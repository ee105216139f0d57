"""The sensors that come with Reactor. Each is one module and uses nothing of the core but `reactor.api`."""

from reactor_sensors.files import FileArrived, Files, marker, stable
from reactor_sensors.timers import At, Cron, Every, Tick
from reactor_sensors.webhook import Webhook

__all__ = ["At", "Cron", "Every", "FileArrived", "Files", "Tick", "Webhook", "marker", "stable"]
