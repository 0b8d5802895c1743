"""FEITransformer, FEIClassifier, FEIRegressor and FEIForecaster: FEI for sktime."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sktime.base import BaseEstimator
from sktime.classification.base import BaseClassifier
from sktime.regression.base import BaseRegressor
from sktime.transformations.base import BaseTransformer

import fei_sklearn
from fei_sklearn._embedder import plain_embeddings
from fei_sklearn.adapters._grid import on_grid, ranks_of
from fei_sklearn.adapters._names import positions_by_name
from fei_sklearn.adapters._parameters import parameters_of

if TYPE_CHECKING:
    from fei_sklearn.adapters.forecasting import FEIForecaster

__all__ = ["FEIClassifier", "FEIForecaster", "FEIRegressor", "FEITransformer"]


def __getattr__(name):
    # imported on first use, since sktime's base class of forecasters imports torch
    if name == "FEIForecaster":
        from fei_sklearn.adapters.forecasting import FEIForecaster

        return FEIForecaster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


#: Tags of all three estimators.
_TAGS = {
    "authors": ["fei_sklearn developers"],
    "python_dependencies": ["torch"],
    # frames keep names, times, and each series' own length, which a 3-D array cannot
    "X_inner_mtype": ["pd-multiindex", "numpy3D"],
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:missing_values": True,
    "capability:random_state": True,
    "property:randomness": "derandomized",
}

#: sktime demands equal results for any n_jobs, and more of torch's threads sum in another order.
#: Users set the number of threads by `torch.set_num_threads`.
_WITHOUT = ("n_jobs",)

#: Indices of frames that can only be one series.
_TIME_INDEX = pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex

#: Remedy for containers that are no sktime panel.
_GIVE_AN_ARRAY = (
    "give an array of shape (n_samples, n_channels, n_timepoints), such as "
    "X.to_numpy()[:, np.newaxis] for a wide frame, whose rows are series, or "
    "fei_sklearn.adapters.frames.from_long(X, id=..., time=...) for a long one."
)

#: Parameters of a model that fits within a second, for sktime's checks.
_QUICK = {
    "encoder": 8,
    "pooling": "mean",
    "max_epochs": 1,
    "min_epoch_steps": 1,
    "random_state": 0,
}


class _InScikitLearn(BaseEstimator):
    """Methods that scikit-learn's pipelines and searches need and sktime's classes lack."""

    #: The scikit-learn estimator that does the work.
    _adapted: Any

    #: Names of the channels in `fit`, or None for an array, whose channels have no names.
    channel_names_: list[Any] | None

    #: Attributes that scikit-learn 1.9 sets on the steps of a pipeline before it fits them.
    _KEPT = ("_parent_callback_ctx", "_skl_callbacks")

    def reset(self):
        """Delete fitted attributes. sktime calls this at the start of each fit."""
        attributes = vars(self)
        kept = {name: attributes[name] for name in self._KEPT if name in attributes}
        super().reset()
        for name, value in kept.items():
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self):
        return self._adapted().__sklearn_tags__()

    def _fit_panel(self, X):
        """Return the panel of `fit`, and note the names of its channels."""
        self.channel_names_ = _channel_names(X)
        return _panel(X)

    def _aligned_panel(self, X):
        """Return a panel with the channels in the order that they had in `fit`."""
        names = _channel_names(X)
        if names is None or self.channel_names_ is None:
            return _panel(X)
        positions = positions_by_name(self.channel_names_, names)
        return _panel(X.iloc[:, positions])


@parameters_of(fei_sklearn.FEIEmbedder, without=_WITHOUT)
class FEITransformer(_InScikitLearn, BaseTransformer):
    """Embeddings of time series by Frequency-masked Embedding Inference, for sktime.

    `fit` pretrains an encoder on a panel, without labels; `transform` returns one row per series.
    The rows are those of :class:`fei_sklearn.FEIEmbedder` on the same panel.

    Parameters
    ----------
    encoder, objective, mask_ratio, mask_kind, n_targets, momentum, stride, channels, scaling, \
