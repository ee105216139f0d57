"""Where a partition goes on when an operator says so: the pure part."""

from __future__ import annotations

import pytest

from reactor_sensors._kafka_positions import Bounds, Partition
from reactor_sensors._kafka_seek import chosen_offset, parse_partition

LOG = Bounds(first=10, end=20)


@pytest.mark.parametrize(
    ("to", "committed", "offset"),
    [
        ("earliest", None, 10),
        ("latest", None, 20),
        ("15", None, 15),
        ("15", 15, 15),
        ("10", 99, 10),
    ],
)
def test_a_position_that_can_be_read_is_taken(to: str, committed: int | None, offset: int) -> None:
    assert chosen_offset(to, LOG, committed) == offset


@pytest.mark.parametrize(
    ("to", "committed", "why"),
    [
        ("9", None, "the log holds 10 to 20"),
        ("21", None, "the log holds 10 to 20"),
        ("-1", None, "write earliest, latest or an offset"),
        ("soon", None, "write earliest, latest or an offset"),
        ("9" * 30, None, "write earliest, latest or an offset"),
        ("12", 15, "which the group has read"),
    ],
)
def test_any_other_is_refused_in_words(to: str, committed: int | None, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        chosen_offset(to, LOG, committed)


def test_a_partition_is_topic_and_number() -> None:
    assert parse_partition("a.b-c/12") == Partition("a.b-c", 12)
    for text in ("orders", "orders/", "/3", "orders/x", "orders/²", ""):
        with pytest.raises(ValueError, match="write it like orders/3"):
            parse_partition(text)
