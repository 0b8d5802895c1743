"""Rows of (series, time, values) on a common grid of times."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from fei_sklearn._warnings import warn

#: Share of missing values above which the times of series have too little in common.
MAX_MISSING = 0.5

#: Cells of a panel per row of its frame above which a panel of many bytes is refused.
MAX_GROWTH = 50
SMALL_BYTES = 2**26

#: What to do about times that series do not share, with the columns of times and of ids.
REMEDY = (
    "round {time!r}, or number the rows of each series, as pandas' frame.groupby({id!r}).cumcount()"
    " does."
)


def on_grid(
    values: ndarray,
    series: ndarray,
    ranks: ndarray,
    n_series: int,
    *,
    id: object,
    time: object,
) -> ndarray | list[ndarray]:
    """Put rows on a common grid of times.

    Each series lasts from its first to its last time. A time in between that only other series have
    is a missing value.

    Parameters
    ----------
    values : ndarray of shape (n_channels, n_rows), float64
        Values of each row.
    series : ndarray of shape (n_rows,), int
        Number of the series of each row.
    ranks : ndarray of shape (n_rows,), int
        Position of each row's time among all distinct times.
    n_series : int
        Number of series. Each has at least one row.
    id, time : object
        Names of the columns of ids and times, for messages.

    Returns
    -------
    ndarray of shape (n_series, n_channels, n_timepoints), or list of arrays of shape \
(n_channels, n_timepoints_i)
        Panel, float64 with NaN for missing values; a list if the series differ in length.

    Raises
    ------
    ValueError
        If the series share so few times that the panel would be many times as large as the rows.

    Warns
    -----
    UserWarning
        If most of the panel is missing.
    """
    n_channels, n_rows = values.shape
    first = np.full(n_series, n_rows)
    last = np.zeros(n_series, dtype=int)
    np.minimum.at(first, series, ranks)
    np.maximum.at(last, series, ranks)
    lengths = last - first + 1
    ends = lengths.cumsum()
    n_cells = int(ends[-1])
    remedy = REMEDY.format(id=id, time=time)
    _check_growth(n_cells, n_rows, n_channels, remedy)
    missing = 1 - n_rows / n_cells
    if missing > MAX_MISSING:
        warn(
            f"{missing:.0%} of the panel is missing, as the series share few times: {remedy}",
        )

    # all series one after another, split at their ends below
    panel = np.full((n_channels, n_cells), np.nan)
    starts = ends - lengths
    positions = (starts - first)[series] + ranks
    panel[:, positions] = values
    if (lengths == lengths[0]).all():
        by_channel = panel.reshape(n_channels, n_series, lengths[0])
        return np.ascontiguousarray(by_channel.swapaxes(0, 1))
    return np.split(panel, ends[:-1], axis=1)


def _check_growth(n_cells: int, n_rows: int, n_channels: int, remedy: str) -> None:
    """Raise if a panel would be large and nearly empty."""
    n_bytes = 8 * n_channels * n_cells
    growth = n_cells / n_rows
    if growth > MAX_GROWTH and n_bytes > SMALL_BYTES:
        raise ValueError(
            f"The series share so few times that a panel on their common grid would take "
            f"{n_bytes / 1e6:,.0f} MB, {growth:,.0f} times as much as the {n_rows:,} rows: {remedy}"
        )


def ranks_of(codes: ndarray, distinct: ndarray) -> ndarray:
    """Return the position of each row's time among all distinct times, sorted.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,), int
        Number of each row's time.
    distinct : ndarray of shape (n_times,)
        Times by number.

    Returns
    -------
    ndarray of shape (n_rows,), int
        Positions.
    """
    order = np.argsort(np.asarray(distinct))
    ranks = np.empty(len(order), dtype=int)
    ranks[order] = np.arange(len(order))
    return ranks[codes]
