"""Checks of the panels that users give."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from fei_sklearn._input.containers import as_array
from fei_sklearn._input.preparation import MIN_TIMEPOINTS
from fei_sklearn._input.stored import StoredPanel, is_stored


def check_panel(estimator: Any, X: Any, y: Any = "no_validation", *, reset: bool, **y_checks: Any):
    """Validate what a user gives as a panel.

    Parameters
    ----------
    estimator : estimator
        On it the number of features, their names and the dimensions are noted (`reset`) or
        checked.
    X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, n_timepoints), \
or list of arrays of shape (n_channels, n_timepoints_i) or (n_timepoints_i,)
        The panel. Of one that is not in memory nothing but its shape and its type is looked at.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default="no_validation"
        Targets, where there are any.
    reset : bool
        Whether this is `fit`.
    **y_checks : bool
        `y_numeric` and `multi_output`, as in scikit-learn's `validate_data`.

    Returns
    -------
    X : ndarray of shape (n_samples, n_channels, n_timepoints), or StoredPanel
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
    univariate_3d = not reset and _is_univariate_3d(estimator)
    stored = StoredPanel(X) if is_stored(X) else None
    X = stored.outline() if stored is not None else as_array(X, series_are_1d=univariate_3d)
    if not reset:
        _check_dimensions(estimator, X)
    checked = validate_data(
        estimator,
        X,
        y,
        reset=reset,
        # an outline is to stay one
        dtype=[np.float64, np.float32] if stored is None else None,
        ensure_all_finite="allow-nan" if stored is None else False,
        allow_nd=True,
        **y_checks,
    )
    with_targets = isinstance(checked, tuple)
    X = checked[0] if with_targets else checked
    _check_shape(X.shape)
    if reset:
        estimator.input_ndim_ = X.ndim
    if stored is not None:
        X = stored
    elif X.ndim == 2:
        X = X[:, np.newaxis]
    return (X, checked[1]) if with_targets else X


def check_fits(estimator: Any, X: Any) -> None:
    """Check a panel's dimensions, features and names, but not its values, against those in `fit`.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator.
    X : array-like
        Panel as the user gave it, whose values another estimator has validated.

    Raises
    ------
    ValueError
        If the panel has other dimensions, channels or names.
    """
    if is_stored(X):
        outline = StoredPanel(X).outline()
    else:
        outline = as_array(X, series_are_1d=_is_univariate_3d(estimator))
    _check_dimensions(estimator, outline)
    validate_data(estimator, outline, reset=False, skip_check_array=True)


def share_features(validated: Any, estimator: Any) -> None:
    """Note on an estimator the features that another one has noted of the same panel."""
    estimator.n_features_in_ = validated.n_features_in_
    estimator.input_ndim_ = validated.input_ndim_
    if hasattr(validated, "feature_names_in_"):
        estimator.feature_names_in_ = validated.feature_names_in_


def _is_univariate_3d(estimator: Any) -> bool:
    """Return whether an estimator was fitted on a 3-D panel of one channel."""
    return bool(estimator.input_ndim_ == 3 and estimator.n_features_in_ == 1)


def _check_dimensions(estimator: Any, X: Any) -> None:
    """Raise if X has other dimensions than the panel that an estimator was fitted on."""
    shape = getattr(X, "shape", ())
    if len(shape) in (2, 3) and len(shape) != estimator.input_ndim_:
        raise ValueError(
            f"X has {len(shape)} dimensions, {shape}, but {type(estimator).__name__} was fitted on "
            f"{estimator.input_ndim_}. Reshape your data: X[:, np.newaxis] gives a univariate "
            "panel its channel axis, X[:, 0] takes it away."
        )


def _check_shape(shape: tuple[int, ...]) -> None:
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
