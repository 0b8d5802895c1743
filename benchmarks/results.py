"""Rows of Markdown tables and lines of JSON that the benchmarks write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path


def table_head(columns: Iterable[str]) -> str:
    """Return the two lines above a Markdown table."""
    names = list(columns)
    return f"{table_row(names)}\n|{'---|' * len(names)}"


def table_row(cells: Iterable[object]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def append_json(path: Path | None, line: dict) -> None:
    """Append a line to a file of JSON lines; without a path do nothing."""
    if path is None:
        return
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
