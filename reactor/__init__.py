"""What a workflow author imports.

from reactor import Context, Event, Reject, Retry, Workflow
"""

from __future__ import annotations

from reactor.errors import DefinitionError, ReactorError, Reject, StepError
from reactor.model.context import Context
from reactor.model.event import Event
from reactor.model.retry import Retry
from reactor.model.workflow import Workflow

__version__ = "0.1.0"

__all__ = [
    "Context",
    "DefinitionError",
    "Event",
    "ReactorError",
    "Reject",
    "Retry",
    "StepError",
    "Workflow",
    "__version__",
]
