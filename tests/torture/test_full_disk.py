"""G8: a full disk is survived: intact, told, and over when there is room again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.full_disk import CannotMount, fill_layered, fill_mounted, start_when_full

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real_time, pytest.mark.torture_quick, pytest.mark.timeout(240)]

NO_MOUNT = "G8 is tried on a layer only, for a file system of 3 MB cannot be mounted here: {}"


def test_a_daemon_on_a_file_system_that_fills_up_goes_on_when_there_is_room(tmp_path: Path) -> None:
    try:
        filled = fill_mounted(tmp_path / "small")
    except CannotMount as error:
        pytest.skip(NO_MOUNT.format(error))
    assert filled.findings == []
    assert filled.acknowledged > 1


def test_a_daemon_whose_writes_find_no_room_goes_on_when_there_is_some(tmp_path: Path) -> None:
    filled = fill_layered(tmp_path / "small")
    assert filled.findings == []
    assert filled.acknowledged > 1


def test_a_start_on_a_full_file_system_is_refused_clearly_and_loses_nothing(tmp_path: Path) -> None:
    try:
        findings = start_when_full(tmp_path / "small")
    except CannotMount as error:
        pytest.skip(NO_MOUNT.format(error))
    assert findings == []
