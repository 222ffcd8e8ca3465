"""Columns for people."""

from __future__ import annotations

import io

from rich.console import Console

from services.standalone.show.table import print_table


def test_columns_are_as_wide_as_their_widest_and_lines_end_where_their_text_ends() -> None:
    console = Console(file=io.StringIO(), width=20, color_system=None)
    print_table(
        console,
        ("files", "state", ""),
        [("7", "complete", "said at great length"), ("1,000", "漢字", "")],
        right={"files"},
    )

    assert console.file.getvalue() == (  # type: ignore[attr-defined]
        "files  state\n    7  complete  said at great length\n1,000  漢字\n"
    )
