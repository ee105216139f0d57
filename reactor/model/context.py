"""What a step is told about itself, and what it tells to be sent."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reactor.errors import DefinitionError, Reject
from reactor.model.outlet import Outgoing

if TYPE_CHECKING:
    from collections.abc import MutableMapping

# What one attempt may emit: it is held in memory, and committed with the step's result in one transaction.
MOST_EMITTED = 10_000
LARGEST_EMITTED_BYTES = 16 * 1024 * 1024

# One for all: a step may emit from threads of its own, and a lock in each context would cost every step.
_emitting = threading.Lock()


class StepLog(logging.LoggerAdapter[logging.Logger]):
    """Adds run, step and attempt to each line, beside what the step gives as `extra`.

    The standard adapter drops the latter; from Python 3.13 on it can be told not to.
    """

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Given to a step that has a parameter `ctx`.

    `idempotency_key` is the same on every attempt of this step of this run, also after a crash: hand it to whatever
    the step calls, so that a repeated call has one effect. `attempt` counts from 1.
    """

    run_id: str
    workflow: str
    step: str
    attempt: int
    idempotency_key: str
    log: logging.LoggerAdapter[logging.Logger]
    _emitted: _Emitted | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def emitted(self) -> tuple[Outgoing, ...]:
        """Return what this attempt has emitted, in order; for unit tests of steps."""
        return () if self._emitted is None else tuple(self._emitted.parts)

    def emit(self, outgoing: Outgoing) -> None:
        """Have `outgoing` delivered if this step succeeds: `ctx.emit(cluster.record("orders", {"id": 7}))`.

        Nothing is sent now. What the step emitted is committed together with its result, and delivered from then on
        until it is acknowledged, across crashes: at least once, in order for each key. What a failed attempt emitted
        is forgotten. May be called from any thread until the step returns.

        Raises DefinitionError for anything but an Outgoing, and after the step has returned; Reject beyond 10,000
        pieces or 16 MiB.
        """
        if not isinstance(outgoing, Outgoing):
            raise DefinitionError(
                f"ctx.emit was given {type(outgoing).__name__}; expected what an outlet makes, such as "
                'kafka.Producer(...).record("topic", value). Events for other workflows cannot be emitted yet'
            )
        with _emitting:
            found = self._emitted
            if found is None:
                found = _Emitted()
                object.__setattr__(self, "_emitted", found)
            if found.is_ended:
                raise DefinitionError(
                    f"step {self.step!r} emits after it has returned, and that would be lost; "
                    "wait in the step for whatever calls ctx.emit"
                )
            found.add(outgoing)

    def end(self) -> tuple[Outgoing, ...]:
        """Return what was emitted, and refuse what comes later. Called by the engine when the step has returned."""
        with _emitting:
            if self._emitted is None:
                object.__setattr__(self, "_emitted", _NOTHING)
                return ()
            self._emitted.is_ended = True
        return self.emitted


class _Emitted:
    """What an attempt has emitted so far."""

    __slots__ = ("is_ended", "parts", "size_bytes")

    def __init__(self, *, is_ended: bool = False) -> None:
        self.parts: list[Outgoing] = []
        self.size_bytes = 0
        self.is_ended = is_ended

    def add(self, outgoing: Outgoing) -> None:
        self.size_bytes += outgoing.size_bytes
        if len(self.parts) == MOST_EMITTED or self.size_bytes > LARGEST_EMITTED_BYTES:
            raise Reject(
                f"the step emits more than {MOST_EMITTED:,} pieces or {LARGEST_EMITTED_BYTES:,} bytes; they are "
                "committed in one transaction with its result. Spread them over several runs, or send them in the step"
            )
        self.parts.append(outgoing)


_NOTHING = _Emitted(is_ended=True)
