"""FEIForecaster: multi-step forecasts from embeddings and lags of the last window, for sktime."""

from __future__ import annotations

import os
from numbers import Integral

import numpy as np
import pandas as pd
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sktime.forecasting.base import BaseForecaster

from fei_sklearn import FEIEmbedder
from fei_sklearn._input.columns import refuse_repeated
from fei_sklearn._transform import plain_embeddings
from fei_sklearn._warnings import warn
from fei_sklearn.adapters._head_design import DIFFERENCES, HeadDesign, window_needed
from fei_sklearn.adapters._head_search import EMBEDDING_WEIGHTS, HeadSearch
from fei_sklearn.adapters._names import positions_by_name
from fei_sklearn.adapters._ridge_head import RidgeHead
from fei_sklearn.adapters._window_table import WindowTable
from fei_sklearn.adapters._windows import (
    MAX_WINDOWS,
    MIN_WINDOW_LENGTH,
    append_observations,
    check_observations,
    check_window_length,
    exogenous_values,
    fitting_length,
    longest_window,
    preferred_length,
    refuse_gaps,
    relative_windows,
    sliding_windows,
    stack_channels,
    stack_each_series,
    thinned_windows,
)

__all__ = ["FEIForecaster"]

#: Smallest unit of a window, relative to the standard deviation of the series.
SCALE_FLOOR = 0.05

# pickles of earlier forecasters name these classes here
_Head = RidgeHead
_Recipe = HeadDesign


