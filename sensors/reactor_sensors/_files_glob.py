"""Which paths a pattern means. Pure: names in, answers out, one path segment at a time.

`*` and `?` stay inside one segment, `**` is any number of folders, `[a-z]` and `[!a-z]` are one
character, `{csv,json}` is one of several. As in a shell, a wildcard does not match a leading dot;
a segment that begins with a dot does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ANY_DEPTH = "**"
_MAGIC = re.compile(r"[*?\[{]")

# Positions in a pattern's segments at which a path may stand; empty means "can never match".
States = frozenset[int]


def split_pattern(pattern: str) -> tuple[str, tuple[str, ...]]:
    """Return the folder before the first wildcard ("" is the current one) and the segments after
    it.

    Raises ValueError that says what is wrong with the pattern.
    """
    if not pattern or "\0" in pattern:
        raise ValueError('the pattern is empty or has a NUL in it; write it like "inbox/*.csv"')
    text = pattern + "*" if pattern.endswith("/") else pattern
    parts = text.split("/")
    first = next((i for i, part in enumerate(parts) if _MAGIC.search(part)), len(parts) - 1)
    folder, rest = (
        "/".join(parts[:first]),
        [part for part in parts[first:] if part not in ("", ".")],
    )
    if text.startswith("/") and not folder:
        folder = "/"
    if not rest or ".." in rest:
        raise ValueError(
            f'the pattern {pattern!r} must end in file names, with ".." only before the first wildcard'
        )
    if rest[-1] == ANY_DEPTH:
        rest.append("*")
    return folder, tuple(rest)


def translate(segment: str, *, hidden: bool) -> re.Pattern[str]:
    """Return the expression for one segment. `hidden` lets wildcards match a leading dot.

    Raises ValueError for an unclosed or empty bracket and for `**` glued to other characters.
    """
    if ANY_DEPTH in segment:
        raise ValueError(f"{segment!r}: `**` stands alone between slashes")
    return re.compile(_translate(segment, guard="" if hidden else r"(?!\.)"), re.DOTALL)


def _translate(segment: str, *, guard: str) -> str:
    """`guard` stands before a wildcard that comes first."""
    out, at = [guard if segment[:1] in ("*", "?", "[") else ""], 0
    while at < len(segment):
        char = segment[at]
        at += 1
        if char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "[":
            text, at = _bracket(segment, at)
            out.append(text)
        elif char == "{":
            text, at = _braces(segment, at, guard=guard if at == 1 else "")
            out.append(text)
        else:
            out.append(re.escape(char))
    return "".join(out)


def _bracket(segment: str, at: int) -> tuple[str, int]:
    negated = segment[at : at + 1] == "!"
    start = at + negated
    end = segment.find("]", start + 1)  # a "]" that comes first is a member
    if end < 0:
        raise ValueError(f"{segment!r}: `[` is not closed; write `[[]` for the character itself")
    members = re.sub(r"([\\\[\]^&~|])", r"\\\1", segment[start:end])
    try:
        re.compile(f"[{members}]")
    except re.error:
        raise ValueError(
            f"{segment!r}: the range in `[{segment[start:end]}]` runs backwards"
        ) from None
    return f"[{'^' if negated else ''}{members}]", end + 1


def _braces(segment: str, at: int, *, guard: str) -> tuple[str, int]:
    end = segment.find("}", at)
    if end < 0 or "{" in segment[at:end]:
        raise ValueError(
            f"{segment!r}: `{{` is not closed or nested; write `[{{]` for the character itself"
        )
    choices = segment[at:end].split(",")
    return f"(?:{'|'.join(_translate(choice, guard=guard) for choice in choices)})", end + 1


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled pattern, walked segment by segment: `start`, then `enter` per folder, then
    `is_file`.
    """

    segments: tuple[re.Pattern[str] | None, ...]  # None is `**`
    excluded_names: tuple[re.Pattern[str], ...]
    excluded_paths: tuple[Glob, ...]
    takes_hidden: bool = False  # whether `**` passes through folders with a leading dot
    _start: States = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_start", self._skip_any_depth({0}))

    @classmethod
    def compile(cls, segments: Sequence[str], exclude: Iterable[str] = ()) -> Glob:
        """Compile. An exclude without a slash means a name at any depth; with one, a path below the
        root.

        An exclude that matches a folder leaves out all below it. In excludes wildcards match
        leading dots.
        """
        names, paths = [], []
        for pattern in exclude:
            parts = [part for part in pattern.split("/") if part]
            if not parts or ".." in parts or "\0" in pattern:
                raise ValueError(
                    f'the exclude {pattern!r} must be a name or a path below the root, like "*.tmp"'
                )
            if len(parts) == 1 and not pattern.startswith("/") and parts[0] != ANY_DEPTH:
                names.append(translate(parts[0], hidden=True))
            else:
                paths.append(cls(_compile(parts, hidden=True), (), (), takes_hidden=True))
        return cls(_compile(segments, hidden=False), tuple(names), tuple(paths))

    def start(self) -> States:
        return self._start

    def enter(self, states: States, name: str) -> States:
        """Return where the path stands after one more segment. Excludes are not looked at."""
        after: set[int] = set()
        for state in states:
            if state == len(self.segments):
                continue
            segment = self.segments[state]
            if segment is None:
                if self.takes_hidden or not name.startswith("."):
                    after.add(state)
            elif segment.fullmatch(name):
                after.add(state + 1)
        return self._skip_any_depth(after)

    def may_lead_on(self, states: States) -> bool:
        """Return whether files below a folder that stands there could match."""
        return any(state < len(self.segments) for state in states)

    def is_file(self, states: States, name: str) -> bool:
        """Return whether a file of that name, in a folder that stands at `states`, matches."""
        return len(self.segments) in self.enter(states, name)

    def excludes(self, parts: Sequence[str]) -> bool:
        """Return whether the path is left out, given that its parents are not."""
        return any(name.fullmatch(parts[-1]) for name in self.excluded_names) or any(
            path.matches(parts) for path in self.excluded_paths
        )

    def matches(self, parts: Sequence[str]) -> bool:
        """Return whether a whole relative path, given as segments, matches and is not excluded."""
        states = self._start
        for depth, name in enumerate(parts, 1):
            if (self.excluded_names or self.excluded_paths) and self.excludes(parts[:depth]):
                return False
            states = self.enter(states, name)
        return len(self.segments) in states

    def states_of(self, folders: Sequence[str]) -> States | None:
        """Return where a folder stands, or None when nothing in it can match."""
        states = self.start()
        for depth, name in enumerate(folders, 1):
            states = self.enter(states, name)
            if not self.may_lead_on(states) or self.excludes(folders[:depth]):
                return None
        return states

    def _skip_any_depth(self, states: set[int]) -> States:
        if None not in self.segments:
            return frozenset(states)
        for state in sorted(states):
            at = state
            while at < len(self.segments) and self.segments[at] is None:
                at += 1
                states.add(at)
        return frozenset(states)


def _compile(segments: Sequence[str], *, hidden: bool) -> tuple[re.Pattern[str] | None, ...]:
    return tuple(None if part == ANY_DEPTH else translate(part, hidden=hidden) for part in segments)


def parts_of(relative: str) -> list[str]:
    """Return the segments of a relative path; the root itself has none."""
    return relative.split("/") if relative else []


def join(folder: str, name: str) -> str:
    """Return the path of a name in a folder; the root itself is "" where paths are relative to it."""
    return f"{folder.removesuffix('/')}/{name}" if folder else name


def outermost(folders: Iterable[str]) -> list[str]:
    """Return the folders without those that lie in another of them."""
    chosen: list[str] = []
    for folder in sorted(folders, key=lambda path: path.split("/")):
        if not chosen or not (
            chosen[-1] == "" or folder.startswith(chosen[-1] + "/") or folder == chosen[-1]
        ):
            chosen.append(folder)
    return chosen
