"""What a step is told about itself."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping


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
