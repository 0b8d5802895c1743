"""Reports of results: Markdown, CSV, plain text, and one HTML page without other files."""

from __future__ import annotations

import csv
import html
import io
import math
import os
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fei_sklearn._files import whole_file
from fei_sklearn.evaluation.published import NOTE
from fei_sklearn.evaluation.results import ResultRecord
from fei_sklearn.evaluation.tables import (
    ARCHIVE,
    ARCHIVE_PREFIX,
    SHOWN,
    Score,
    Table,
    tables,
    unit,
)

TITLE = "Evaluation"

#: Columns that the prose of a Markdown report is wrapped at.
LINE_WIDTH = 99

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
table { border-collapse: collapse; margin: 0.5em 0 2em; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: 0.25em 0.8em; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.published { color: #666; font-style: italic; }
"""

CSV_HEADER = (
    "study",
    "protocol",
    "standardise",
    "labels",
    "task",
    "set",
    "model",
    "metric",
    "mean",
    "std",
    "seeds",
)


def write_report(
    records: Iterable[ResultRecord],
    folder: str | os.PathLike[str],
) -> list[Path]:
    """Write ``report.md``, ``results.csv`` and ``report.html``.

    Parameters
    ----------
    records : iterable of dict
        Records that `evaluate` or `read_results` returned.
    folder : path-like
        Folder to write to, made if it does not exist; older reports in it are replaced.

    Returns
    -------
    list of Path
        The three files.

    Raises
    ------
    ValueError
        If there are no records, or the folder cannot be written.
    """
    found = tables(records)
    if not found:
        raise ValueError("There are no results to report: the files are empty.")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"The folder {str(folder)!r} cannot be made ({error.strerror}): give another one."
        ) from error
    contents = {
        "report.md": markdown(found),
        "results.csv": comma_separated(found),
        "report.html": page(found),
    }
    paths = []
    for name, content in contents.items():
        path = folder / name
        with whole_file(path) as file:
            file.write(content.encode())
        paths.append(path)
    return paths


def markdown(found: list[Table]) -> str:
    """Return the tables in Markdown."""
    note = textwrap.fill(f"Mean ± standard deviation over seeds. {NOTE}", LINE_WIDTH)
    blocks = [f"# {TITLE}\n", f"{note}\n"]
    for table in _shown(found):
        grid = _grid(table)
        alignment = ["---"] + ["---:"] * (len(grid.header) - 1)
        lines = [_markdown_line(grid.header), _markdown_line(alignment)]
        for row in grid.rows:
            lines.append(_markdown_line(row))
        text = "\n".join(lines)
        blocks.append(f"## {table.title}\n\n{text}\n")
    return "\n".join(blocks)


def _markdown_line(cells: list[str]) -> str:
    text = " | ".join(_escaped(cell) for cell in cells)
    return f"| {text} |"


def _escaped(cell: str) -> str:
    cell = cell.replace("|", "\\|")
    cell = cell.replace("<", "&lt;")
    return cell.replace("\n", " ")


def page(found: list[Table]) -> str:
    """Return the tables as one HTML page that contains its style."""
    lines = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        f"<title>{TITLE}</title><style>{STYLE}</style></head><body>",
        f"<h1>{TITLE}</h1><p>Mean ± standard deviation over seeds. {html.escape(NOTE)}</p>",
    ]
    for table in _shown(found):
        grid = _grid(table)
        n_measured = 1 + len(table.models)
        lines.append(f"<h2>{html.escape(table.title)}</h2>\n<table>")
        lines.append(_html_row("th", grid.header, n_measured))
        for row in grid.rows:
            lines.append(_html_row("td", row, n_measured))
        lines.append("</table>")
    lines.append("</body></html>\n")
    return "\n".join(lines)


def _html_row(tag: str, cells: list[str], n_measured: int) -> str:
    """Return a row in which the cells after the measured ones are marked as published."""
    row = ""
    for number, cell in enumerate(cells):
        text = html.escape(cell)
        if number < n_measured:
            row += f"<{tag}>{text}</{tag}>"
        else:
            row += f'<{tag} class="published">{text}</{tag}>'
    return f"<tr>{row}</tr>"


def comma_separated(found: list[Table]) -> str:
    """Return one CSV line per score, and one per published number of an evaluated set.

    Shares and their deviations are in percent, as in the tables. ``seeds`` is 0 for published
    numbers.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for table in found:
        section = [
            table.study or "",
            table.protocol,
            table.settings.get("standardise", ""),
            table.settings.get("labels", ""),
            table.task,
        ]
        for (set_name, model), score in table.scores.items():
            std = "" if math.isnan(score.std) else f"{score.std:.6g}"
            numbers = [f"{score.mean:.6g}", std, score.n_seeds]
            writer.writerow([*section, set_name, model, table.metric, *numbers])
        for set_name in table.rows():
            published = table.published(set_name)
            for method, value in published.items():
                model = f"{method} (published)"
                numbers = [value, "", 0]
                writer.writerow([*section, set_name, model, table.metric, *numbers])
    return text.getvalue()


def plain_text(found: list[Table]) -> str:
    """Return the tables for a terminal."""
    blocks = []
    for table in _shown(found):
        grid = _grid(table)
        lines = [grid.header, *grid.rows]
        columns = zip(*lines, strict=True)
        widths = [max(map(len, column)) for column in columns]
        block = [table.title]
        for line in lines:
            block.append(_aligned(line, widths))
        blocks.append("\n".join(block))
    return "\n\n".join(blocks)


def _aligned(cells: list[str], widths: list[int]) -> str:
    """Return cells in columns, the first aligned to the left and the others to the right."""
    padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
    padded[0] = cells[0].ljust(widths[0])
    line = "  ".join(padded)
    return line.rstrip()


def _shown(found: list[Table]) -> list[Table]:
    return [table for table in found if table.metric in SHOWN]


@dataclass(frozen=True)
class _Grid:
    """Cells of a table as text: a name, the models, then the published methods."""

    header: list[str]
    rows: list[list[str]]


def _grid(table: Table) -> _Grid:
    methods = _published_methods(table)
    kind = "published, linear" if table.protocol == "probe" else "published"
    header = ["set", *table.models]
    for method in methods:
        header.append(f"{method} ({kind})")
    rows = []
    for name in table.rows():
        if name == ARCHIVE and name not in table.sets:
            row = _archive_row(table, is_beside_published=bool(methods))
        else:
            row = _set_row(table, name)
        published = table.published(name)
        for method in methods:
            row.append(_number(published.get(method)))
        rows.append(row)
    return _Grid(header, rows)


def _published_methods(table: Table) -> list[str]:
    """Return the methods with a published number for any row, in order of appearance."""
    methods: dict[str, None] = {}
    for name in table.rows():
        methods |= dict.fromkeys(table.published(name))
    return list(methods)


def _set_row(table: Table, name: str) -> list[str]:
    """Return the name of a set and the scores of all models."""
    digits = _digits(table)
    row = [name.removeprefix(ARCHIVE_PREFIX)]
    for model in table.models:
        score = table.scores.get((name, model))
        row.append(_text(score, digits))
    return row


def _archive_row(table: Table, *, is_beside_published: bool) -> list[str]:
    """Return the name of the archive and the means of all models."""
    digits = _digits(table)
    sets = table.archive_sets()
    name = f"UCR, mean of {len(sets)}"
    if is_beside_published:
        name += " (paper: 128)"
    row = [name]
    for model in table.models:
        mean = table.mean_over(sets, model)
        row.append(f"{mean:.{digits}f}")
    return row


def _digits(table: Table) -> int:
    return 2 if unit(table.metric) == 100.0 else 4


def _text(score: Score | None, digits: int) -> str:
    if score is None:
        return ""
    mean = f"{score.mean:.{digits}f}"
    if math.isnan(score.std):
        return mean
    return f"{mean} ± {score.std:.{digits}f}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"
