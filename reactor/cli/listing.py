"""Rows under headings, as wide as they need and no wider than the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactor.cli.output import text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from rich.console import Console
    from rich.text import Text

GAP = 2
# The least that is left of a column that gives way, and of one whose text goes on below.
NARROWEST, NARROWEST_WRAPPED = 8, 30


class Listing:
    """Rows under headings. Where the terminal is narrow only some columns give way, widest first.

    `flexible` columns are cut and end in an ellipsis; `wrapped` ones go on in the next line, for
    what must be read in full. Ids and numbers are neither: a table of Rich would cut all a little.
    """

    def __init__(
        self,
        *headings: str,
        right: Collection[str] = (),
        flexible: Collection[str] = (),
        wrapped: Collection[str] = (),
    ) -> None:
        self._headings = headings
        self._right = right
        self._flexible = flexible
        self._wrapped = wrapped
        self._rows: list[list[Text]] = []

    def add(self, *cells: object) -> None:
        """Add a row; each cell is made fit for one line."""
        from rich.text import Text

        self._rows.append([cell if isinstance(cell, Text) else text(cell) for cell in cells])

    def print(self, out: Console) -> None:
        """Print the rows, in the width that there is."""
        widths = self._widths(out.width)
        out.print(next(self._lines([text(name, "bold") for name in self._headings], widths, out)))
        out.print(text("─" * (sum(widths) + GAP * (len(widths) - 1)), "dim"))
        for row in self._rows:
            for line in self._lines(row, widths, out):
                out.print(line)

    def _lines(self, row: Sequence[Text], widths: Sequence[int], out: Console) -> Iterator[Text]:
        """Yield the one line of a row, or several where a column goes on below."""
        from rich.text import Text

        blank = Text()
        columns: list[Sequence[Text]] = [
            [*cell.wrap(out, width)] if heading in self._wrapped else [cell]
            for heading, cell, width in zip(self._headings, row, widths, strict=True)
        ]
        for number in range(max(map(len, columns))):
            line = Text(no_wrap=True)
            for column, heading, width in zip(columns, self._headings, widths, strict=True):
                cell = column[number].copy() if number < len(column) else blank.copy()
                cell.truncate(width, overflow="ellipsis")
                space = " " * (width - cell.cell_len)
                is_right = heading in self._right
                line.append(space if is_right else "")
                line.append_text(cell)
                line.append(("" if is_right else space) + " " * GAP)
            line.rstrip()
            yield line

    def _widths(self, available: int) -> list[int]:
        from rich.cells import cell_len

        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(self._headings)
        widths = [
            max([cell_len(heading), *(cell.cell_len for cell in column)])
            for heading, column in zip(self._headings, columns, strict=True)
        ]
        excess = sum(widths) + GAP * (len(widths) - 1) - available
        giving = {
            index: NARROWEST_WRAPPED if heading in self._wrapped else NARROWEST
            for index, heading in enumerate(self._headings)
            if heading in self._flexible or heading in self._wrapped
        }
        while excess > 0:
            wide = [index for index, narrowest in giving.items() if widths[index] > narrowest]
            if not wide:
                break
            widths[max(wide, key=widths.__getitem__)] -= 1
            excess -= 1
        return widths
