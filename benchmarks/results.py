"""Rows of Markdown tables, and records: lines of JSON that the benchmarks write and read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path


def table_head(columns: Iterable[str]) -> str:
    """Return the two lines above a Markdown table."""
    names = list(columns)
    return f"{table_row(names)}\n|{'---|' * len(names)}"


def table_row(cells: Iterable[object]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def markdown_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    return "\n".join([table_head(columns), *map(table_row, rows)])


def append_json(path: Path | None, line: dict) -> None:
    """Append a line to a file of JSON lines; without a path do nothing."""
    if path is None:
        return
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def read_json(path: Path) -> list[dict]:
    """Return the records of a file of JSON lines, none if it does not exist."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def is_measured(cell: dict, records: Iterable[dict]) -> bool:
    """Return whether one of the records has every value of a cell."""
    return any(cell.items() <= record.items() for record in records)


def by_title(records: Iterable[dict]) -> dict[str, dict[str, float]]:
    """Return the value of each set by title, from records of one set and many titles."""
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for record in records:
        for title, value in record.items():
            if title != "set":
                values[title][record["set"]] = value
    return dict(values)
