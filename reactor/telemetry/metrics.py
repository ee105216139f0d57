"""Every metric of the daemon, in a registry of its own. docs/metrics.md explains them to operators.

The label budgets below add up to fewer than 2 000 series (GUARANTEES G32), whatever names come in.
"""

from __future__ import annotations

import platform
import threading
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from reactor.telemetry.families import MOST_WAITING, Counter, Histogram, mirrored_gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reactor.telemetry.fact import FrequentFact

_C = TypeVar("_C", bound=Collector)

OUTCOMES = ("succeeded", "failed", "timed_out", "cancelled", "skipped")
DELIVERIES = ("emitted", "delivered", "dead")
STAGES = ("observed", "durable", "started", "finished")

_FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0)
# Few and wide: this family is multiplied by every step there is.
_STEP = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the engine shows at one moment; a gauge is one of these values."""

    pending_runs: Mapping[str, int] = field(default_factory=dict)
    running_runs: Mapping[str, int] = field(default_factory=dict)
    credits_left: Mapping[str, float] = field(default_factory=dict)
    sensors_up: Mapping[str, bool] = field(default_factory=dict)
    lag_records: Mapping[str, float] = field(default_factory=dict)
    lag_seconds: Mapping[str, float] = field(default_factory=dict)
    outbox_pending: Mapping[str, int] = field(default_factory=dict)
    paused_partitions: Mapping[str, int] = field(default_factory=dict)


class Metrics:
    """Counts of what happened, and the page that Prometheus scrapes.

    Counting and rendering may be done from any thread. Counts only ever grow.
    """

    def __init__(self, *, release: str | None = None) -> None:
        self.registry = CollectorRegistry()
        self._waiting: dict[type[FrequentFact], list[FrequentFact]] = {}
        self._lock = threading.Lock()
        # The first, so that the others show what waited.
        self._add(_Waiting(self.count_waiting))
        self._declare_events()
        self._declare_edges()
        self._declare_runs()
        self._declare_outbox()
        self._declare_daemon()
        self._gauges = self._add(_EngineGauges())
        self._add(_BuildInfo(release or _installed_release()))
        ProcessCollector(registry=self.registry)

    def collect_from(self, read: Callable[[], Readings]) -> None:
        """Show what `read` returns at every scrape; replaces an earlier one.

        It is called in the thread that calls `render`, and must not wait.
        """
        self._gauges.read = read

    def count_later(self, fact: FrequentFact) -> None:
        """Count a fact together with others of its kind, before anybody looks."""
        waiting = self._waiting.get(type(fact))
        if waiting is None:
            with self._lock:
                waiting = self._waiting.setdefault(type(fact), [])
        waiting.append(fact)
        if len(waiting) >= MOST_WAITING:
            self.count_waiting()

    def count_waiting(self) -> None:
        """Count all facts that wait to be."""
        with self._lock:
            for kind, waiting in self._waiting.items():
                # Other threads may add more meanwhile, behind these.
                facts = waiting[:]
                del waiting[: len(facts)]
                kind.count_all(facts, self)

    def render(self, accept: str | None = None) -> tuple[bytes, str]:
        """Return the page and its content type; OpenMetrics if the header `Accept` asks for it."""
        encode, content_type = choose_encoder(accept or "")
        return encode(self.registry), content_type

    def _declare_events(self) -> None:
        self.events_accepted = self._add(
            Counter(
                "reactor_events_accepted",
                "Events made durable for the first time.",
                ("sensor",),
                limit=100,
            )
        )
        self.events_duplicate = self._add(
            Counter(
                "reactor_events_duplicate",
                "Events offered again after they had been made durable.",
                ("sensor",),
                limit=100,
            )
        )
        self.events_refused = self._add(
            Counter(
                "reactor_events_refused",
                "Events refused for want of credit; their source was told to come again.",
                ("sensor",),
                limit=40,
            )
        )
        self.dead_letters = self._add(
            Counter(
                "reactor_dead_letters",
                "Input and runs parked for a human.",
                ("sensor", "reason"),
                limit=150,
            )
        )
        self.skipped_occurrences = self._add(
            Counter(
                "reactor_skipped_occurrences",
                "Occurrences that were seen and on purpose not fired.",
                ("sensor", "reason"),
                limit=50,
            )
        )
        self.event_latency = self._add(
            Histogram(
                "reactor_event_latency_seconds",
                "Age of an event: when observed since it occurred, later since it was observed.",
                ("stage",),
                bounds=_LATENCY,
                limit=len(STAGES) + 2,
                closed={"stage": STAGES},
            )
        )

    def _declare_edges(self) -> None:
        self.sensor_incidents = self._add(
            Counter(
                "reactor_sensor_incidents",
                "What happened at sensors that matters by its rate, such as rebalances.",
                ("sensor", "reason"),
                limit=40,
            )
        )
        self.requests_shed = self._add(
            Counter(
                "reactor_requests_shed",
                "HTTP requests that became no event: cut off, or refused.",
                ("reason",),
                limit=20,
            )
        )

    def _declare_runs(self) -> None:
        self.runs = self._add(
            Counter(
                "reactor_runs",
                "Finished runs.",
                ("workflow", "outcome"),
                limit=200,
                closed={"outcome": OUTCOMES},
            )
        )
        self.steps = self._add(
            Counter(
                "reactor_steps",
                "Finished steps; attempts that are followed by another are not counted.",
                ("workflow", "step", "outcome"),
                limit=280,
                closed={"outcome": OUTCOMES},
            )
        )
        self.step_duration = self._add(
            Histogram(
                "reactor_step_duration_seconds",
                "Duration of every attempt of a step.",
                ("workflow", "step"),
                bounds=_STEP,
                limit=40,
            )
        )

    def _declare_outbox(self) -> None:
        self.outbox_records = self._add(
            Counter(
                "reactor_outbox_records",
                "Records that steps emitted, that were delivered, and that were parked as dead letters.",
                ("outcome",),
                limit=len(DELIVERIES) + 2,
                closed={"outcome": DELIVERIES},
            )
        )
        self.outbox_stalls = self._add(
            Counter("reactor_outbox_stalls", "Tries to deliver that failed and are repeated.")
        )

    def _declare_daemon(self) -> None:
        self.commit_duration = self._add(
            Histogram("reactor_commit_seconds", "Duration of a commit of the store.", bounds=_FAST)
        )
        self.commit_size = self._add(
            Histogram(
                "reactor_commit_batch_size",
                "Transactions in one commit of the store.",
                bounds=_SIZES,
            )
        )
        self.loop_lag = self._add(
            Histogram(
                "reactor_loop_lag_seconds",
                "How late the event loop ran a callback that was due.",
                bounds=_FAST,
            )
        )

    def _add(self, collector: _C) -> _C:
        self.registry.register(collector)
        return collector


class _Waiting(Collector):
    """Has facts counted that wait, when somebody looks; shows nothing itself."""

    def __init__(self, count: Callable[[], None]) -> None:
        self._count = count

    def collect(self) -> Iterator[Metric]:
        self._count()
        return iter(())


class _EngineGauges(Collector):
    """Values that the engine keeps anyway, read only when somebody looks."""

    def __init__(self) -> None:
        self.read: Callable[[], Readings] = Readings

    def collect(self) -> Iterator[Metric]:
        now = self.read()
        yield mirrored_gauge(
            "reactor_pending_runs",
            "Runs that wait to be started.",
            "workflow",
            now.pending_runs,
            limit=100,
            merge=sum,
        )
        yield mirrored_gauge(
            "reactor_running_runs",
            "Runs in flight.",
            "workflow",
            now.running_runs,
            limit=100,
            merge=sum,
        )
        yield mirrored_gauge(
            "reactor_outbox_pending",
            "Records that steps emitted and nobody has acknowledged yet.",
            "workflow",
            now.outbox_pending,
            limit=15,
            merge=sum,
        )
        yield mirrored_gauge(
            "reactor_credits",
            "Credits left before sources are slowed down.",
            "kind",
            now.credits_left,
            limit=20,
            merge=sum,
        )
        yield mirrored_gauge(
            "reactor_sensor_up",
            "Whether the sensor watches its source; __other__ is 1 when all of the others do.",
            "sensor",
            now.sensors_up,
            limit=100,
            merge=min,
        )
        yield mirrored_gauge(
            "reactor_sensor_lag_records",
            "Records that the source has and the sensor has not handled, where it can tell.",
            "sensor",
            now.lag_records,
            limit=20,
            merge=sum,
        )
        yield mirrored_gauge(
            "reactor_sensor_lag_seconds",
            "Age of the oldest record that the sensor has not handled, where it can tell.",
            "sensor",
            now.lag_seconds,
            limit=20,
            merge=max,
        )
        yield mirrored_gauge(
            "reactor_sensor_paused_partitions",
            "Partitions that are not read now for want of credit, of sensors that have partitions.",
            "sensor",
            now.paused_partitions,
            limit=20,
            merge=sum,
        )


class _BuildInfo(Collector):
    def __init__(self, release: str) -> None:
        self._labels = {"version": release, "python": platform.python_version()}

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("reactor_build", "What is running.", value=self._labels)


def _installed_release() -> str:
    try:
        return version("reactor")
    except PackageNotFoundError:
        return "unknown"
