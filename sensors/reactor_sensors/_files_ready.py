"""When a file is complete. Pure: what was seen and how long ago are arguments."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from reactor.api import parse_duration, spell_duration

if TYPE_CHECKING:
    from reactor_sensors._files_ledger import Observation

AT_ONCE = timedelta(0)
# A file just made by open(O_CREAT) is listed some microseconds before the kernel counts its writer.
# Nothing was written by then, so only an empty file without a close event can be one of these.
EMPTY_FILE_WAIT = timedelta(milliseconds=250)


class Evidence(enum.IntEnum):
    """What is known of how a file came, weakest first; of two hints for one file the stronger
    counts.
    """

    TOUCHED = -1
    SEEN = 0
    CLOSED = 1
    MOVED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """A policy. `quiet` belongs to `stable`, `suffix` to `marker`."""

    policy: Literal["closed", "renamed", "stable", "marker"]
    quiet: timedelta = AT_ONCE
    suffix: str = ""

    def __str__(self) -> str:
        if self.policy == "stable":
            return f"stable:{spell_duration(self.quiet)}"
        return f"marker:{self.suffix}" if self.policy == "marker" else self.policy


def stable(quiet: str | timedelta) -> Readiness:
    """Ready when size and times stayed the same for `quiet`, and nobody has the file open for
    writing.
    """
    return Readiness(policy="stable", quiet=parse_duration(quiet))


def marker(suffix: str) -> Readiness:
    """Ready when a file of the same name plus `suffix` lies beside it. Markers themselves never
    fire.
    """
    if not suffix or "/" in suffix or "\0" in suffix:
        raise ValueError(f'{suffix!r} is not a suffix; write it like marker(".done")')
    return Readiness(policy="marker", suffix=suffix)


def parse_readiness(value: object) -> Readiness:
    """Return the policy that `value` names, or raise ValueError that lists them."""
    if isinstance(value, Readiness):
        return value
    name, _, detail = value.partition(":") if isinstance(value, str) else ("", "", "")
    if name == "closed" and not detail:
        return Readiness(policy="closed")
    if name == "renamed" and not detail:
        return Readiness(policy="renamed")
    if name == "stable" and detail:
        return stable(detail)
    if name == "marker" and detail:
        return marker(detail)
    raise ValueError(
        f'{value!r} is not a readiness policy; write "closed", "renamed", "stable:10s" or "marker:.done"'
    )


def time_to_wait(
    readiness: Readiness,
    seen: Observation,
    *,
    evidence: Evidence,
    unchanged_for: timedelta,
    settle: timedelta,
) -> timedelta | None:
    """Return zero when the file is ready, how long until another look, or None: only a hint can
    change it.

    `unchanged_for` is the time since this version was first seen. A file known to be open for
    writing is never ready.
    """
    needed = _needed_quiet(readiness, seen, evidence, settle)
    if needed is None:
        return None
    if seen.is_being_written:
        return max(settle, timedelta(milliseconds=100))
    return max(needed - unchanged_for, AT_ONCE)


def _needed_quiet(
    readiness: Readiness, seen: Observation, evidence: Evidence, settle: timedelta
) -> timedelta | None:
    match readiness.policy:
        case "stable":
            return readiness.quiet
        case "renamed":
            return AT_ONCE if evidence is Evidence.MOVED else settle
        case "marker":
            if seen.marker_ctime_ns is None:
                return None
            # A marker older than its file may be left over from the version before.
            is_fresh = seen.marker_ctime_ns >= seen.version.ctime_ns
            return AT_ONCE if is_fresh else settle
        case "closed":
            if evidence > Evidence.SEEN:
                return AT_ONCE
            if seen.is_being_written is None:
                return settle
            return EMPTY_FILE_WAIT if seen.version.size_bytes == 0 else AT_ONCE
