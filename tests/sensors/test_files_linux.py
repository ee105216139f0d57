"""What the files sensor asks of Linux itself. The kernel is the subject."""

from __future__ import annotations

import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.platform != "linux":
    pytest.skip("the subject is Linux", allow_module_level=True)

from reactor_sensors._files_linux import events_in

EVENTS = st.lists(
    st.tuples(
        st.integers(1, 2**31 - 1),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=255).filter(lambda name: b"\0" not in name),
    ),
    max_size=5,
)


@given(EVENTS)
def test_events_are_read_as_the_kernel_writes_them(events: list[tuple[int, int, bytes]]) -> None:
    data = b""
    for watch, mask, name in events:
        # Padded to a multiple of the head, with at least one zero; nothing at all without a name.
        size = -(-(len(name) + 1) // 16) * 16 if name else 0
        data += struct.pack("iIII", watch, mask, 7, size) + name.ljust(size, b"\0")
    assert list(events_in(data)) == events
