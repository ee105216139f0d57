"""Whether another attempt follows, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.errors import DefinitionError
from reactor.model.duration import LONGEST
from reactor.model.retry import Retry, next_attempt_at

quick = settings(max_examples=200, deadline=None)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALMOST_ONE = 1 - 2**-53
lucks = st.floats(0, 1, exclude_max=True)


@st.composite
def retries(draw: st.DrawFn) -> Retry:
    delays = st.timedeltas(min_value=timedelta(0), max_value=LONGEST)
    first, longest = sorted((draw(delays), draw(delays)))
    return Retry(draw(st.integers(2, 1_000_000)), first_delay=first, longest_delay=longest)


def longest_wait(retry: Retry, attempt: int) -> timedelta:
    at = next_attempt_at(retry, attempt=attempt, failed_at=NOW, luck=ALMOST_ONE)
    assert at is not None
    return at - NOW


@quick
@given(retries(), st.data(), lucks)
def test_a_wait_is_never_negative_and_never_longer_than_the_longest(
    retry: Retry, data: st.DataObject, luck: float
) -> None:
    attempt = data.draw(st.integers(1, retry.attempts - 1))
    at = next_attempt_at(retry, attempt=attempt, failed_at=NOW, luck=luck)
    assert at is not None
    assert NOW <= at <= NOW + retry.longest_delay


@quick
@given(retries(), st.data())
def test_the_longest_wait_never_gets_shorter(retry: Retry, data: st.DataObject) -> None:
    attempt = data.draw(st.integers(1, retry.attempts - 1))
    following = min(attempt + 1, retry.attempts - 1)
    assert longest_wait(retry, attempt) <= longest_wait(retry, following)


@quick
@given(retries(), st.data(), lucks, lucks)
def test_more_luck_never_means_a_shorter_wait(
    retry: Retry, data: st.DataObject, one: float, other: float
) -> None:
    attempt = data.draw(st.integers(1, retry.attempts - 1))
    less, more = (
        next_attempt_at(retry, attempt=attempt, failed_at=NOW, luck=luck)
        for luck in sorted((one, other))
    )
    assert less is not None
    assert more is not None
    assert less <= more


def test_the_longest_wait_doubles_until_it_reaches_its_bound() -> None:
    retry = Retry(attempts=9, first_delay="1s", longest_delay="20s")
    waits = [round(longest_wait(retry, attempt).total_seconds()) for attempt in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 20, 20, 20]


def test_the_smallest_first_delay_doubles_all_the_way_to_the_longest() -> None:
    retry = Retry(attempts=1_000_000, first_delay="1us", longest_delay=LONGEST)
    assert longest_wait(retry, 999_999) > LONGEST - timedelta(seconds=1)


def test_no_luck_means_at_once() -> None:
    assert next_attempt_at(Retry(), attempt=1, failed_at=NOW, luck=0.0) == NOW


@pytest.mark.parametrize("attempt", [3, 4])
def test_nothing_follows_the_last_attempt(attempt: int) -> None:
    assert next_attempt_at(Retry(3), attempt=attempt, failed_at=NOW, luck=0.5) is None


def test_nothing_follows_without_a_retry() -> None:
    assert next_attempt_at(None, attempt=1, failed_at=NOW, luck=0.5) is None


@pytest.mark.parametrize("attempts", [0, -1, 1_000_001, 2.5, "5", True, None, float("nan")])
def test_attempts_must_be_a_whole_number_in_range(attempts: int) -> None:
    with pytest.raises(DefinitionError, match=r"Retry: attempts is .*expected a whole number"):
        Retry(attempts)


def test_a_delay_must_be_a_duration() -> None:
    with pytest.raises(DefinitionError, match="Retry: 'soon' is not a duration; write it like"):
        Retry(first_delay="soon")


def test_the_longest_delay_may_not_be_shorter_than_the_first() -> None:
    with pytest.raises(DefinitionError, match="longest_delay 0:00:01 is shorter than first_delay"):
        Retry(first_delay="1m", longest_delay="1s")


def test_retries_that_say_the_same_are_equal() -> None:
    assert Retry(3, first_delay="60s") == Retry(3, first_delay="1m")
    assert len({Retry(3, first_delay="60s"), Retry(3, first_delay="1m")}) == 1
