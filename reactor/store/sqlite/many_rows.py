"""A statement for many rows in one execution: its text, which stays prepared, and what is bound to it."""

from __future__ import annotations

from bisect import bisect_left
from itertools import chain, repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Numbers of rows for which a statement is prepared: few, and none so far from the next that much is made up. Up to
# `_EXACT` nothing is.
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_EXACT = 4


class ManyRows:
    """A statement with VALUES of one row or of many, the first column of which is never -1.

    Each execution of a statement lets go of the interpreter lock and has to win it back from the loop's thread. So a
    batch is few statements with many rows, not many with one; rows of -1, which are passed over, make it up to a
    number that is prepared. Not of NULL: to bind that takes Python 3.11 six times as long.
    """

    MOST_ROWS = _SIZES[-1]

    def __init__(
        self,
        head: str,
        columns: int,
        tail: str = "",
        *,
        usual: Mapping[int, str | int | None] = MappingProxyType({}),
    ) -> None:
        """`columns` parameters make a row; the rows stand between `head` and `tail`.

        Where all rows have in their columns, counted from 0, what is `usual`, the statement says so itself: to bind
        the same to each row can take longer than to write it.
        """
        self._head = head
        self._columns = columns
        self._tail = tail
        # From the last on: the columns before keep their places when one is taken out.
        self._usual = sorted(usual.items(), reverse=True)
        self._texts: dict[tuple[int, bool], str] = {}

    def executions(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, Sequence[Any]]]:
        """Return statements with their parameters that together are executed for all rows, in order."""
        for first in range(0, len(rows), self.MOST_ROWS):
            chunk = rows[first : first + self.MOST_ROWS]
            size = _SIZES[bisect_left(_SIZES, len(chunk))]
            values = list(chain.from_iterable(chunk))
            width = self._columns
            is_usual = all(values[at::width].count(one) == len(chunk) for at, one in self._usual)
            if is_usual:
                for at, _ in self._usual:
                    del values[at::width]
                    width -= 1
            values.extend(repeat(-1, (size - len(chunk)) * width))
            yield self._text(size, is_usual=is_usual), values

    def _text(self, size: int, *, is_usual: bool) -> str:
        """Return the statement for so many rows; each time the same object, which stays prepared."""
        if (size, is_usual) not in self._texts:
            parameters = ["?"] * self._columns
            for at, one in self._usual if is_usual else ():
                parameters[at] = _literal(one)
            row = f"({', '.join(parameters)})"
            rows = f"VALUES {', '.join([row] * size)}"
            if size > _EXACT:
                rows = f"SELECT * FROM ({rows}) WHERE column1 IS NOT -1"  # noqa: S608  # of constants
            self._texts[size, is_usual] = f"{self._head} {rows} {self._tail}"
        return self._texts[size, is_usual]


def _literal(value: str | int | None) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
