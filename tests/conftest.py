"""What every suite shares: the loops that tests run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from reactor.testing import VirtualTimeLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run a test on virtual time where it is marked so, and on the ordinary loop elsewhere."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    return {"asyncio": asyncio.new_event_loop}