min_timepoints, pooling, layers, views, n_components, calibration, max_epochs, min_epoch_steps, \
batch_size, learning_rate, lr_decay, validation_fraction, n_iter_no_change, warm_start, \
pretrained, device, n_devices, precision, checkpoint_dir, random_state, verbose
        As in :class:`fei_sklearn.FEIEmbedder`.

    Attributes
    ----------
    embedder_ : FEIEmbedder
        The fitted embedder.

    See Also
    --------
    FEIClassifier, FEIRegressor : The encoder fine-tuned on labels.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn.adapters.sktime import FEITransformer
    >>> X, y = load_unit_test(split="train", return_type="nested_univ")
    >>> transformer = FEITransformer("tiny", max_epochs=2, random_state=0)
    >>> transformer.fit_transform(X).shape
    (20, 14496)
    >>> classifier = transformer * LogisticRegression()
    >>> classifier.fit(X, y).predict(X).shape
    (20,)
    """

    _tags = _TAGS | {
        "scitype:transform-input": "Series",
        "scitype:transform-output": "Primitives",
        "scitype:instancewise": False,  # the encoder is trained on all series together
        "y_inner_mtype": "None",
        "fit_is_empty": False,
        # a pipeline requires these tags to pass such series here, and the rows to a classifier
        "capability:unequal_length:removes": True,
        "capability:missing_values:removes": True,
    }
    _adapted = fei_sklearn.FEIEmbedder

    def reset(self):
        """Delete fitted attributes; with `warm_start` the embedder is kept, to be trained on."""
        embedder = None
        if self.warm_start:
            embedder = vars(self).get("embedder_")
        super().reset()
        if embedder is not None:
            self.embedder_ = embedder
        return self

    def _check_X_y(self, X=None, y=None, return_metadata=False):  # noqa: N802
        _check_container(X)
        _refuse_tables(X)
        with _index_errors(X):
            return super()._check_X_y(X, y, return_metadata)

    def _fit(self, X, y=None):
        if self.pooling is None:
            raise ValueError(
                "FEITransformer returns one row per series, and pooling=None one per step: give a "
                "pooling, or embed steps with fei_sklearn.FEIEmbedder(pooling=None)."
            )
        embedder = vars(self).get("embedder_") or fei_sklearn.FEIEmbedder()
        embedder.set_params(**self.get_params(deep=False))
        self.embedder_ = embedder.fit(self._fit_panel(X))
        return self

    def _transform(self, X, y=None):
        index = None
        if isinstance(X, pd.DataFrame):
            index = _instances(X)
        embeddings = plain_embeddings(self.embedder_, self._aligned_panel(X))
        return pd.DataFrame(embeddings, index=index)

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        """Return the parameters of the estimators that sktime's checks run on."""
        return [_QUICK, _QUICK | {"channels": "mix", "mask_ratio": 0.5, "pooling": ("mean", "std")}]


class _FineTuned(_InScikitLearn):
    """Fitting and prediction that the classifier and the regressor share."""

    def _check_input(self, X, *args, **kwargs):
        _check_container(X)
        _refuse_flat_frames(X)
        with _index_errors(X):
            return super()._check_input(X, *args, **kwargs)

    def _fit(self, X, y):
        self.estimator_ = self._adapted(**self.get_params(deep=False)).fit(self._fit_panel(X), y)
        return self

    def _predict(self, X):
        return self.estimator_.predict(self._aligned_panel(X))

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        """Return the parameters of the estimators that sktime's checks run on."""
        fine_tuning = {"embedder": fei_sklearn.FEIEmbedder(**_QUICK), "max_epochs": 1}
        return [
            fine_tuning | {"random_state": 0},
            fine_tuning | {"random_state": 0, "freeze_encoder": True, "warm_head": False},
        ]


@parameters_of(fei_sklearn.FEIClassifier, without=_WITHOUT)
class FEIClassifier(_FineTuned, BaseClassifier):
    """Classifier of time series for sktime: an FEI embedder and a linear head, fine-tuned.

    Its predictions are those of :class:`fei_sklearn.FEIClassifier` on the same panel.

    Parameters
    ----------
    embedder, freeze_encoder, warm_head, class_weight, max_epochs, min_epoch_steps, batch_size, \
learning_rate, lr_decay, validation_fraction, n_iter_no_change, device, precision, \
random_state, verbose
        As in :class:`fei_sklearn.FEIClassifier`, with an `embedder` of class
        :class:`fei_sklearn.FEIEmbedder`.

    Attributes
    ----------
    estimator_ : fei_sklearn.FEIClassifier
        The fitted classifier.

    See Also
    --------
    FEITransformer : Embeddings for sktime's pipelines.
    fei_sklearn.FEIClassifier : The estimator that does the work.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn import FEIEmbedder
    >>> from fei_sklearn.adapters.sktime import FEIClassifier
    >>> X, y = load_unit_test(split="train", return_type="nested_univ")
    >>> embedder = FEIEmbedder("tiny", max_epochs=2)
    >>> classifier = FEIClassifier(embedder, max_epochs=2, random_state=0)
    >>> classifier.fit(X, y).predict(X).shape
    (20,)
    """

    _tags = _TAGS | {"capability:predict_proba": True}
    _adapted = fei_sklearn.FEIClassifier

    def _predict_proba(self, X):
        return self.estimator_.predict_proba(self._aligned_panel(X))


