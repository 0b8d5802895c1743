"""A report of results: Markdown, CSV and one HTML page that needs nothing else."""

from __future__ import annotations

import csv
import html
import io
import math
import os
from collections.abc import Iterable
from pathlib import Path

from fei_sklearn._files import whole_file
from fei_sklearn.evaluation.published import NOTE
from fei_sklearn.evaluation.results import ResultRecord
from fei_sklearn.evaluation.tables import ARCHIVE, SHOWN, Score, Table, tables, unit

TITLE = "Evaluation"

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
table { border-collapse: collapse; margin: 0.5em 0 2em; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: 0.25em 0.8em; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.published { color: #666; font-style: italic; }
"""


def write_report(records: Iterable[ResultRecord], folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``report.md``, ``results.csv`` and ``report.html``.

    Parameters
    ----------
    records : iterable of dict
        What `evaluate` returned or `read_results` read.
    folder : path-like
        Where to, made if it does not exist; older reports in it are replaced.

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
    for name, content in contents.items():
        with whole_file(folder / name) as file:
            file.write(content.encode())
    return [folder / name for name in contents]


def markdown(found: list[Table]) -> str:
    """The tables in Markdown."""
    parts = [f"# {TITLE}\n", f"Mean ± standard deviation over seeds. {NOTE}\n"]
    for table in _shown(found):
        header, rows = _grid(table)
        lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
        text = "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)
        parts.append(f"## {table.title}\n\n{text}\n")
    return "\n".join(parts)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def page(found: list[Table]) -> str:
    """The tables as one HTML page, its style inside it."""
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        f"<title>{TITLE}</title><style>{STYLE}</style></head><body>",
        f"<h1>{TITLE}</h1><p>Mean ± standard deviation over seeds. {html.escape(NOTE)}</p>",
    ]
    for table in _shown(found):
        header, rows = _grid(table)
        parts.append(f"<h2>{html.escape(table.title)}</h2>\n<table>")
        parts.append(_html_row("th", header, len(table.models)))
        parts += [_html_row("td", row, len(table.models)) for row in rows]
        parts.append("</table>")
    return "\n".join([*parts, "</body></html>\n"])


def _html_row(tag: str, cells: list[str], n_models: int) -> str:
    marked = (
        f'<{tag} class="published">' if number > n_models else f"<{tag}>"
        for number in range(len(cells))
    )
    inside = (f"{a}{html.escape(cell)}</{tag}>" for a, cell in zip(marked, cells, strict=True))
    return f"<tr>{''.join(inside)}</tr>"


def comma_separated(found: list[Table]) -> str:
    """A line for each score, and one for each published number of a set that was evaluated.

    Shares and their deviations are in percent, as in the tables; ``seeds`` is 0 for published ones.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    start = ["study", "protocol", "standardise", "task", "set", "model"]
    writer.writerow([*start, "metric", "mean", "std", "seeds"])
    for table in found:
        standardise = table.settings.get("standardise", "")
        about = [table.study or "", table.protocol, standardise, table.task]
        for (set_name, model), score in table.scores.items():
            std = "" if math.isnan(score.std) else f"{score.std:.6g}"
            numbers = [table.metric, f"{score.mean:.6g}", std, score.n_seeds]
            writer.writerow([*about, set_name, model, *numbers])
        for set_name in [*table.sets, *(["UCR"] if table.archive_means()[0] else [])]:
            for method, value in table.published(set_name).items():
                name = f"{method} (published)"
                writer.writerow([*about, set_name, name, table.metric, value, "", 0])
    return text.getvalue()


def plain_text(found: list[Table]) -> str:
    """The tables for a terminal."""
    parts = []
    for table in _shown(found):
        header, rows = _grid(table)
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if number == 0 else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in (header, *rows)
        ]
        parts.append("\n".join([table.title, *(line.rstrip() for line in lines)]))
    return "\n\n".join(parts)


def _shown(found: list[Table]) -> list[Table]:
    return [table for table in found if table.metric in SHOWN]


def _grid(table: Table) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table: models, then what is published."""
    n_archive, means = table.archive_means()
    rows = [*table.sets, *(["UCR"] if n_archive else [])]
    columns = list(dict.fromkeys(method for row in rows for method in table.published(row)))
    kind = "published, linear" if table.protocol == "probe" else "published"
    header = ["set", *table.models, *(f"{method} ({kind})" for method in columns)]
    digits = 2 if unit(table.metric) == 100.0 else 4
    grid = []
    for row in rows:
        if row == "UCR" and row not in table.sets:
            ours = [f"{means[model]:.{digits}f}" for model in table.models]
            name = f"UCR, mean of {n_archive}" + (" (paper: 128)" if columns else "")
        else:
            ours = [_text(table.scores.get((row, model)), digits) for model in table.models]
            name = row.removeprefix(ARCHIVE)
        theirs = table.published(row)
        grid.append([name, *ours, *(_number(theirs.get(method)) for method in columns)])
    return header, grid


def _text(score: Score | None, digits: int) -> str:
    if score is None:
        return ""
    spread = "" if math.isnan(score.std) else f" ± {score.std:.{digits}f}"
    return f"{score.mean:.{digits}f}{spread}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"
