"""What a member reads, and how often it looks up from that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reactor_sensors._kafka_positions import Catalog, Start, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds. `stall` is how long a lag may stand still before the client is made anew."""

    poll: float = 0.5
    commit: float = 0.8
    check: float = 5.0
    answer: float = 10.0
    stall: float = 60.0
    grace: float = 5.0
    # Nobody heard from us for so long: the group may have given our partitions to others.
    freeze: float = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is read: topics by name or by a regular expression for whole names, and from where at first."""

    topics: tuple[str, ...]
    pattern: str
    start: Start

    def choose(self, catalog: Catalog) -> dict[str, Topic]:
        """Return the topics meant that can be read."""
        if self.pattern:
            meant = re.compile(self.pattern)
            return {name: t for name, t in catalog.topics.items() if meant.fullmatch(name)}
        return {name: catalog.topics[name] for name in self.topics if name in catalog.topics}

    def missing(self, catalog: Catalog) -> list[str]:
        """Return a sentence for each topic meant that cannot be read."""
        return [
            f"topic {name!r} {catalog.problems.get(name, 'does not exist')}"
            for name in self.topics
            if name not in catalog.topics
        ]
