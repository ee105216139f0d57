"""What a step is told about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging


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
