"""Conversion of what users pass as y."""

from __future__ import annotations

from typing import Any

import numpy as np

from fei_sklearn._input.cells import first_missing, refuse_dates
from fei_sklearn._input.columns import column_names, refuse_repeated
from fei_sklearn._input.containers import plain_array


def plain_targets(
    y: Any,
    *,
    numeric: bool,
) -> Any:
    """Convert tensors, and raise for targets that scikit-learn would misread.

    Parameters
    ----------
    y : object
        Targets as a user passes them.
    numeric : bool
        Whether y holds numbers, not labels.

    Returns
    -------
    object
        Targets for scikit-learn to validate.

    Raises
    ------
    ValueError
        If y is a string, or some of it is masked or missing.
    TypeError
        If y is numeric and holds dates or durations, or if labels are of text and of other types.
    """
    if isinstance(y, str | bytes):
        raise ValueError(f"y is the string {y!r}: give an array of one target per series.")
    if isinstance(y, np.ma.MaskedArray):
        _refuse_masked(y, "y", "leave out their series, with X[~y.mask] and y[~y.mask]")
        return y.data
    y = plain_array(y)
    refuse_repeated(column_names(y), "y")
    if numeric:
        refuse_dates(y, "y")
    if _may_hold_objects(y):
        _refuse_cells(y, numeric)
    return y


def _refuse_cells(
    y: Any,
    numeric: bool,
) -> None:
    """Raise if a target is missing, or if one that should be numeric is a date."""
    cells = np.asarray(y, dtype=object)
    if cells.ndim != 1:
        return
    if numeric:
        refuse_dates(cells, "y")
    position = first_missing(cells)
    if position is not None:
        raise ValueError(
            f"Input y contains NaN: y[{position}] is {cells[position]!r}. Leave out the series "
            "without a target."
        )
    if not numeric:
        _refuse_mixed(cells)


def _refuse_mixed(labels: np.ndarray) -> None:
    """Raise if some labels are text and others are not: they have no order."""
    are_text = np.array([isinstance(label, str) for label in labels], dtype=bool)
    if not are_text.any() or are_text.all():
        return
    text = labels[are_text][0]
    other = labels[~are_text][0]
    raise TypeError(
        f"y has the text {text!r} as well as {other!r}, a {type(other).__name__}: give labels of "
        "one type, for example by map(str, y)."
    )


def plain_weights(sample_weight: Any) -> Any:
    """Convert tensors, and raise for weights that scikit-learn would misread.

    Parameters
    ----------
    sample_weight : object
        Weights as a user passes them.

    Returns
    -------
    object
        Weights for scikit-learn to validate.

    Raises
    ------
    ValueError
        If some weights are masked.
    TypeError
        If they are dates or durations.
    """
    if isinstance(sample_weight, np.ma.MaskedArray):
        advice = "give sample_weight.filled(0) to leave their series out"
        _refuse_masked(sample_weight, "sample_weight", advice)
        return sample_weight.data
    refuse_dates(sample_weight, "sample_weight")
    return plain_array(sample_weight)


def _refuse_masked(values: np.ma.MaskedArray, name: str, advice: str) -> None:
    """Raise if some values are masked: what is under the mask would be used."""
    mask = np.ma.getmaskarray(values)
    n_masked = np.count_nonzero(mask)
    if n_masked > 0:
        raise ValueError(f"{name} is a masked array with {n_masked} masked values: {advice}.")


def _may_hold_objects(y: Any) -> bool:
    """Return whether targets are in a list, or in a column of objects or of nullable numbers."""
    if isinstance(y, list | tuple):
        return True
    dtype = getattr(y, "dtype", None)
    if isinstance(dtype, np.dtype):
        return dtype.kind == "O"
    return dtype is not None
