"""Append-only logs of JSON lines: what the driver knows, outside the victim."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Line = dict[str, Any]


class Journal:
    """Lines of JSON at the end of a file, each one write; several processes and threads may share the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def add(self, line: Line) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def mark(self, line: Line) -> None:
        """Add a line after a writer that may have died in the middle of its own."""
        os.write(self._file, b"\n" + json.dumps(line).encode() + b"\n")

    def lines(self) -> list[Line]:
        """Return all lines so far, in order."""
        return read_lines(self.path)

    def close(self) -> None:
        os.close(self._file)


def read_lines(path: Path) -> list[Line]:
    """Return all lines in order. A torn one, whose writer was killed inside its write, is left out."""
    lines: list[Line] = []
    for raw in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            lines.append(json.loads(raw))
        except ValueError:
            continue
    return lines
