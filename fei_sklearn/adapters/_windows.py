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


def thin(panel: np.ndarray) -> np.ndarray:
    """Return at most `MAX_WINDOWS` rows of a panel, at equal distances."""
    step = -(-len(panel) // MAX_WINDOWS)
    return panel[::step]


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
