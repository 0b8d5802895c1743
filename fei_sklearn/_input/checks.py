"""Validation of the panels that users pass as X."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from fei_sklearn._input.columns import refuse_text
from fei_sklearn._input.containers import as_array
from fei_sklearn._input.stored import StoredPanel, is_stored, sums_may_overflow
from fei_sklearn._input.stretching import MIN_TIMEPOINTS
from fei_sklearn._input.targets import plain_targets
from fei_sklearn._warnings import warn

#: Types that a panel is converted to.
FLOATS: list[Any] = [np.float64, np.float32]


@overload
def check_panel(estimator: BaseEstimator, X: Any, *, reset: bool) -> np.ndarray | StoredPanel: ...


@overload
def check_panel(
    estimator: BaseEstimator, X: Any, y: Any, *, reset: bool, **y_checks: bool
) -> tuple[np.ndarray | StoredPanel, np.ndarray]: ...


def check_panel(
    estimator: BaseEstimator,
    X: Any,
    y: Any = "no_validation",
    *,
    reset: bool,
    **y_checks: bool,
) -> np.ndarray | StoredPanel | tuple[np.ndarray | StoredPanel, np.ndarray]:
    """Validate a panel, and targets if there are any.

    Parameters
    ----------
    estimator : estimator
        Estimator that X is passed to. With `reset` its number of features, their names and the
        number of dimensions are set, otherwise X is compared with them.
    X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, n_timepoints), \
