"""Whether a failed attempt is followed by another, and when. Pure: time and luck are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reactor.errors import DefinitionError
from reactor.model.duration import parse_duration

# From one microsecond to more than the longest duration.
_DOUBLINGS_THAT_FIT = 52


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """How often a step is tried, and how long to wait in between. Delays are durations such as "1s"."""

    attempts: int
    first_delay: timedelta
    longest_delay: timedelta

    def __init__(
        self,
        attempts: int = 3,
        *,
        first_delay: str | timedelta = "1s",
        longest_delay: str | timedelta = "5m",
    ) -> None:
        _check_attempts(attempts)
        try:
            first, longest = parse_duration(first_delay), parse_duration(longest_delay)
        except ValueError as error:
            raise DefinitionError(f"Retry: {error}") from None
        if longest < first:
            raise DefinitionError(
                f"Retry: longest_delay {longest} is shorter than first_delay {first}"
            )
        object.__setattr__(self, "attempts", attempts)
        object.__setattr__(self, "first_delay", first)
        object.__setattr__(self, "longest_delay", longest)


def _check_attempts(attempts: object) -> None:
    is_whole = isinstance(attempts, int) and not isinstance(attempts, bool)
    if not is_whole or attempts not in range(1, 1_000_001):
        raise DefinitionError(
            f"Retry: attempts is {attempts!r}; expected a whole number from 1 to 1 000 000"
        )


def next_attempt_at(
    retry: Retry | None, *, attempt: int, failed_at: datetime, luck: float
) -> datetime | None:
    """Return when to try again, or None when `attempt` (1, 2, …) was the last one.

    Exponential back-off with full jitter: the longest wait doubles with each attempt up to `longest_delay`, and
    `luck` in [0, 1) picks a moment between now and then, so that runs that failed together do not return together.
    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    if retry is None or attempt >= retry.attempts:
        return None
    doublings = min(attempt - 1, _DOUBLINGS_THAT_FIT)
    # In floats of seconds: first_delay * 2**52 may be more than a timedelta can hold.
    seconds = min(
        retry.first_delay.total_seconds() * 2.0**doublings, retry.longest_delay.total_seconds()
    )
    return failed_at + timedelta(seconds=seconds * luck)