class FEIForecaster(BaseForecaster):
    """Forecaster of several steps from FEI embeddings and lags of the last window.

    A :class:`fei_sklearn.FEIEmbedder` embeds every window of the series, and one ridge regression
    with an output per step of the horizon is fitted on the embeddings and lags. Windows are
    relative to their last value and in units of their own standard deviation. A step is forecast as
    a difference from a known value, so that no level is lost. The kind of difference, the penalty
    and the weight of the embeddings beside the lags are those with the least absolute error on
    folds ordered in time.

    Parameters
    ----------
    embedder : FEIEmbedder, FrozenEstimator, str, path-like or None, default=None
        Embedder of windows. A clone is pretrained on the windows of the series. A fitted embedder
        in scikit-learn's ``FrozenEstimator`` is used without pretraining. A string or a path is the
        `pretrained` of an embedder with default parameters, such as "fei-tiny". None stands for the
        checkpoint "default", which needs no training.
    window_length : int or "auto", default="auto"
        Time points of a window. "auto" stands for two seasons and at least 12 points. In a short
        series windows are shorter, so that half of them have known targets.
    sp : int, default=1
        Time points per season; 1 for no seasons.
    difference : {"auto", "none", "first", "seasonal", "both"}, default="auto"
        Value that is subtracted from a step: the window's mean, its last value, the last value of
        the same season, or that value moved by the change over the last season. With "auto" the
        folds choose among those that fit in a window. A named one may make the windows longer.
    lags : int or "auto", default="auto"
        Number of latest values of the (differenced) window beside the embedding; 0 for none, "auto"
        for all.
    random_state : int, RandomState instance or None, default=None
        Random state of the embedder; None keeps the embedder's own.

    Attributes
    ----------
    embedder_ : FEIEmbedder
        The fitted embedder.
    window_length_ : int
        Time points of a window.
    difference_ : str
        The kind of difference.
    alpha_ : float
        The head's penalty.
    embedding_weight_ : float
        Weight of the embeddings beside the lags.

    See Also
    --------
    fei_sklearn.FEIEmbedder : The embedder of the windows.
    fei_sklearn.adapters.sktime.FEITransformer : Embeddings for sktime's pipelines.

    Notes
    -----
    Methods: sktime's base class calls eight of the private ones; the others are steps of fitting
    and forecasting that share the fitted attributes.

    Exogenous variables are channels of the windows. `predict` also needs their values at the steps
    to forecast, which enter by a linear regression of differences on differences. Columns of X are
    matched by name: `fit`, `update` and `predict` need the same ones, in any order.

    Examples
    --------
    >>> from sktime.datasets import load_airline
    >>> from fei_sklearn.adapters.sktime import FEIForecaster
    >>> y = load_airline()
    >>> forecaster = FEIForecaster(sp=12)
    >>> forecaster.fit(y[:-12], fh=range(1, 13)).predict().shape
    (12,)
    >>> forecaster.predict_interval(coverage=0.9).shape
    (12, 2)
    """

    _tags = {
        "authors": ["fei_sklearn developers"],
        "python_dependencies": ["torch"],
        "y_inner_mtype": "pd.Series",
        "X_inner_mtype": "pd.DataFrame",
        "requires-fh-in-fit": True,
        "capability:multivariate": False,
        "capability:exogenous": True,
        "capability:categorical_in_X": False,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:missing_values": False,
        "capability:update": True,
        "capability:pretrain": True,
        "pretrain:fitted_params": ["pretrained_embedder_", "pretrained_window_length_"],
        "capability:random_state": True,
        "property:randomness": "derandomized",
    }

    def __init__(
        self,
        embedder=None,
        *,
        window_length="auto",
        sp=1,
        difference="auto",
        lags="auto",
        random_state=None,
    ):
        self.embedder = embedder
        self.window_length = window_length
        self.sp = sp
        self.difference = difference
        self.lags = lags
        self.random_state = random_state
        super().__init__()
        # what sktime's constructor does where it finds True, apart from its warning
        self._y = None
        self._X = None
        self.set_config(remember_data=True)

    #: sktime's constructor announces a new default to everyone for whom it finds True.
    _config = {"remember_data": False}

    #: Weights of the embeddings that the folds choose from; benchmarks override them.
    _embedding_weights = EMBEDDING_WEIGHTS

    def _check_X_y(self, X=None, y=None, **kwargs):  # noqa: N802
        # sktime calls this before it stores y and X and moves the cutoff
        X, y = super()._check_X_y(X=X, y=y, **kwargs)
        is_one_series = isinstance(y, pd.Series | None) and isinstance(X, pd.DataFrame | None)
        if not is_one_series:
            return X, y
        if X is not None:
            refuse_repeated(list(X.columns), "X")
        if self.is_fitted and not self._is_vectorized:
            X = self._as_in_fit(X, is_update=y is not None)
        check_observations(y, X)
        if y is not None:
            index = y.index
            if self.is_fitted and not self._is_vectorized:
                index = index.union(self._cur_y.index)
            refuse_gaps(index)
        return X, y

    def _as_in_fit(self, X, *, is_update):
        """Return X with the columns of `fit`, or raise if it is not of the kind seen there."""
        fitted = self._cur_X
        if fitted is None:
            if X is None:
                return None
            raise ValueError(
                f"X has the columns {list(X.columns)}, but the forecaster was fitted without X: "
                "leave X out, or fit with it."
            )
        if X is not None:
            return X.iloc[:, positions_by_name(fitted.columns, X.columns)]
        if is_update:
            raise ValueError(
                "X is missing, but the forecaster was fitted with X: give update the columns "
                f"{list(fitted.columns)} at the time points of y."
            )
        return None  # predict names the time points that it needs

    def _pretrain(self, y, X=None, fh=None):
        self._check_parameters()
        series = stack_each_series(y, X)
        longest = max(values.shape[1] for values in series)
        length = self.window_length
        if length == "auto":
            length = max(preferred_length(self.sp), self._window_needed())
        length = max(min(length, longest), MIN_WINDOW_LENGTH)
        long_enough = [values for values in series if values.shape[1] >= length]
        self.pretrained_embedder_ = self._pretrained_on(long_enough, length)
        self.pretrained_window_length_ = length
        return self

    def _pretrained_on(self, series, length):
        """Return an embedder that is fitted on windows of series."""
        embedder = self._new_embedder()
        n_rows_per_window = 1
        if not self._mixes_channels():
            n_rows_per_window = len(series[0])
        windows = thinned_windows(series, length, n_rows_per_window)
        return embedder.fit(self._relative_panel(windows), None)

    def _fit(self, y, X, fh):
        self._check_parameters()
        steps = _relative_steps(fh, self.cutoff)
        self.window_length_ = self._fitting_length(len(y), steps.max())
        series = stack_channels(y, X)
        embedder = vars(self).get("pretrained_embedder_")
        if embedder is None:
            self._check_channels(len(series))
            embedder = self._pretrained_on([series], self.window_length_)
        self._cur_y = y
        self._cur_X = X
        self.embedder_ = embedder
        self._set_head(self._fit_head(steps))
        return self

    def _update(self, y, X=None, update_params=True):
        self._cur_y = append_observations(self._cur_y, y)
        if X is not None:
            self._cur_X = append_observations(self._cur_X, X)
        if update_params:
            self._set_head(self._fit_head(self._head.steps))
        return self

    def _predict(self, fh, X):
        point, _, _ = self._forecast(fh, X)
        return point

    def _predict_quantiles(self, fh, X, alpha):
        point, std, degrees_of_freedom = self._forecast(fh, X)
        name = self._get_varnames()[0]
        columns = pd.MultiIndex.from_product([[name], alpha])
        margins = np.outer(std, student_t.ppf(alpha, degrees_of_freedom))
        quantiles = point.to_numpy()[:, np.newaxis] + margins
        return pd.DataFrame(quantiles, index=point.index, columns=columns)

    def _forecast(self, fh, X):
        """Return point forecasts, their standard deviation, and its degrees of freedom."""
        steps = _relative_steps(fh, self.cutoff)
        head = self._head
        if not np.array_equal(steps, head.steps):
            head = self._fit_head(steps)
        index = fh.to_absolute_index(self.cutoff)
        exogenous = None
        if self._cur_X is not None:
            exogenous = exogenous_values(X, index)
        series = stack_channels(self._cur_y, self._cur_X)
        window = series[np.newaxis, :, -self.window_length_ :]
        table = WindowTable(
            windows=window,
            embeddings=self._embed(window),
            steps=steps,
            floor=head.floor,
        )
        values = head.predict(table, exogenous)[0]
        point = pd.Series(values, index=index, name=self._cur_y.name)
        std = head.residual_std * table.scale[0]
        return point, std, head.degrees_of_freedom

    def _check_parameters(self):
        _check_integer("sp", self.sp, 1)
        if self.window_length != "auto":
            _check_integer("window_length", self.window_length, MIN_WINDOW_LENGTH, '"auto" or ')
        if self.lags != "auto":
            _check_integer("lags", self.lags, 0, '"auto" or ')
        if self.difference not in ("auto", *DIFFERENCES):
            raise ValueError(
                f"difference must be 'auto' or one of {list(DIFFERENCES)}, got {self.difference!r}."
            )

    def _window_needed(self):
        """Return the shortest length of windows in which a named difference fits."""
        return window_needed(self.difference, self.sp)

    def _fitting_length(self, n_timepoints, horizon):
        """Return the length of the windows of a series."""
        length = self.window_length
        needed = self._window_needed()
        if length != "auto":
            check_window_length(length, n_timepoints, horizon)
        else:
            pretrained = vars(self).get("pretrained_window_length_")
            preferred = pretrained or preferred_length(self.sp)
            length = fitting_length(preferred, n_timepoints, horizon)
            length = max(length, min(needed, longest_window(n_timepoints, horizon)))
        if length < needed:
            raise ValueError(
                f"difference={self.difference!r} with sp={self.sp} needs windows of at least "
                f"{needed} time points, but they have {length}: give a longer y or window_length, "
                'a smaller sp, or difference="auto".'
            )
        return length

    def _new_embedder(self):
        """Return an unfitted clone of the embedder, with the forecaster's random state."""
        given = self.embedder
        if given is None:
            given = "default"
        if isinstance(given, str | os.PathLike):
            embedder = FEIEmbedder(pretrained=given)
        elif not hasattr(given, "transform"):
            raise TypeError(
                "embedder must be an FEIEmbedder, a FrozenEstimator of one, the name or folder of "
                f"a model, or None, got {given!r}."
            )
        else:
            embedder = clone(given)
        if isinstance(embedder, FrozenEstimator):
            return embedder
        if hasattr(given, "weights_"):
            warn(
                "The embedder is fitted already and is pretrained again on windows of y: wrap it "
                "in sklearn.frozen.FrozenEstimator to use its weights.",
            )
        if self.random_state is not None:
            embedder.set_params(random_state=self.random_state)
        return embedder

    def _mixes_channels(self):
        """Return whether the embedder encodes all channels at once."""
        embedder = getattr(self.embedder, "estimator", self.embedder)
        return getattr(embedder, "channels", "independent") == "mix"

    def _check_channels(self, n_channels):
        """Raise if a frozen embedder was fitted on another number of channels."""
        fitted = getattr(self.embedder, "estimator", None)
        n_fitted = getattr(fitted, "n_channels_in_", None)
        if fitted is None or n_fitted is None:
            return
        n_encoded = 1
        if self._mixes_channels():
            n_encoded = n_channels
        if n_fitted == n_encoded:
            return
        raise ValueError(
            f"embedder was fitted on {n_fitted} channels, but its panel of windows has "
            f"{n_encoded} (y and {n_channels - 1} exogenous variables, channels="
            f"{fitted.channels!r}): fit it on panels of {n_encoded}."
        )

    def _relative_panel(self, windows):
        """Return windows of shape (n, n_channels, length) as a panel for the embedder.

        If the embedder embeds channels one by one, each is a series of the panel, so that its
        weights serve any number of channels.
        """
        windows = relative_windows(windows)
        if self._mixes_channels():
            return windows
        return windows.reshape(-1, 1, windows.shape[2])

    def _embed(self, windows):
        panel = self._relative_panel(windows)
        embeddings = plain_embeddings(self.embedder_, panel)
        return embeddings.reshape(len(windows), -1)

    def _fit_head(self, steps):
        length = self.window_length_
        series = stack_channels(self._cur_y, self._cur_X)
        series = series[:, -MAX_WINDOWS - length :]
        n_windows = series.shape[1] - length - steps.max() + 1
        windows = sliding_windows(series, length)[:n_windows]
        last = np.arange(length - 1, length - 1 + n_windows)
        ahead = last[:, np.newaxis] + steps
        future = series[:, ahead].transpose(1, 0, 2)
        table = WindowTable(
            windows=windows,
            embeddings=self._embed(windows),
            steps=steps,
            floor=SCALE_FLOOR * series[0].std() or 1.0,
        )
        search = HeadSearch(
            sp=self.sp,
            difference=self.difference,
            lags=self.lags,
            embedding_weights=self._embedding_weights,
        )
        return search.fit(table, future)

    def _set_head(self, head):
        self._head = head
        self.difference_ = head.design.difference
        self.embedding_weight_ = head.design.embedding_weight
        self.alpha_ = head.alpha

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        """Parameters of the estimators that sktime's checks run on."""
        trained = FEIEmbedder(8, pooling="mean", max_epochs=1, min_epoch_steps=1)
        untrained = FEIEmbedder(8, pooling="mean", max_epochs=0, channels="mix", random_state=0)
        return [
            {"embedder": trained, "random_state": 0},
            {
                "embedder": untrained,
                "window_length": 4,
                "sp": 3,
                "difference": "seasonal",
                "lags": 0,
                "random_state": 0,
            },
        ]


def _relative_steps(fh, cutoff):
    """Return the steps of a horizon, counted from the cutoff, of shape (n_steps,)."""
    steps = fh.to_relative(cutoff).to_numpy().astype(int)
    if steps.min() < 1:
        raise NotImplementedError(
            f"fh holds {steps.min()}, an in-sample step, which FEIForecaster does not forecast: "
            "give steps from 1 on, after the cutoff."
        )
    return steps


def _check_integer(name, value, least, alternative=""):
    """Raise if a parameter is not an integer of at least a value."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"{name} must be {alternative}an integer of at least {least}, got {value!r}."
        )
