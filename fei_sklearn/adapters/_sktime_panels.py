"""sktime's containers of panels: which are accepted, and their way to FEIEmbedder."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pandas as pd

from fei_sklearn._input.cells import refuse_dates
from fei_sklearn._input.columns import refuse_text
from fei_sklearn.adapters._grid import on_grid, ranks_of

#: Indices of frames that can only be one series.
_TIME_INDEX = pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex

#: Remedy for containers that are no sktime panel.
_GIVE_AN_ARRAY = (
    "give an array of shape (n_samples, n_channels, n_timepoints), such as "
    "X.to_numpy()[:, np.newaxis] for a wide frame, whose rows are series, or "
    "fei_sklearn.adapters.frames.from_long(X, id=..., time=...) for a long one."
)


def channel_names(X):
    """Return the names of a panel's channels, or None where there are none."""
    if isinstance(X, np.ndarray):
        return None
    names = list(X.columns)
    generated = [f"var_{i}" for i in range(len(names))]  # sktime's, for arrays
    return None if names == generated else names


def instance_names(X):
    """Return the names of a panel's series, in the order of their rows."""
    return X.index.droplevel(-1).unique()


def _level_names(X):
    """Return the names of the index's levels, and sktime's where they have none."""
    usual = ("instances", "timepoints")
    return [
        own if own is not None else name for own, name in zip(X.index.names, usual, strict=True)
    ]


def as_panel(X):
    """Return a panel of one of the inner mtypes as FEIEmbedder accepts it.

    Raises
    ------
    ValueError
        If a cell holds text or an array.
    TypeError
        If a column holds dates or durations.
    """
    if isinstance(X, np.ndarray):
        return X
    id_name, time_name = _level_names(X)
    series, instances = pd.factorize(X.index.get_level_values(0))
    codes, times = pd.factorize(X.index.get_level_values(1))
    values = _numbers(X).T
    return on_grid(
        values,
        series,
        ranks_of(codes, times),
        len(instances),
        id=id_name,
        time=time_name,
    )


def _numbers(frame):
    """Return the values of a frame as float64."""
    refuse_dates(frame, "X")
    try:
        return frame.to_numpy(dtype=np.float64, na_value=np.nan)
    except ValueError as error:
        refuse_text(frame, "X")
        raise ValueError(
            f"X has cells that are no numbers ({error}): give a number in each cell of a frame "
            "with an index of ids and times, and a pd.Series in each cell of a nested frame."
        ) from error


def check_container(X):
    """Raise for containers that no sktime estimator accepts, or that sktime misreads.

    sktime's own errors are lists of mtypes.
    """
    if hasattr(X, "__len__") and len(X) == 0:
        raise ValueError(f"X is an empty {type(X).__name__}: give at least one series.")
    if _is_long(X) and X.index.has_duplicates:  # sktime accepts them
        duplicate = X.index[X.index.duplicated()][0]
        cell = ", ".join(map(str, duplicate))
        raise ValueError(
            f"X has more than one row for ({cell}): keep one row per series and time point."
        )
    if isinstance(X, list):
        others = [type(item).__name__ for item in X if not isinstance(item, pd.DataFrame)]
        if others:
            raise TypeError(
                f"X is a list that holds {others[0]}, but sktime accepts lists of frames with one "
                "row per time point: give [pd.DataFrame(series.T) for series in X] if these are "
                "arrays of shape (n_channels, n_timepoints)."
            )
    elif isinstance(X, np.ndarray):
        if X.ndim > 3:
            raise ValueError(
                f"X has {X.ndim} dimensions, {X.shape}, and a panel has 3: reshape it to "
                "(n_samples, n_channels, n_timepoints)."
            )
    elif not isinstance(X, pd.DataFrame | pd.Series | None):
        raise TypeError(
            f"X is of type {type(X).__module__}.{type(X).__qualname__}, which sktime does not "
            f"convert: {_GIVE_AN_ARRAY}"
        )


def refuse_tables(X):
    """Raise for tables, which sktime reads as one series of many channels and may be panels."""
    if isinstance(X, np.ndarray) and X.ndim == 2:
        raise ValueError(
            f"X is a 2-D array, {X.shape}, which sktime's transformers read as one series with one "
            "row per time point: give X[:, np.newaxis] if its rows are series, or X.T[np.newaxis] "
            "if it is one series."
        )
    if _is_flat_frame(X) and X.shape[1] > 1 and not isinstance(X.index, _TIME_INDEX):
        raise ValueError(
            f"X is a frame of shape {X.shape} without an index of times, which sktime's "
            "transformers read as one series with one row per time point: give "
            "X.to_numpy()[:, np.newaxis] if its rows are series, X.to_numpy().T[np.newaxis] if it "
            "is one series, or fei_sklearn.adapters.frames.from_long(X, id=..., time=...) if it is "
            "a long frame."
        )


def refuse_flat_frames(X):
    """Raise for frames that are not panels to sktime's classifiers and regressors."""
    if _is_flat_frame(X):
        raise ValueError(
            f"X is a frame of shape {X.shape} with neither a MultiIndex nor a series in each cell, "
            f"which sktime does not accept as a panel: {_GIVE_AN_ARRAY}"
        )


def _is_flat_frame(X):
    """Return whether X is a frame of single values without ids in its index."""
    if not isinstance(X, pd.DataFrame) or X.index.nlevels > 1 or X.empty:
        return False
    return not isinstance(X.iloc[0, 0], pd.Series | np.ndarray)


@contextmanager
def index_errors(X):
    """Replace sktime's errors about a MultiIndex, which are lists of mtypes."""
    try:
        yield
    except TypeError as error:
        if not _is_long(X):
            raise
        if not X.index.is_monotonic_increasing:
            raise TypeError(
                "X has rows that are not in the order of their time points: give X.sort_index()."
            ) from error
        times = X.index.levels[-1]
        if isinstance(times, _TIME_INDEX) or pd.api.types.is_integer_dtype(times):
            raise
        raise TypeError(
            f"X has an index of times of type {times.dtype}, which sktime does not accept: give "
            "whole numbers, dates or periods, or "
            "fei_sklearn.adapters.frames.from_long(X.reset_index(), id=..., time=...)."
        ) from error


def _is_long(X):
    return isinstance(X, pd.DataFrame) and isinstance(X.index, pd.MultiIndex)
