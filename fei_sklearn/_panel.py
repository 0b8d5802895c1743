"""Panels of any kind a user has, to scaled float32 series without missing values."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import validate_data

if TYPE_CHECKING:
    from fei_sklearn.data import Panel

#: Fewest time points that the encoder takes.
MIN_TIMEPOINTS = 2

#: Scaled values that are this large, or larger, overflow in the encoder.
LARGEST = 1e15

#: Rows and values that are looked at, or scaled, at once, which bounds the float64 copies.
CHUNK_ROWS, CHUNK_VALUES = 1024, 2**18


def check_panel(estimator: Any, X: Any, y: Any = "no_validation", *, reset: bool, **y_checks: Any):
    """Validate what a user gives as a panel.

    Parameters
    ----------
    estimator : estimator
        On it the number of features, their names and the dimensions are noted (`reset`) or
        checked.
    X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, n_timepoints), \
or list of arrays of shape (n_channels, n_timepoints_i) or (n_timepoints_i,)
        The panel.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default="no_validation"
        Targets, where there are any.
    reset : bool
        Whether this is `fit`.
    **y_checks : bool
        `y_numeric` and `multi_output`, as in scikit-learn's `validate_data`.

    Returns
    -------
    X : ndarray of shape (n_samples, n_channels, n_timepoints)
        Float64 or float32; NaN where a value is missing or a series has ended.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Validated targets, if they were given.

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
    if not reset and len(getattr(X, "shape", ())) in {2, 3} - {estimator.input_ndim_}:
        raise ValueError(
            f"X has {len(X.shape)} dimensions, {X.shape}, but {type(estimator).__name__} was "
            f"fitted on {estimator.input_ndim_}. Reshape your data: X[:, np.newaxis] gives a "
            "univariate panel its channel axis, X[:, 0] takes it away."
        )
    in_file = is_memory_map(X) and X.dtype.kind in "biuf"
    checked = validate_data(
        estimator,
        X,
        y,
        reset=reset,
        # of a memory map neither is done at once, because both may copy it whole
        dtype=None if in_file else [np.float64, np.float32],
        ensure_all_finite=False if in_file else "allow-nan",
        allow_nd=True,
        **y_checks,
    )
    with_targets = isinstance(checked, tuple)
    X = checked[0] if with_targets else checked
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
    if X.shape[1] == 0:
        raise ValueError(f"X has 0 channels, {X.shape}: a panel needs at least 1.")
    if reset:
        estimator.input_ndim_ = X.ndim
    X = X[:, np.newaxis] if X.ndim == 2 else X
    for rows in _chunks(X) if in_file else ():
        assert_all_finite(X[rows], allow_nan=True, input_name="X")
    return (X, checked[1]) if with_targets else X


def is_memory_map(array: Any) -> bool:
    """Whether the values of an array are in a file, as those of np.load(..., mmap_mode="r")."""
    if not isinstance(array, np.ndarray):
        return False
    owner: Any = array
    while owner is not None and not isinstance(owner, mmap.mmap):
        owner = getattr(owner, "base", None)
    return owner is not None