or list of arrays of shape (n_channels, n_timepoints_i) or (n_timepoints_i,)
        Panel. If it is not in memory, only its shape and its type are read.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default="no_validation"
        Targets, if there are any.
    reset : bool
        Whether the caller is `fit`.
    **y_checks : bool
        `y_numeric` and `multi_output`, as in scikit-learn's `validate_data`.

    Returns
    -------
    X : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
        Float64 or float32; NaN where a value is missing or a series has ended.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Validated targets, returned only if targets were passed.

    Raises
    ------
    ValueError
        If X has infinities, wrong dimensions, another number of channels than in `fit`, series
        shorter than `MIN_TIMEPOINTS`, or a container that NumPy would misread, such as a frame
        with a MultiIndex.
    TypeError
        If X is sparse or not numeric.
    """
    if not isinstance(y, str) or y != "no_validation":
        y = plain_targets(y, numeric=y_checks.get("y_numeric", False))
    given = X
    X, stored = _array_or_outline(estimator, X, reset)
    dtype: list[Any] | None = FLOATS
    finite: bool | str = "allow-nan"
    if stored is not None:
        # a conversion or a look at the values would make the outline as large as the panel
        dtype = None
        finite = False
    try:
        with sums_may_overflow():
            checked = validate_data(
                estimator,
                X,
                y,
                reset=reset,
                dtype=dtype,
                ensure_all_finite=finite,
                allow_nd=True,
                **y_checks,
            )
    except ValueError:
        refuse_text(given, "X")  # scikit-learn names no column
        raise
    has_targets = isinstance(checked, tuple)
    values = checked[0] if has_targets else checked
    _check_shape(values.shape)
    if reset:
        _warn_of_channels_last(values.shape)
        _note_list_length(estimator, given, values.shape)
        estimator.input_ndim_ = values.ndim
    if values.ndim == 2:
        values = values[:, np.newaxis]
    panel = values if stored is None else stored
    if has_targets:
        return panel, checked[1]
    return panel


def check_fits(estimator: BaseEstimator, X: Any) -> None:
    """Check a panel's dimensions, features and names, but not its values, against those in `fit`.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator.
    X : array-like
        Panel as the user passed it, whose values another estimator has validated.

    Raises
    ------
    ValueError
        If the panel has other dimensions, channels or names.
    """
    outline, _ = _array_or_outline(estimator, X, reset=False)
    validate_data(estimator, outline, reset=False, skip_check_array=True)


def share_features(validated: BaseEstimator, estimator: BaseEstimator) -> None:
    """Set the features of an estimator to those that another has validated on the same panel."""
    estimator.n_features_in_ = validated.n_features_in_
    estimator.input_ndim_ = validated.input_ndim_
    if hasattr(validated, "feature_names_in_"):
        estimator.feature_names_in_ = validated.feature_names_in_


def _array_or_outline(
    estimator: BaseEstimator,
    X: Any,
    reset: bool,
) -> tuple[Any, StoredPanel | None]:
    """Return a panel as an array, or the outline of a panel that is read in row blocks, and it.

    After `fit` the array has the dimensions of the panel in `fit`, if X can have them.
    """
    if not is_stored(X):
        X = as_array(X, series_are_1d=reset or estimator.input_ndim_ == 3)
    stored = None
    if is_stored(X):  # also a list of very unequal lengths
        stored = StoredPanel(X)
        X = stored.outline()
    if not reset:
        X = _with_channel_axis(estimator, X)
        _check_dimensions(estimator, X)
    return X, stored


def _with_channel_axis(
    estimator: BaseEstimator,
    X: Any,
) -> Any:
    """Return a 2-D panel with a channel axis if an estimator was fitted on univariate 3-D ones."""
    is_univariate_3d = estimator.input_ndim_ == 3 and estimator.n_features_in_ == 1
    if not is_univariate_3d or _n_dimensions(X) != 2:
        return X
    if not isinstance(X, np.ndarray):
        with sums_may_overflow():
            X = check_array(
                X, dtype=FLOATS, ensure_all_finite="allow-nan", estimator=estimator, input_name="X"
            )
    length = getattr(estimator, "_list_length", None)
    if length not in (None, X.shape[1]):
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(estimator).__name__} was fitted on a list of "
            f"series of {length} time points: give series of other lengths as a list as well."
        )
    return X[:, np.newaxis]


def _note_list_length(
    estimator: BaseEstimator,
    X: Any,
    shape: tuple[int, ...],
) -> None:
    """Store the one length of a list of series without channel axis on the estimator.

    An array-like in the form of nested lists is such a list. In `transform`, 2-D arrays must then
    have its number of columns, as scikit-learn expects.
    """
    if hasattr(estimator, "_list_length"):
        del estimator._list_length
    n_timepoints = shape[-1]
    is_list = isinstance(X, list | tuple) and len(shape) == 3
    if is_list and all(len(series) == n_timepoints for series in X):
        estimator._list_length = n_timepoints


def _n_dimensions(X: Any) -> int:
    """Return the number of dimensions of an array or a frame, 0 of a container without shape."""
    return len(getattr(X, "shape", ()))


def _warn_of_channels_last(shape: tuple[int, ...]) -> None:
    """Warn if a 3-D panel has more channels than time points."""
    if len(shape) == 2:
        return
    _, n_channels, n_timepoints = shape
    if n_channels > n_timepoints:
        warn(
            f"X has {n_channels} channels of {n_timepoints} time points, as (n_samples, "
            "n_channels, n_timepoints): if its channels are last, give "
            "np.moveaxis(X, 2, 1)."
        )


def _check_dimensions(
    estimator: BaseEstimator,
    X: Any,
) -> None:
    """Raise if X has other dimensions than the panel that an estimator was fitted on."""
    shape = getattr(X, "shape", ())
    if len(shape) in (2, 3) and len(shape) != estimator.input_ndim_:
        raise ValueError(
            f"X has {len(shape)} dimensions, {shape}, but {type(estimator).__name__} was fitted on "
            f"{estimator.input_ndim_}. Reshape your data: X[:, np.newaxis] gives a univariate "
            "panel its channel axis, X[:, 0] takes it away."
        )


def _check_shape(shape: tuple[int, ...]) -> None:
    """Raise if a shape fits no panel, with or without an axis of channels."""
    if len(shape) > 3:
        raise ValueError(
            f"X has {len(shape)} dimensions, {shape}; a panel has 2, (n_samples, n_timepoints), or "
            "3, (n_samples, n_channels, n_timepoints). Reshape your data."
        )
    if shape[-1] < MIN_TIMEPOINTS:
        raise ValueError(
            f"Found array with {shape[-1]} feature(s) (shape={shape}) while a minimum of "
            f"{MIN_TIMEPOINTS} is required: a series needs at least {MIN_TIMEPOINTS} time points."
        )
    if shape[1] == 0:
        raise ValueError(f"X has 0 channels, {shape}: a panel needs at least 1.")
