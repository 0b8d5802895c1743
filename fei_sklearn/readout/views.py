"""Views of univariate series, row by row: what the kernels of a dilated front end see.

One implementation serves all devices, so that embeddings differ by no more than the statistics. A
row is computed alone, in float64, one value after the other: neither the rows beside it, nor the
number of threads, nor the width of the CPU's registers changes a bit.
"""

from __future__ import annotations

import numpy as np

from fei_sklearn.readout.compiling import compiled, internal
from fei_sklearn.readout.spec import FRONT_VIEWS

#: Standard deviation up to which a series counts as constant.
CONSTANT_DEVIATION = 1e-6

LEVEL, SHAPE, CHANGE, HALVED, SUM = range(len(FRONT_VIEWS))


def see(
    values: np.ndarray,
    lengths: np.ndarray,
    view: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a view of series.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_timepoints), float32
        Series without missing values.
    lengths : ndarray of shape (n_samples,), int64
        Time points of each series, at least 2; what follows is never read.
    view : {"level", "shape", "change", "halved", "sum"}
        "level" is the series itself. All others have mean 0 and standard deviation 1 per series, or
        are 0 where that is constant: "shape" is the series, "change" its first differences,
        "halved" the means of time points 0 and 1, 2 and 3 and so on, "sum" the running sum of the
        shape.

    Returns
    -------
    seen : ndarray of shape (n_samples, n_timepoints), float32
        The view, zero on padding.
    seen_lengths : ndarray of shape (n_samples,), int64
        Steps of the view: one less than the series' with "change", half of them with "halved".
    """
    seen = np.zeros_like(values)
    seen_lengths = np.empty_like(lengths)
    _see_rows(values, lengths, FRONT_VIEWS.index(view), seen, seen_lengths)
    return seen, seen_lengths


def check_lengths(lengths: np.ndarray) -> None:
    """Raise a ValueError if a series is too short for differences and means of pairs."""
    shortest = lengths.min()
    if shortest < 2:
        raise ValueError(f"A series must have at least 2 time points, got {shortest}.")


@compiled()
def _see_rows(
    values,
    lengths,
    view,
    seen,
    seen_lengths,
):
    """Write the view of each row."""
    buffer = np.empty(values.shape[1], dtype=np.float64)
    for row in range(len(values)):
        series = values[row]
        n_steps = lengths[row]
        if view == LEVEL:
            # not slice to slice, whose check of shapes takes 1.6 s to compile
            for step in range(n_steps):
                seen[row, step] = series[step]
        elif view == CHANGE:
            n_steps -= 1
            for step in range(n_steps):
                buffer[step] = series[step + 1] - series[step]
            _standardise(buffer, n_steps, seen[row])
        elif view == HALVED:
            n_steps //= 2
            for step in range(n_steps):
                pair = series[2 * step] + series[2 * step + 1]
                buffer[step] = np.float32(0.5) * pair
            _standardise(buffer, n_steps, seen[row])
        else:
            for step in range(n_steps):
                buffer[step] = series[step]
            _standardise(buffer, n_steps, seen[row])
            if view == SUM:
                total = 0.0
                for step in range(n_steps):
                    total += seen[row, step]
                    buffer[step] = total
                _standardise(buffer, n_steps, seen[row])
        seen_lengths[row] = n_steps


@internal()
def _standardise(
    buffer,
    n_steps,
    seen,
):
    """Write the first steps of a buffer with mean 0 and standard deviation 1."""
    total = 0.0
    for step in range(n_steps):
        total += buffer[step]
    mean = total / n_steps
    total = 0.0
    for step in range(n_steps):
        centred = buffer[step] - mean
        total += centred * centred
    deviation = np.sqrt(total / n_steps)
    for step in range(n_steps):
        standardised = 0.0
        if deviation > CONSTANT_DEVIATION:
            standardised = (buffer[step] - mean) / deviation
        seen[step] = np.float32(standardised)
