"""A thread that notices when the event loop stands still, and names the line that holds it.

While there is something to do, the loop sets a timer a few times per `threshold` and notes when it
ran; the thread sleeps until that note would be too old. A wake-up costs 80 to 230 µs on a small
virtual machine, so an idle daemon has no such timer: facts, which accompany all work, start it, and
it stops soon after the last one. In between, the thread merely looks now and then whether the loop
runs anything.
"""

from __future__ import annotations

import asyncio
import sys
import sysconfig
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from reactor.clock import monotonic
from reactor.telemetry.facts import LoopBlocked, LoopUnblocked

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from reactor.telemetry.fact import Fact
    from reactor.telemetry.telemetry import Telemetry

THRESHOLD = timedelta(milliseconds=100)
_LINGER = timedelta(milliseconds=250)
# All in thresholds. At rest a blockage is seen one look and half a threshold after it began.
_HEARTBEAT = 1 / 3
_LOOK = 1.2
_DOUBT = 0.5

_REACTOR_PACKAGES = ("reactor", "reactor_sensors", "reactor_handlers")
_PLACES = sysconfig.get_paths()
_STDLIB = tuple({_PLACES["stdlib"] + "/", _PLACES["platstdlib"] + "/", "<frozen "})
_INSTALLED = tuple({_PLACES["purelib"] + "/", _PLACES["platlib"] + "/"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the loop is held."""

    step: str | None
    file: str
    line: int
    function: str


class Watchdog:
    """Tells LoopBlocked once per blockage while it lasts, and LoopUnblocked when it is over.

    A blockage of at least `threshold` that begins within 250 ms of a fact, or of a call of `stir`,
    is named when it is `threshold` old; any other one when it is 1.7 times as old, if it lasts that
    long. None shorter than half of `threshold` is named. A call into C that keeps the interpreter
    lock (a pathological regular expression, say) stops this thread too, so it is named only when
    the lock is let go, if the same line still runs then.

    `describe` is asked about each frame on the loop's stack, innermost first, and returns the step
    that the frame belongs to, or None. It runs in the watchdog's thread and must not raise.

        with Watchdog(telemetry, describe=step_of_frame):     # on the running loop
            ...
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        threshold: timedelta = THRESHOLD,
        describe: Callable[[FrameType], str | None] | None = None,
    ) -> None:
        self._telemetry = telemetry
        self._threshold_seconds = threshold.total_seconds()
        self._heartbeat_seconds = self._threshold_seconds * _HEARTBEAT
        self._describe = describe or (lambda _: None)
        self._beat_at = self._stirred_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._timer: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self._outer: frozenset[CodeType] = frozenset()
        self._is_resting = False
        self._is_stopping = False
        self._is_awaited = False
        # Held but for the moment of a call; an Event costs the sleeper half as much again.
        self._bell = threading.Lock()
        self._bell.acquire()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to watch the running loop. Raises RuntimeError outside of one, or when begun."""
        if self._thread is not None:
            raise RuntimeError("this watchdog watches already; stop it first, or make another one")
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._is_stopping = self._is_resting = False
        self._beat_at = self._stirred_at = monotonic()
        # The stack below a callback can only be seen from one.
        self._loop.call_soon(self._first_beat)
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()
        self._telemetry.attach(self)

    def stop(self) -> None:
        """Stop watching, and return when the thread has ended; on the loop. May be repeated."""
        if self._thread is None:
            return
        self._telemetry.detach(self)
        if self._timer is not None:
            self._timer.cancel()
        self._beat_at = monotonic()
        self._is_stopping = True
        self._ring()
        self._thread.join()
        self._thread = None

    @property
    def is_resting(self) -> bool:
        """Whether there was nothing to watch lately, so that no heartbeats are made."""
        return self._is_resting

    def stir(self) -> None:
        """Say that the loop has work. Any thread may call it; only calls on the loop count."""
        self._stirred_at = monotonic()
        if self._is_resting and threading.get_ident() == self._loop_thread:
            self._is_resting = False
            self._beat(self._stirred_at)
            self._ring()

    def take(self, fact: Fact) -> None:
        """Take a fact as a sign of work: the watchdog is a sink of the telemetry."""
        if self._is_resting:
            self.stir()
        else:
            # Nearly always: three facts lie between an event and its step.
            self._stirred_at = monotonic()

    def _first_beat(self) -> None:
        outer: set[CodeType] = set()
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            outer.add(frame.f_code)
            frame = frame.f_back
        self._outer = frozenset(outer)
        self._beat(monotonic())

    def _beat(self, due_at: float) -> None:
        if self._is_stopping or self._loop is None:
            return
        now = self._beat_at = monotonic()
        self._telemetry.metrics.loop_lag.observe((), now - due_at)
        if self._is_awaited:
            self._ring()
        if self._timer is not None:
            # Roused from both sides at once, there would be two.
            self._timer.cancel()
        if now - self._stirred_at > _LINGER.total_seconds():
            self._is_resting = True
            return
        due_at = now + self._heartbeat_seconds
        self._timer = self._loop.call_later(self._heartbeat_seconds, self._beat, due_at)

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _sleep(self, seconds: float = -1.0) -> None:
        self._bell.acquire(timeout=seconds)

    def _watch(self) -> None:
        while not self._is_stopping:
            if self._is_resting:
                self._look()
                continue
            beat_at = self._beat_at
            left = beat_at + self._threshold_seconds - monotonic()
            if left > 0:
                self._sleep(left)
            elif (place := self._locate()) is not None:
                self._tell(LoopBlocked, place, monotonic() - beat_at)
                self._await_beat_after(beat_at)
                self._tell(LoopUnblocked, place, self._beat_at - beat_at)
            else:
                # Nothing runs on the loop, yet its timer is late: the machine is busy, or slept.
                self._sleep(self._heartbeat_seconds)

    def _look(self) -> None:
        """Sleep, then look whether the loop runs something that nobody announced."""
        self._sleep(self._threshold_seconds * _LOOK)
        if self._is_resting and not self._is_stopping and not is_waiting(self._stack()):
            self._rouse()

    def _rouse(self) -> None:
        """Ask the loop for heartbeats because something runs there; since when, nobody knows."""
        assert self._loop is not None
        now = self._stirred_at = monotonic()
        self._beat_at = now - self._threshold_seconds * (1 - _DOUBT)
        self._is_resting = False
        try:
            self._loop.call_soon_threadsafe(self._beat, now)
        except RuntimeError:
            # The loop was closed without `stop`: there is nothing left to watch.
            self._is_stopping = True

    def _await_beat_after(self, beat_at: float) -> None:
        # Asked for before looking: a beat in between rings the bell that is then waited for.
        self._is_awaited = True
        while self._beat_at == beat_at:
            self._sleep()
        self._is_awaited = False

    def _tell(self, kind: type[LoopBlocked | LoopUnblocked], place: Place, seconds: float) -> None:
        blocked_for = timedelta(seconds=seconds)
        self._telemetry.emit(
            kind(
                step=place.step,
                file=place.file,
                line=place.line,
                function=place.function,
                blocked_for=blocked_for,
            )
        )

    def _stack(self) -> list[FrameType]:
        """Return the frames of what runs on the loop now, innermost first."""
        frames = []
        frame = sys._current_frames().get(self._loop_thread)
        while frame is not None and frame.f_code not in self._outer:
            frames.append(frame)
            frame = frame.f_back
        return frames

    def _locate(self) -> Place | None:
        """Return what holds the loop now, or None when it only waits."""
        frames = self._stack()
        if is_waiting(frames):
            return None
        culprit = _innermost_of_user(frames)
        named = (self._describe(frame) for frame in frames)
        return Place(
            step=next((step for step in named if step is not None), None),
            file=culprit.f_code.co_filename,
            line=culprit.f_lineno,
            function=culprit.f_code.co_qualname,
        )


def is_waiting(frames: list[FrameType]) -> bool:
    """Return whether the loop waits for something to do: uvloop shows no frame then."""
    return all(_module_of(frame) == "selectors" for frame in frames)


def _innermost_of_user(frames: list[FrameType]) -> FrameType:
    """Return the innermost frame of the user's own code, else of a library, else the innermost."""
    foreign = [frame for frame in frames if not _is_ours(frame)]
    own = (frame for frame in foreign if not frame.f_code.co_filename.startswith(_INSTALLED))
    return next(own, foreign[0] if foreign else frames[0])


def _is_ours(frame: FrameType) -> bool:
    """Return whether the frame belongs to Reactor or to Python itself."""
    if _module_of(frame).partition(".")[0] in _REACTOR_PACKAGES:
        return True
    file = frame.f_code.co_filename
    return file.startswith(_STDLIB) and not file.startswith(_INSTALLED)


def _module_of(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""