@parameters_of(fei_sklearn.FEIRegressor, without=_WITHOUT)
class FEIRegressor(_FineTuned, BaseRegressor):
    """Regressor of time series for sktime: an FEI embedder and a linear head, fine-tuned.

    Its predictions are those of :class:`fei_sklearn.FEIRegressor` on the same panel.

    Parameters
    ----------
    embedder, freeze_encoder, warm_head, max_epochs, min_epoch_steps, batch_size, learning_rate, \
lr_decay, validation_fraction, n_iter_no_change, device, precision, random_state, verbose
        As in :class:`fei_sklearn.FEIRegressor`, with an `embedder` of class
        :class:`fei_sklearn.FEIEmbedder`.

    Attributes
    ----------
    estimator_ : fei_sklearn.FEIRegressor
        The fitted regressor.

    See Also
    --------
    FEITransformer : Embeddings for sktime's pipelines.
    fei_sklearn.FEIRegressor : The estimator that does the work.

    Examples
    --------
    >>> from sktime.datasets import load_covid_3month
    >>> from fei_sklearn import FEIEmbedder
    >>> from fei_sklearn.adapters.sktime import FEIRegressor
    >>> X, y = load_covid_3month(split="train")
    >>> embedder = FEIEmbedder("tiny", max_epochs=2)
    >>> regressor = FEIRegressor(embedder, max_epochs=2, random_state=0)
    >>> regressor.fit(X, y).predict(X).shape
    (140,)
    """

    _tags = _TAGS | {"capability:multioutput": True, "y_inner_mtype": "numpy2D"}
    _adapted = fei_sklearn.FEIRegressor

    def _fit(self, X, y):
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        return super()._fit(X, y)


def _channel_names(X):
    """Return the names of a panel's channels, or None where there are none."""
    if isinstance(X, np.ndarray):
        return None
    names = list(X.columns)
    generated = [f"var_{i}" for i in range(len(names))]  # sktime's, for arrays
    return None if names == generated else names


def _instances(X):
    """Return the names of a panel's series, in the order of their rows."""
    return X.index.droplevel(-1).unique()


def _level_names(X):
    """Return the names of the index's levels, and sktime's where they have none."""
    usual = ("instances", "timepoints")
    return [
        own if own is not None else name for own, name in zip(X.index.names, usual, strict=True)
    ]


def _panel(X):
    """Return a panel of one of the inner mtypes as FEIEmbedder accepts it."""
    if isinstance(X, np.ndarray):
        return X
    id_name, time_name = _level_names(X)
    series, instances = pd.factorize(X.index.get_level_values(0))
    codes, times = pd.factorize(X.index.get_level_values(1))
    values = X.to_numpy(dtype=np.float64, na_value=np.nan).T
    return on_grid(
        values,
        series,
        ranks_of(codes, times),
        len(instances),
        id=id_name,
        time=time_name,
    )


def _check_container(X):
    """Raise for containers that no sktime estimator accepts, or that sktime misreads.

    sktime's own errors are lists of mtypes.
    """
    if hasattr(X, "__len__") and len(X) == 0:
        raise ValueError(f"X is an empty {type(X).__name__}: give at least one series.")
    if _is_long(X) and X.index.has_duplicates:  # sktime accepts them
        duplicate = X.index[X.index.duplicated()][0]
        raise ValueError(
            f"X has more than one row for {tuple(duplicate)}: keep one row per series and time "
            "point."
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


def _refuse_tables(X):
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


def _refuse_flat_frames(X):
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
def _index_errors(X):
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