def _chunks(values: np.ndarray) -> Iterator[slice]:
    """Rows of a panel, few enough to be looked at in float64."""
    n_rows = max(1, min(CHUNK_ROWS, CHUNK_VALUES // max(values[0].size, 1)))
    for start in range(0, len(values), n_rows):
        yield slice(start, start + n_rows)


def _as_array(X: Any, *, series_are_1d: bool) -> Any:
    """Refuse containers that NumPy would misread, and pad lists of unequal length with NaN."""
    if hasattr(X, "collect") and hasattr(X, "collect_schema"):
        raise TypeError("X is a lazy frame: give X.collect().")
    if getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        raise ValueError(
            "X is a frame with a MultiIndex, whose rows are time points, not series: convert it "
            "to a 3-D array, for example with sktime.datatypes.convert_to(X, 'numpy3D')."
        )
    if getattr(getattr(X, "columns", None), "nlevels", 1) > 1:
        raise ValueError(
            "X is a frame with a MultiIndex of columns, which may be channels as well as time "
            "points: give a 3-D array of shape (n_samples, n_channels, n_timepoints)."
        )
    if getattr(getattr(X, "dtype", None), "kind", "") in ("m", "M"):
        raise TypeError(f"X holds dates or durations ({X.dtype}): give numbers.")
    if hasattr(X, "columns") and _has_nested_cells(X):
        raise ValueError(
            "X is a frame with a series in each cell: convert it to a 3-D array, for example with "
            "sktime.datatypes.convert_to(X, 'numpy3D')."
        )
    of_objects = isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    if (of_objects or isinstance(X, list | tuple)) and len(X) and _is_series(X[0]):
        return _stack(X, series_are_1d=series_are_1d)
    return plain_array(X)


def plain_array(X: Any) -> Any:
    """Tensors, also those on a GPU, and masked arrays as arrays; anything else as it is."""
    if hasattr(X, "detach"):
        tensor = X.detach().cpu()
        try:
            return tensor.numpy()
        except TypeError:  # bfloat16, which NumPy lacks
            return tensor.float().numpy()
    if isinstance(X, np.ma.MaskedArray):
        return np.ma.filled(X.astype(np.float64), np.nan)
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
    series = [np.asarray(plain_array(item)) for item in X]
    if any(np.iscomplexobj(item) for item in series):
        raise ValueError("Complex data not supported: X has complex series; give X.real, X.imag.")
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
        return cls(*_channel_statistics(values))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Scaled copy of (n_samples, n_channels, n_timepoints), in float64: NaN stays NaN."""
        if self.offset is None or self.scale is None:
            moments = _Moments.of(values)
            return (moments.distance - moments.mean) / moments.std
        # centred before float32, in which an offset of 1e8 would swallow the signal
        centred = values.astype(np.float64) - self.offset[:, np.newaxis]
        return centred / self.scale[:, np.newaxis]


def _channel_statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of a panel, chunk by chunk, as in `_Moments`."""
    n_channels = values.shape[1]
    first, unit = np.full(n_channels, np.nan), np.zeros(n_channels)
    for chunk in _by_channel(values):
        present = ~np.isnan(chunk)
        earliest = np.take_along_axis(chunk, present.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
        first = np.where(np.isnan(first), earliest, first)
        distance = np.abs(chunk - np.nan_to_num(first)[:, np.newaxis])
        unit = np.maximum(unit, np.where(present, distance, 0.0).max(axis=1))
    first = np.nan_to_num(first)
    unit[unit == 0.0] = 1.0
    n, mean, square = np.zeros(n_channels), np.zeros(n_channels), np.zeros(n_channels)
    for chunk in _by_channel(values):
        present = ~np.isnan(chunk)
        distance = (chunk - first[:, np.newaxis]) / unit[:, np.newaxis]
        n_new = present.sum(axis=1)
        total = n + n_new
        new = np.where(present, distance, 0.0).sum(axis=1) / np.maximum(n_new, 1)
        within = (np.where(present, distance - new[:, np.newaxis], 0.0) ** 2).sum(axis=1)
        share = n_new / np.maximum(total, 1)
        # Chan, Golub and LeVeque (1983): moments of both parts from those of each
        square += within + (new - mean) ** 2 * n * share
        mean, n = mean + (new - mean) * share, total
    std = np.sqrt(square / np.maximum(n, 1))
    std[std == 0.0] = 1.0
    return first + unit * mean, unit * std


def _by_channel(values: np.ndarray) -> Iterator[np.ndarray]:
    """Chunks of a panel, of shape (n_channels, n_values), in float64."""
    for rows in _chunks(values):
        yield np.moveaxis(values[rows].astype(np.float64), 1, 0).reshape(values.shape[1], -1)


@dataclass(frozen=True)
class _Moments:
    """Mean and standard deviation over time, of values that may be huge, tiny or far from 0.

    They are those of `distance`, the values relative to the first and in units of the largest
    distance from it: a constant series has none at all, and no value is lost in squaring.
    """

    first: np.ndarray
    unit: np.ndarray
    distance: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> _Moments:
        values = values.astype(np.float64)
        present = ~np.isnan(values)
        n = np.maximum(present.sum(axis=-1, keepdims=True), 1)
        first = np.take_along_axis(values, present.argmax(axis=-1, keepdims=True), axis=-1)
        first = np.nan_to_num(first)
        distance = values - first
        unit = np.where(present, np.abs(distance), 0.0).max(axis=-1, keepdims=True)
        unit[unit == 0.0] = 1.0
        distance /= unit
        mean = np.where(present, distance, 0.0).sum(axis=-1, keepdims=True) / n
        square = np.where(present, distance - mean, 0.0) ** 2
        std = np.sqrt(square.sum(axis=-1, keepdims=True) / n)
        std[std == 0.0] = 1.0
        return cls(first, unit, distance, mean, std)


def to_panel(values: np.ndarray, scaler: Scaler, at_least: int | None = None) -> Panel:
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
    at_least : int or None, default=None
        Time points to which shorter series are stretched.

    Returns
    -------
    Panel
        Series for a network. Those of a memory map stay in its file until they are asked for.
    """
    from fei_sklearn.data import LazySeries, Panel  # imports torch

    prepare = partial(_prepare, scaler=scaler, at_least=at_least or MIN_TIMEPOINTS)
    shape = (*values.shape[:2], max(values.shape[2], at_least or MIN_TIMEPOINTS))
    lazy = is_memory_map(values)
    panel = np.zeros((0, *shape[1:]) if lazy else shape, dtype=np.float32)
    lengths = np.empty(len(values), dtype=np.int64)
    for rows in _chunks(values):
        scaled, lengths[rows] = prepare(values[rows])
        if not lazy:
            panel[rows] = scaled
    longest = int(lengths.max())
    unequal = None if bool((lengths == longest).all()) else lengths
    if lazy:
        shape = (*shape[:2], longest)
        return Panel(LazySeries(lambda rows: prepare(values[rows])[0], shape), unequal)
    if longest < shape[2]:
        panel = np.ascontiguousarray(panel[:, :, :longest])
    return Panel(panel, unequal)


def _prepare(values: np.ndarray, scaler: Scaler, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Series of a chunk, scaled, filled, moved to the front and stretched, and their lengths."""
    scaled = scaler.apply(values)
    lengths = np.full(len(values), values.shape[2], dtype=np.int64)
    for i in np.flatnonzero(np.isnan(scaled).any(axis=(1, 2))):
        scaled[i], lengths[i] = _without_nan(scaled[i])
    if not np.abs(scaled).max() < LARGEST:
        raise ValueError(
            f"X has a value of {np.abs(scaled).max():.3g} after scaling, too large to train on "
            "in float32: use scaling='series' or 'channel', or divide X by a constant."
        )
    out = np.zeros((*values.shape[:2], max(values.shape[2], at_least)), dtype=np.float32)
    _stretch(scaled, lengths, at_least, out)
    return out, np.maximum(lengths, at_least)


def _stretch(values: np.ndarray, lengths: np.ndarray, at_least: int, out: np.ndarray) -> None:
    """Write series into `out`, those below a length drawn out to it by linear interpolation."""
    out[:, :, : values.shape[2]] = values
    for length in np.unique(lengths[lengths < at_least]):
        rows = lengths == length
        position = np.linspace(0.0, length - 1, at_least)
        left = np.minimum(position.astype(np.int64), length - 2)
        low, high = values[rows][:, :, left], values[rows][:, :, left + 1]
        out[rows, :, :at_least] = low + (position - left) * (high - low)


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
