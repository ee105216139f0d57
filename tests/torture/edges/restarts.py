"""G12: a daemon that is started again and again over a full directory, with files that come and change meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.torture.edges.tree import FileStage, version_of

if TYPE_CHECKING:
    from random import Random

    from tests.torture.edges.catalogue import Outcome

FILES = 1_000
CHANGES = 20


def restarts(folder: Path, size: int, luck: Random) -> Outcome:
    """`size` restarts, by SIGKILL and SIGTERM; files are added and replaced while the daemon runs and while not."""
    with FileStage(folder) as stage:
        tree = folder / "tree"
        for number in range(FILES):
            stage.publish(tree / f"f{number}", b"first %d" % number)
        for number in range(size):
            _change(stage, tree, number, luck)
            if luck.random() < 0.5:
                # In the middle of it, or when all has been seen.
                stage.until(stage.all_arrived, "all files before a restart")
            if luck.random() < 0.5:
                stage.daemon.kill()
            else:
                stage.stop()
            _change(stage, tree, size + number, luck)
            stage.daemon.start()
        stage.until(stage.all_arrived, "all files after the last restart")
        stage.settle()
        stage.judge()
    return stage.findings, {"restarts": size, "versions": len(stage.published.contents)}


def _change(stage: FileStage, tree: Path, turn: int, luck: Random) -> None:
    """Add files, and replace some whose last version has arrived: one that is replaced sooner nobody can see."""
    arrived = {version_of(row) for row in stage.rows("tree")}
    last = {version[0]: version for version in stage.published.contents}
    known = [path for path, version in last.items() if version in arrived]
    for number in range(CHANGES):
        stage.publish(tree / f"new{turn}-{number}", b"new %d" % number)
    for path in luck.sample(known, min(CHANGES, len(known))):
        stage.publish(Path(os.fsdecode(path)), b"replaced %d" % turn)
