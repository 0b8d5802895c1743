"""Panels of any kind a user has, to scaled float32 series without missing values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import validate_data

if TYPE_CHECKING:
    from fei_sklearn.data import Panel

SCALINGS = ("series", "channel", None)

#: Fewest time points that the encoder takes.
MIN_TIMEPOINTS = 2

#: Rows that are scaled at once, which bounds the float64 copies.
CHUNK_ROWS = 1024


def check_panel(estimator: Any, X: Any, *, reset: bool) -> np.ndarray:
    """Validate what a user gives as a panel.

    Parameters
    ----------
    estimator : estimator
        On it the number of features, their names and the dimensions are noted (`reset`) or
        checked.
    X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, n_timepoints), \
or list of arrays of shape (n_channels, n_timepoints_i) or (n_timepoints_i,)
        The panel.
    reset : bool
        Whether this is `fit`.

    Returns
    -------
    ndarray of shape (n_samples, n_channels, n_timepoints)
        Float64 or float32; NaN where a value is missing or a series has ended.

    Raises
    ------
    ValueError
        For infinities, wrong dimensions, a changed number of channels, too short series, or a
        container that would be misread, such as a frame with a MultiIndex.
    TypeError
        For sparse or non-numeric input.
    """
    univariate_3d = not reset and estimator.input_ndim_ == 3 and estimator.n_features_in_ == 1
    X = _as_array(X, series_are_1d=univariate_3d)
    X = validate_data(
        estimator,
        X,
        reset=reset,
        dtype=[np.float64, np.float32],
        allow_nd=True,
        ensure_all_finite="allow-nan",
    )
    if X.ndim > 3:
        raise ValueError(
            f"X has {X.ndim} dimensions, {X.shape}; a panel has 2, (n_samples, n_timepoints), or "
            "3, (n_samples, n_channels, n_timepoints). Reshape your data."
        )
    if X.shape[-1] < MIN_TIMEPOINTS:
        raise ValueError(
            f"Found array with {X.shape[-1]} feature(s) (shape={X.shape}) while a minimum of "
            f"{MIN_TIMEPOINTS} is required: a series needs at least {MIN_TIMEPOINTS} time points."
        )
    if reset:
        estimator.input_ndim_ = X.ndim
    elif X.ndim != estimator.input_ndim_:
        raise ValueError(
            f"X has {X.ndim} dimensions, {X.shape}, but {type(estimator).__name__} was fitted on "
            f"{estimator.input_ndim_}. Reshape your data: X[:, np.newaxis] gives a univariate "
            "panel its channel axis."
        )
    return X[:, np.newaxis] if X.ndim == 2 else X


def _as_array(X: Any, *, series_are_1d: bool) -> Any:
    """Refuse containers that NumPy would misread, and pad lists of unequal length with NaN."""
    if getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        raise ValueError(
            "X is a frame with a MultiIndex, whose rows are time points, not series: convert it "
            "to a 3-D array, for example with sktime.datatypes.convert_to(X, 'numpy3D')."
        )
    if hasattr(X, "columns") and _has_nested_cells(X):
        raise ValueError(
            "X is a frame with a series in each cell: convert it to a 3-D array, for example with "
            "sktime.datatypes.convert_to(X, 'numpy3D')."
        )
    if hasattr(X, "detach"):  # torch tensors, also those on a GPU
        return X.detach().cpu().numpy()
    if isinstance(X, np.ma.MaskedArray):
        return np.ma.filled(X.astype(np.float64), np.nan)
    of_objects = isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    if (of_objects or isinstance(X, list | tuple)) and len(X) and _is_series(X[0]):
        return _stack(X, series_are_1d=series_are_1d)
    return X


def _has_nested_cells(frame: Any) -> bool:
    first = frame.iloc[0] if hasattr(frame, "iloc") and len(frame) else ()
    nested_pandas = any(_is_series(cell) for cell in first)
    nested_polars = any(getattr(t, "is_nested", bool)() for t in getattr(frame, "dtypes", ()))
    return nested_pandas or nested_polars


def _is_series(item: Any) -> bool:
    return hasattr(item, "__len__") and not isinstance(item, str | bytes | dict)


def _stack(X: Sequence[Any], *, series_are_1d: bool) -> np.ndarray:
    """Array of a list of series; with unequal lengths of shape (n, C, longest), NaN at the ends."""
    if hasattr(X[0], "columns"):
        raise ValueError(
            "X is a list of frames, whose rows would be taken for channels: give a list of arrays "
            "of shape (n_channels, n_timepoints_i), such as [frame.to_numpy().T for frame in X]."
        )
    series = [np.asarray(item.detach().cpu() if hasattr(item, "detach") else item) for item in X]
    shapes = {item.shape for item in series}
    if len(shapes) == 1:
        stacked = np.stack(series)
        return stacked[:, np.newaxis] if stacked.ndim == 2 and series_are_1d else stacked
    ndims = {len(shape) for shape in shapes}
    n_channels = {shape[0] if len(shape) == 2 else 1 for shape in shapes}
    if ndims not in ({1}, {2}) or len(n_channels) > 1:
        raise ValueError(
            "X is a list of series that differ in more than their length, of shapes "
            f"{sorted(shapes)[:5]}: give arrays of shape (n_channels, n_timepoints_i) with the "
            "same n_channels."
        )
    padded = np.full((len(series), *n_channels, max(s[-1] for s in shapes)), np.nan)
    for row, item in zip(padded, series, strict=True):
        row[:, : item.shape[-1]] = item
    return padded


@dataclass(frozen=True)
class Scaler:
    """Centre and scale, by each series' own statistics or by those of the training panel.

    Attributes
    ----------
    offset, scale : ndarray of shape (n_channels,), float64, or None
        Statistics of the training panel; None takes those of each channel of each series.
    """

    offset: np.ndarray | None = None
    scale: np.ndarray | None = None

    @classmethod
    def fit(cls, values: np.ndarray, scaling: str | None) -> Scaler:
        """Statistics that `scaling` asks for ("series", "channel" or None)."""
        n_channels = values.shape[1]
        if scaling == "series":
            return cls()
        if scaling is None:
            return cls(np.zeros(n_channels), np.ones(n_channels))
        by_channel = (_statistics(values[:, [c]].reshape(1, 1, -1)) for c in range(n_channels))
        offset, scale = zip(*((m.item(), s.item()) for m, s in by_channel), strict=True)
        return cls(np.array(offset), np.array(scale))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Scaled copy of (n_samples, n_channels, n_timepoints), in float64: NaN stays NaN."""
        if self.offset is None or self.scale is None:
            offset, scale = _statistics(values)
        else:
            offset, scale = self.offset[:, np.newaxis], self.scale[:, np.newaxis]
        # centred before float32, in which an offset of 1e8 would swallow the signal
        return (values.astype(np.float64) - offset) / scale


