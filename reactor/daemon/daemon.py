"""The daemon: the one place where its parts are put together, and its life from start to end."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shutil
import signal
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from reactor.clock import SystemClock, monotonic, since_process_start
from reactor.daemon.control import Control
from reactor.daemon.health import Health
from reactor.daemon.notify import Notifier
from reactor.daemon.process import allow_open_files, settle_collector
from reactor.daemon.project import load_project
from reactor.daemon.settings import split_address
from reactor.daemon.token import admin_token
from reactor.daemon.watchdog import Watchdog
from reactor.engine.engine import Engine
from reactor.engine.executors import Executors
from reactor.engine.supervisor import Supervisor
from reactor.errors import DefinitionError, SettingsError, StoreError, StoreStoppedError
from reactor.model.definition import describe_graph
from reactor.store.contract import Retention
from reactor.store.sqlite import SqliteStore
from reactor.telemetry import Metrics, Readings, Telemetry
from reactor.telemetry.facts import (
    BatchCommitted,
    DaemonDraining,
    DaemonReady,
    DaemonStarted,
    DaemonStopped,
    DiskFull,
    DiskRecovered,
    ProjectReloaded,
    ProjectReloadFailed,
    StoreStopped,
)
from reactor.web.admin import AdminApi, admin_app
from reactor.web.hooks import HooksListener
from reactor.web.server import HttpServer

if TYPE_CHECKING:
    from types import CodeType

    from reactor.daemon.project import Project
    from reactor.daemon.settings import Settings

EXIT_OK = 0
EXIT_STORE = 5
EXIT_SECOND_SIGNAL = 130
RETENTION_SECONDS = 60.0
RETENTION_BATCH = 500
DAEMON_FILE = "daemon.json"


class Daemon:
    """One daemon over one state directory. `run` returns its exit code."""

    def __init__(self, settings: Settings, *, release: str) -> None:
        self._settings = settings
        self._release = release
        self._metrics = Metrics(release=release)
        self._telemetry = Telemetry(self._metrics)
        self._clock = SystemClock()
        self._end = asyncio.Event()
        self._why = ""
        self._signals = 0
        self._full_since = 0.0
        self._exit_code = EXIT_OK
        self._reload = asyncio.Event()
        self._step_of_code: dict[CodeType, str] = {}

    async def run(self) -> int:
        """Start, serve until a signal or a storage error, drain, and return the exit code.

        Raises SettingsError, DefinitionError or StoreError when it cannot start.
        """
        project = self._load()
        async with AsyncExitStack() as stack:
            store = await SqliteStore.open(
                self._settings.state,
                observe=self._observe,
                stopped=self._store_stopped,
                filled=self._disk_filled,
            )
            stack.push_async_callback(store.close)
            await self._serve(stack, store, project)
        return self._exit_code

    async def _serve(self, stack: AsyncExitStack, store: SqliteStore, project: Project) -> None:
        self._telemetry.emit(
            DaemonStarted(version=self._release, pid=os.getpid(), state=str(self._settings.state))
        )
        engine = Engine(
            store,
            clock=self._clock,
            telemetry=self._telemetry,
            executors=Executors(threads=self._settings.threads, processes=self._settings.processes),
            most_running=self._settings.most_running,
            most_bytes=self._settings.most_bytes,
        )
        hooks = HooksListener(*split_address(self._settings.hooks), telemetry=self._telemetry)
        supervisor = Supervisor(engine, hooks, Path.cwd())
        health = Health(engine, supervisor, stalled=self._settings.stalled)
        await hooks.start()
        stack.push_async_callback(hooks.stop, self._settings.drain.total_seconds())
        admin = await self._start_admin(stack, engine, supervisor, health)
        self._write_address_file(hooks.address, admin.address)
        stack.callback((self._settings.state / DAEMON_FILE).unlink, missing_ok=True)
        self._metrics.collect_from(lambda: self._readings(engine, supervisor))
        notifier = Notifier.from_environment(os.environ)
        stack.enter_context(
            Watchdog(
                self._telemetry,
                threshold=self._settings.blocked,
                describe=lambda frame: self._step_of_code.get(frame.f_code),
            )
        )
        with self._signal_handlers():
            await self._use(project, engine, supervisor, is_first=True)
            health.is_recovered = True
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        self._tell_when_ready(engine, supervisor, hooks, notifier),
                        name="readiness",
                    ),
                    group.create_task(self._keep_small(store), name="retention"),
                    group.create_task(
                        self._reload_on_demand(engine, supervisor, hooks, notifier),
                        name="reload",
                    ),
                    group.create_task(
                        notifier.keep_alive(lambda: health.progress().is_good),
                        name="watchdog pings",
                    ),
                ]
                await self._end.wait()
                for task in tasks:
                    task.cancel()
            notifier.stopping()
            left = await self._drain(engine, supervisor)
        self._telemetry.emit(DaemonStopped(exit_code=self._exit_code, left_running=left))

    async def _start_admin(
        self, stack: AsyncExitStack, engine: Engine, supervisor: Supervisor, health: Health
    ) -> HttpServer:
        control = Control(engine, supervisor)
        host, port = split_address(self._settings.admin)
        api = AdminApi(
            metrics=self._metrics.render,
            health=lambda: (health.progress().is_good, health.progress().reasons),
            readiness=lambda: (health.readiness().is_good, health.readiness().reasons),
            emit=control.emit,
            redrive=control.redrive,
            seek=control.seek,
        )
        hosts: list[str] = []
        app = admin_app(
            api,
            token=admin_token(self._settings.state),
            hosts=hosts,
            is_loopback=host in ("127.0.0.1", "::1", "localhost"),
        )
        server = HttpServer(app, host, port, telemetry=self._telemetry)
        await server.start()
        stack.push_async_callback(server.stop, 1.0)
        hosts += allowed_hosts(host, server.address)
        return server

    def _load(self) -> Project:
        if not self._settings.paths:
            raise SettingsError(
                "no workflows were named; give module files or folders of them: reactor run PATH…"
            )
        project = load_project(self._settings.paths)
        if project.faults:
            raise DefinitionError("\n".join(str(fault) for fault in project.faults))
        return project

    async def _use(
        self, project: Project, engine: Engine, supervisor: Supervisor, *, is_first: bool
    ) -> None:
        graphs = [*project.graphs.values()]
        self._step_of_code = {
            inspect.unwrap(step.function).__code__: f"{graph.name}.{step.name}"
            for graph in graphs
            for step in graph.steps
        }
        engine.define(graphs, project.sensors)
        if is_first:
            await engine.recover()
        else:
            await engine.take_over_pending()
        definitions = {graph.name: json.dumps(describe_graph(graph)) for graph in graphs}
        with suppress(StoreError):
            # Only for commands that read while the daemon is down; a full disk must not stop the start.
            await engine.store.save_definitions(definitions, self._clock.now_micros())
        settle_collector(is_first=is_first)
        await supervisor.run_only(project.sensors)
        self._counts = (len(project.graphs), len(project.sensors))

    async def _tell_when_ready(
        self, engine: Engine, supervisor: Supervisor, hooks: HooksListener, notifier: Notifier
    ) -> None:
        resumed = engine.running
        await supervisor.all_tried()
        hooks.settle()
        while troubles := supervisor.troubles():
            notifier.status("; ".join(f"{name}: {why}" for name, why in sorted(troubles.items())))
            await supervisor.next_change()
        workflows, sensors = self._counts
        self._telemetry.emit(
            DaemonReady(
                after=timedelta(seconds=since_process_start()),
                workflows=workflows,
                sensors=sensors,
                resumed_runs=resumed,
            )
        )
        notifier.ready()

    async def _reload_on_demand(
        self, engine: Engine, supervisor: Supervisor, hooks: HooksListener, notifier: Notifier
    ) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            started = monotonic()
            notifier.reloading()
            project = load_project(self._settings.paths)
            if project.faults:
                reason = "; ".join(str(fault) for fault in project.faults)
                self._telemetry.emit(ProjectReloadFailed(error=reason))
            else:
                await self._use(project, engine, supervisor, is_first=False)
                await supervisor.all_tried()
                hooks.settle()
                workflows, sensors = self._counts
                self._telemetry.emit(
                    ProjectReloaded(
                        workflows=workflows,
                        sensors=sensors,
                        duration=timedelta(seconds=monotonic() - started),
                    )
                )
            notifier.ready()

    async def _keep_small(self, store: SqliteStore) -> None:
        """Remove what is settled and older than the retention, a little at a time."""
        while True:
            before = self._clock.now_micros() - self._settings.retention // timedelta(
                microseconds=1
            )
            removed = 0
            with suppress(StoreError):
                removed = await store.remove_settled(
                    Retention(before=before, limit=RETENTION_BATCH)
                )
            await asyncio.sleep(0.05 if removed >= RETENTION_BATCH else RETENTION_SECONDS)

    async def _drain(self, engine: Engine, supervisor: Supervisor) -> int:
        self._telemetry.emit(
            DaemonDraining(why=self._why, running=engine.running, limit=self._settings.drain)
        )
        await supervisor.stop()
        if self._exit_code:
            return engine.running
        return await engine.drain(self._settings.drain.total_seconds())

    def _signal_handlers(self) -> _SignalHandlers:
        return _SignalHandlers(
            {
                signal.SIGTERM: lambda: self._on_end_signal("SIGTERM"),
                signal.SIGINT: lambda: self._on_end_signal("SIGINT"),
                signal.SIGHUP: self._reload.set,
            }
        )

    def _on_end_signal(self, name: str) -> None:
        self._signals += 1
        if self._signals > 1:
            # The operator insists. All that is durable stays so; runs in flight resume at the next start.
            os._exit(EXIT_SECOND_SIGNAL)
        self._why = name
        self._end.set()

    def _observe(self, seconds: float, size: int) -> None:
        self._telemetry.emit(BatchCommitted(duration_seconds=seconds, size=size))

    def _disk_filled(self, is_full: bool) -> None:
        state = self._settings.state
        if is_full:
            self._full_since = monotonic()
            with suppress(OSError):
                free = shutil.disk_usage(state).free
                self._telemetry.emit(DiskFull(path=str(state), free_bytes=free))
        else:
            lasted = timedelta(seconds=monotonic() - self._full_since)
            self._telemetry.emit(DiskRecovered(path=str(state), lasted=lasted))

    def _store_stopped(self, error: StoreStoppedError) -> None:
        self._telemetry.emit(StoreStopped(error=str(error)))
        self._exit_code = EXIT_STORE
        self._why = "storage error"
        self._end.set()

    def _readings(self, engine: Engine, supervisor: Supervisor) -> Readings:
        lanes = engine.scheduler.lanes
        lag_records, lag_seconds = supervisor.lags()
        return Readings(
            pending_runs={name: lane.pending for name, lane in lanes.items()},
            running_runs={name: lane.running for name, lane in lanes.items()},
            credits_left={
                "runs": sum(engine.credits[name].available for name in lanes),
                "bytes": engine.bytes.available,
            },
            sensors_up=supervisor.sensors_up(),
            lag_records=lag_records,
            lag_seconds=lag_seconds,
            outbox_pending=engine.outbox.waiting(),
            paused_partitions=supervisor.paused_partitions(),
        )

    def _write_address_file(self, hooks: Any, admin: Any) -> None:
        """Tell the command line where the daemon listens: real ports, not those asked for."""
        content = {
            "pid": os.getpid(),
            "hooks": spell_address(hooks),
            "admin": spell_address(admin),
            "started_at": self._clock.now().isoformat(),
        }
        path = self._settings.state / DAEMON_FILE
        scratch = path.with_suffix(".new")
        try:
            scratch.write_text(json.dumps(content) + "\n", encoding="utf-8")
            scratch.chmod(0o600)
            scratch.replace(path)
        except OSError as error:
            raise SettingsError(f"{path} cannot be written: {error.strerror}") from None


class _SignalHandlers:
    """Handles signals on the loop while the context is open."""

    def __init__(self, handlers: dict[signal.Signals, Any]) -> None:
        self._handlers = handlers
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> None:
        for number, handler in self._handlers.items():
            self._loop.add_signal_handler(number, handler)

    def __exit__(self, *_: object) -> None:
        for number in self._handlers:
            self._loop.remove_signal_handler(number)


def spell_address(address: tuple[str, int]) -> str:
    """Return HOST:PORT."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def allowed_hosts(host: str, address: tuple[str, int]) -> list[str]:
    """Return the Host headers that a browser or client sends to this address on purpose."""
    port = address[1]
    names = {host, address[0]}
    if names & {"127.0.0.1", "::1", "localhost"}:
        names |= {"127.0.0.1", "localhost", "::1"}
    return [spell_address((name, port)) for name in names]


def run_daemon(settings: Settings, *, release: str) -> int:
    """Run a daemon on the fastest loop there is, and return its exit code."""

    async def main() -> int:
        return await Daemon(settings, release=release).run()

    allow_open_files()
    return uvloop.run(main())
