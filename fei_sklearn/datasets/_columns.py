"""Tables of one series per row: which column has the labels, and what the labels are for."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import numpy as np
from numpy import ndarray

#: Names of a column that has the labels if no column is named, in lower case.
LABEL_NAMES = ("label", "class", "target")

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