def _statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over time; 0 and 1 where there is nothing to scale."""
    values = values.astype(np.float64)
    present = ~np.isnan(values)
    n = np.maximum(present.sum(axis=-1, keepdims=True), 1)
    mean = np.where(present, values, 0.0).sum(axis=-1, keepdims=True) / n
    centred = np.where(present, values - mean, 0.0)
    std = np.sqrt((centred**2).sum(axis=-1, keepdims=True) / n)
    # rounding alone gives a constant series a tiny deviation, which must not be blown up
    return mean, np.where(std > 1e-14 * np.abs(mean), std, 1.0)


def to_panel(values: np.ndarray, scaler: Scaler) -> Panel:
    """Scale series and do away with missing values.

    NaN at either end of all channels of a series is padding, and cut off; elsewhere it is filled by
    linear interpolation over time, beyond a channel's first and last value with these. A channel
    without any value is 0 throughout, the value of an average one.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints)
        Validated series.
    scaler : Scaler
        Fitted scaler.

    Returns
    -------
    Panel
        Series for a network.
    """
    from fei_sklearn.data import Panel  # imports torch

    panel = np.empty(values.shape, dtype=np.float32)
    lengths = np.full(len(values), values.shape[2], dtype=np.int64)
    for start in range(0, len(values), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        scaled = scaler.apply(values[rows])
        for i in np.flatnonzero(np.isnan(scaled).any(axis=(1, 2))):
            scaled[i], lengths[start + i] = _without_nan(scaled[i])
        panel[rows] = scaled
    if bool((lengths == values.shape[2]).all()):
        return Panel(panel)
    return Panel(panel, lengths).take(np.arange(len(panel)))


def _without_nan(series: np.ndarray) -> tuple[np.ndarray, int]:
    """Series moved to the front and filled, 0 on the padding behind, and its length."""
    filled = np.zeros_like(series)
    present = np.flatnonzero(~np.isnan(series).all(axis=0))
    if not len(present):
        return filled, MIN_TIMEPOINTS
    series = series[:, present[0] : present[-1] + 1]
    length = max(series.shape[1], MIN_TIMEPOINTS)
    time = np.arange(length)
    for channel, out in zip(series, filled, strict=True):
        known = np.flatnonzero(~np.isnan(channel))
        if len(known):
            out[:length] = np.interp(time, known, channel[known])
    return filled, length
