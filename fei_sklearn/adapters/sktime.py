"""FEITransformer, FEIClassifier, FEIRegressor and FEIForecaster: FEI for sktime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from sktime.base import BaseEstimator
from sktime.classification.base import BaseClassifier
from sktime.regression.base import BaseRegressor
from sktime.transformations.base import BaseTransformer

import fei_sklearn
from fei_sklearn._transform import plain_embeddings
from fei_sklearn.adapters._names import positions_by_name
from fei_sklearn.adapters._parameters import parameters_of
from fei_sklearn.adapters._sktime_panels import (
    as_panel,
    channel_names,
    check_container,
    index_errors,
    instance_names,
    refuse_flat_frames,
    refuse_tables,
)

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
        self.channel_names_ = channel_names(X)
        return as_panel(X)

    def _aligned_panel(self, X):
        """Return a panel with the channels in the order that they had in `fit`."""
        names = channel_names(X)
        if names is None or self.channel_names_ is None:
            return as_panel(X)
        positions = positions_by_name(self.channel_names_, names)
        return as_panel(X.iloc[:, positions])


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
        check_container(X)
        refuse_tables(X)
        with index_errors(X):
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
            index = instance_names(X)
        embeddings = plain_embeddings(self.embedder_, self._aligned_panel(X))
        return pd.DataFrame(embeddings, index=index)

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        """Return the parameters of the estimators that sktime's checks run on."""
        return [_QUICK, _QUICK | {"channels": "mix", "mask_ratio": 0.5, "pooling": ("mean", "std")}]


class _FineTuned(_InScikitLearn):
    """Fitting and prediction that the classifier and the regressor share."""

    def _check_input(self, X, *args, **kwargs):
        check_container(X)
        refuse_flat_frames(X)
        with index_errors(X):
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
