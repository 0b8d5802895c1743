"""Windows of sktime's series, their lengths, and their panels for an embedder."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Fewest windows with known targets that a head is fitted on.
MIN_WINDOWS = 3

#: Largest number of windows, the latest, for a head and for the pretraining of an encoder.
MAX_WINDOWS = 4096

#: Shortest window.
MIN_WINDOW_LENGTH = 2

#: Shortest window, unless the series is too short for it or the user chooses the length.
PREFERRED_LENGTH = 12


def stack_channels(
    y: pd.Series,
    X: pd.DataFrame | None,
) -> np.ndarray:
    """Return a series above its exogenous variables, of shape (1 + n_exogenous, n_timepoints)."""
    values = y.to_numpy(dtype=np.float64)[np.newaxis]
    if X is None:
        return values
    exogenous = X.loc[y.index].to_numpy(dtype=np.float64)
    return np.vstack([values, exogenous.T])


def stack_each_series(
    y: pd.DataFrame,
    X: pd.DataFrame | None,
) -> list[np.ndarray]:
    """Return every series of a panel, each column of y as one, with its exogenous variables."""
    levels = list(range(y.index.nlevels - 1))
    stacked = []
    for _, frame in y.groupby(level=levels):
        exogenous = None if X is None else X.loc[frame.index]
        stacked += [stack_channels(frame[column], exogenous) for column in frame]
    return stacked


def check_observations(
    y: pd.Series | None,
    X: pd.DataFrame | None,
) -> None:
    """Raise if values are infinite, or if X lacks a time point of y."""
    if y is not None:
        _check_finite(y.to_frame("y"), "y")
    if X is not None:
        _check_finite(X, "X")
    if y is None or X is None:
        return
    missing = y.index.difference(X.index)
    if len(missing) > 0:
        raise ValueError(
            f"X lacks {len(missing)} of the {len(y)} time points of y, such as {missing[0]}: give "
            "the exogenous variables at all of them."
        )


def _check_finite(frame: pd.DataFrame, container: str) -> None:
    """Raise if a frame holds a value that is infinite or missing."""
    values = frame.to_numpy(dtype=np.float64)
    rows, columns = np.nonzero(~np.isfinite(values))
    if len(rows) == 0:
        return
    when = frame.index[rows[0]]
    value = values[rows[0], columns[0]]
    place = f"at {when}"
    if container == "X":
        place = f"in column {frame.columns[columns[0]]!r} at {when}"
    raise ValueError(f"{container} holds {value} {place}: replace it by a finite value.")


def refuse_gaps(index: pd.Index) -> None:
    """Raise if steps of a horizon do not lead from one time point, sorted, to the next.

    Periods and whole numbers follow each other one by one. Dates need a frequency that pandas
    finds, such as business days or month ends.

    Raises
    ------
    ValueError
        If a time point is repeated, if one is missing between others, or if the index holds
        durations.
    """
    if index.has_duplicates:
        repeated = index[index.duplicated()][0]
        raise ValueError(f"y has several values at {repeated}: give one of them, or their mean.")
    if isinstance(index, pd.DatetimeIndex):
        _refuse_irregular_dates(index)
    elif isinstance(index, pd.PeriodIndex):
        _refuse_numbers_apart(index, index.asi8)
    elif isinstance(index.dtype, np.dtype) and index.dtype.kind in "iu":
        _refuse_numbers_apart(index, index.to_numpy())
    elif isinstance(index, pd.TimedeltaIndex):
        raise ValueError(
            f"y is indexed by durations, such as {index[0]}, to which sktime adds no steps: give "
            "dates, periods or whole numbers."
        )


def _refuse_irregular_dates(index: pd.DatetimeIndex) -> None:
    """Raise if dates follow no frequency, by which sktime would count steps."""
    fewest = 3  # dates by which pandas infers a frequency
    if index.freq is not None or len(index) < fewest or pd.infer_freq(index) is not None:
        return
    distances = np.diff(index.asi8)
    widest = int(distances.argmax())
    raise ValueError(
        f"y has dates at no regular distance, such as none between {index[widest]} and "
        f"{index[widest + 1]}: give all dates of a frequency, for instance by "
        'y.asfreq("D").interpolate().'
    )


def _refuse_numbers_apart(
    index: pd.Index,
    times: np.ndarray,
) -> None:
    """Raise if a time point is more than one away from the next."""
    distances = np.diff(times)
    apart = np.flatnonzero(distances > 1)
    if len(apart) == 0:
        return
    gap = int(apart[0])
    remedy = ": give the values between, for instance by y.reindex(...).interpolate()."
    if distances.min() == distances.max():
        remedy = (
            ", nor between later time points, but fh counts single steps: number y by "
            "y.reset_index(drop=True), or give periods of that length."
        )
    raise ValueError(f"y has no value between {index[gap]} and {index[gap + 1]}{remedy}")


def append_observations(old, new):
    """Return old and new observations in order; a new one replaces an old one of its time."""
    is_replaced = old.index.isin(new.index)
    return pd.concat([old[~is_replaced], new]).sort_index()


def exogenous_values(
    X: pd.DataFrame | None,
    index: pd.Index,
) -> np.ndarray:
    """Return exogenous variables at the time points to forecast.

    Parameters
    ----------
    X : DataFrame or None
        Exogenous variables as passed to `predict`.
    index : Index of length n_steps
        Time points to forecast.

    Returns
    -------
    ndarray of shape (1, n_exogenous, n_steps), float64
        Their values.

    Raises
    ------
    ValueError
        If X lacks a time point.
    """
    missing = index if X is None else index.difference(X.index)
    if X is None or len(missing) > 0:
        raise ValueError(
            f"X lacks {len(missing)} of the {len(index)} time points to forecast, such as "
            f"{missing[0]}, but the forecaster was fitted with X: give predict the exogenous "
            "variables at all of them."
        )
    return X.loc[index].to_numpy(dtype=np.float64).T[np.newaxis]


def sliding_windows(
    series: np.ndarray,
    length: int,
) -> np.ndarray:
    """Return all windows of a series as a view.

    Parameters
    ----------
    series : ndarray of shape (n_channels, n_timepoints)
        Series.
    length : int
        Time points of a window.

    Returns
    -------
    ndarray of shape (n_timepoints - length + 1, n_channels, length)
        Windows in order.
    """
    windows = np.lib.stride_tricks.sliding_window_view(series, length, axis=1)
    return windows.transpose(1, 0, 2)


def relative_windows(windows: np.ndarray) -> np.ndarray:
    """Return windows relative to their last value, in units of their own standard deviation."""
    scale = windows.std(axis=-1, keepdims=True)
    scale[scale == 0] = 1.0
    return (windows - windows[..., -1:]) / scale


def thinned_windows(
    series: list[np.ndarray],
    length: int,
    n_rows_per_window: int = 1,
) -> np.ndarray:
    """Return windows at equal distances, few enough for `MAX_WINDOWS` rows of a panel.

    Only the returned windows are copied: all windows of a series need `length` times its memory.

    Parameters
    ----------
    series : list of ndarray of shape (n_channels, n_timepoints_i)
        Series of at least `length` time points.
    length : int
        Time points of a window.
    n_rows_per_window : int, default=1
        Rows of the panel that a window becomes.

    Returns
    -------
    ndarray of shape (n_windows, n_channels, length)
        Windows.
    """
    views = [sliding_windows(values, length) for values in series]
    n_windows = sum(map(len, views))
    most = max(MAX_WINDOWS // n_rows_per_window, 1)
    step = -(-n_windows // most)
    chosen = []
    n_before = 0
    for view in views:
        first = -n_before % step
        chosen.append(view[first::step])
        n_before += len(view)
    return np.concatenate(chosen)


def preferred_length(sp: int) -> int:
    """Return the length of windows for a season of `sp` time points, if the series is long."""
    return max(2 * sp, PREFERRED_LENGTH)


def longest_window(
    n_timepoints: int,
    horizon: int,
) -> int:
    """Return the length of the longest windows that leave `MIN_WINDOWS` with known targets.

    Parameters
    ----------
    n_timepoints : int
        Time points of the series.
    horizon : int
        Largest step to forecast.

    Returns
    -------
    int
        Length, at least `MIN_WINDOW_LENGTH`.

    Raises
    ------
    ValueError
        If the series is too short for any window.
    """
    longest = n_timepoints - horizon - MIN_WINDOWS + 1
    if longest < MIN_WINDOW_LENGTH:
        needed = MIN_WINDOW_LENGTH + horizon + MIN_WINDOWS - 1
        raise ValueError(
            f"y has {n_timepoints} time points, too few for a horizon of {horizon}: give at least "
            f"{needed}, or shorten fh."
        )
    return longest


def check_window_length(
    length: int,
    n_timepoints: int,
    horizon: int,
) -> None:
    """Raise if windows of a length leave too few with known targets."""
    longest = longest_window(n_timepoints, horizon)
    if length > longest:
        raise ValueError(
            f"window_length={length} leaves fewer than {MIN_WINDOWS} windows of the "
            f"{n_timepoints} time points of y before a horizon of {horizon}: give at most "
            f'{longest}, or "auto".'
        )


def fitting_length(
    preferred: int,
    n_timepoints: int,
    horizon: int,
) -> int:
    """Return the preferred length of windows, shortened until half of them have known targets."""
    longest = longest_window(n_timepoints, horizon)
    half = (n_timepoints - horizon) // 2
    return max(min(preferred, half, longest), MIN_WINDOW_LENGTH)
