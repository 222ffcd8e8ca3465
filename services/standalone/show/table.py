"""Columns for people: as narrow as what is in them, and no blanks behind the last one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP = "  "


def print_table(
    console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()
) -> None:
    """Rows of text below their columns' names; those named in ``right`` are aligned there, as numbers are.

    Long rows are not cut: the last column is the one for what may be long.
    """
    widths = [max(cell_len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    for number, row in enumerate((columns, *rows)):
        cells = [
            _filled(cell, width, right=name in right) for cell, width, name in zip(row, widths, columns, strict=True)
        ]
        console.print(Text(GAP.join(cells).rstrip(), style="" if number else "bold"), soft_wrap=True)


def _filled(cell: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - cell_len(cell))
    return blanks + cell if right else cell + blanks
