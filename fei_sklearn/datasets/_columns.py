"""Tables of one series per row: which column has the labels, and what the labels are for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray

#: Names of a column that has the labels if no column is named, in lower case.
LABEL_NAMES = ("label", "class", "target")

#: Names of columns that tables have beside their time points, in lower case.
OTHER_NAMES = ("id", "index", "time", "timestamp", "date", "datetime", "y")

#: Texts that Python reads as numbers, and writes otherwise.
AMBIGUOUS = re.compile(r"[+-]?0\d|.*_")


def label_position(names: list[str], label: str | None, path: Path) -> int | None:
    """Return the position of the column of labels.

    Parameters
    ----------
    names : list of str
        Names of the columns.
    label : str or None
        Name of the column of labels. None takes the only column named "label", "class" or
        "target".
    path : Path
        File that error messages name.

    Returns
    -------
    int or None
        Position, or None if there are no labels.

    Raises
    ------
    ValueError
        If there is no such column, or several.
    """
    if label is None:
        found = [i for i, name in enumerate(names) if name.lower() in LABEL_NAMES]
    else:
        found = [i for i, name in enumerate(names) if name == label]
    if len(found) > 1:
        raise ValueError(
            f"{path} has several columns of labels, {names[found[0]]!r} and {names[found[1]]!r}: "
            "keep one of them, or name one by label."
        )
    if found:
        return found[0]
    if label is None:
        return None
    close = difflib.get_close_matches(label, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"its columns are {', '.join(names[:10])}."
    raise ValueError(f"{path} has no column {label!r}: {hint}")


def refuse_other_columns(names: Sequence[str], path: Path) -> None:
    """Raise if a column that would be a time point or a channel has the name of something else.

    Parameters
    ----------
    names : sequence of str
        Names of the columns without that of the labels.
    path : Path
        File that the error message names.

    Raises
    ------
    ValueError
        If a column is called "id", "time", "y" or the like.
    """
    for name in names:
        if name.lower() in OTHER_NAMES:
            raise ValueError(
                f"{path} has the column {name!r}, which would become a time point of every series: "
                "leave it out, name it as the column of labels, or rename it. Rows are series; a "
                "table of one row per time point is read by fei_sklearn.adapters.frames.from_long."
            )


def check_same_columns(
    train: Sequence[str],
    test: Sequence[str],
    path: Path,
) -> None:
    """Raise if a test part has the columns of the training part at other positions.

    Parameters
    ----------
    train, test : sequence of str
        Names of the columns of both parts, empty if a file does not name them. Parts may have other
        names altogether, such as dates, and one may have more time points at the end.
    path : Path
        File of the test part, for the error message.

    Raises
    ------
    ValueError
        If all names of one part are in the other, but not at the same positions.
    """
    shorter, longer = sorted((train, test), key=len)
    if not set(shorter) <= set(longer):
        return
    for expected, name in zip(train, test, strict=False):
        if name != expected:
            raise ValueError(
                f"{path} has the column {name!r} where the training part has {expected!r}: give "
                "both parts the same columns in the same order."
            )


def read_labels(texts: list[str]) -> tuple[ndarray, str]:
    """Return labels as numbers if all are numbers, and the task that they are for.

    Whole numbers and texts are classes; numbers with a point or an exponent are targets. Texts such
    as 01 and 1_2, which Python takes for the numbers 1 and 12, stay texts.
    """
    if any(AMBIGUOUS.match(text) for text in texts):
        return np.array(texts), "classification"
    for dtype, task in ((np.int64, "classification"), (np.float64, "regression")):
        try:
            return np.array(texts).astype(dtype), task
        except (ValueError, OverflowError):
            continue
    return np.array(texts), "classification"
