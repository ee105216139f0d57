"""Everything Reactor raises on purpose, grouped by who must act.

ReactorError
├── SettingsError        the operator must change something; exit code 2
│   └── StateInUseError  another daemon owns the state directory; exit code 3
├── DefinitionError      a workflow is wrong; found by `reactor check`; exit code 4
├── StoreError           the database said no; exit code 5
│   ├── SchemaError      the database is newer than this program, or is not a Reactor database
│   ├── StoreFullError   no space left; nothing was acknowledged, the store may recover
│   └── StoreStoppedError  a storage error ended all writing; the process must be restarted
├── OverloadedError      no credit left; try again after `retry_after`
└── StepError            a step failed
    ├── ResultError      its result is not JSON, breaks its annotation, or is too large
    └── Reject           the step itself says: do not try again
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


class ReactorError(Exception):
    """Root of every error that Reactor raises on purpose."""


class SettingsError(ReactorError):
    """The operator must change a setting, an option or the environment."""


class StateInUseError(SettingsError):
    """Another daemon holds the state directory."""


class DefinitionError(ReactorError):
    """A workflow, trigger or sensor definition is wrong."""


class StoreError(ReactorError):
    """The store could not do what was asked."""


class SchemaError(StoreError):
    """The database file was written by a newer Reactor, or is not one of ours."""


class StoreFullError(StoreError):
    """No space is left on the device. Nothing of the refused transaction was kept."""


class StoreStoppedError(StoreError):
    """A storage error ended all writing; whoever waited was not acknowledged."""


class OverloadedError(ReactorError):
    """No credit is left for this event; `retry_after` is the time in which some is expected."""

    def __init__(self, workflow: str, retry_after: timedelta) -> None:
        super().__init__(f"workflow {workflow!r} has no credit left")
        self.workflow = workflow
        self.retry_after = retry_after


class StepError(ReactorError):
    """A step failed."""


class ResultError(StepError):
    """A step's result is not JSON, breaks its annotation, or is over the size limit."""


class Reject(StepError):  # noqa: N818  # reads as the verb it is: `raise Reject("no such customer")`
    """Raised by a step to say that another attempt cannot help."""
