"""FEIClassifier and FEIRegressor: an embedder and a head, fine-tuned end to end."""

from __future__ import annotations

import copy
import os
import warnings
from numbers import Integral

import numpy as np
from scipy.special import softmax
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from fei_sklearn._atomic import all_or_nothing
from fei_sklearn._callbacks import (
    CallbackSupportMixin,
    EpochCallbacks,
    Watchers,
    printers,
    with_callbacks,
)
from fei_sklearn._embedder import FEIEmbedder
from fei_sklearn._panel import check_panel

# torch is imported with fei_sklearn._supervised, in the methods that compute.

#: Fewest series that validate; a panel that would give fewer trains on all of them.
MIN_VALIDATION = 8

#: What an embedder's ``pooling="auto"`` stands for where the encoder is trained with the head: one
#: pass over the series instead of three, and no statistic without a gradient.
TRAINED_READOUT = {"pooling": ("mean", "max", "std"), "layers": "all", "views": "level"}


class _FineTuner(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """What the classifier and the regressor share: the embedder, the run, the features."""

    _doc_link_module = "fei_sklearn"
    _doc_link_template = FEIEmbedder._doc_link_template

    _parameter_constraints = {
        "embedder": [FEIEmbedder, FrozenEstimator, str, os.PathLike, None],
        "freeze_encoder": ["boolean"],
        "warm_head": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        **{
            name: FEIEmbedder._parameter_constraints[name]
            for name in (
                "min_epoch_steps",
                "learning_rate",
                "lr_decay",
                "validation_fraction",
                "n_iter_no_change",
                "device",
                "precision",
                "n_jobs",
                "random_state",
                "verbose",
            )
        },
    }

    @property
    def _most_epochs(self):
        return self.max_epochs

    def _finetune(self, X, y, callbacks, *, class_weight=None):
        """Fit embedder and head on series and their encoded targets."""
        from fei_sklearn import _supervised

        random_state = check_random_state(self.random_state)
        embedder = self._fitted_embedder(X, random_state)
        if embedder.pooling == "auto" and not self.freeze_encoder:
            embedder.set_params(**TRAINED_READOUT)
        features = embedder.transform(X)
        head = self._first_head(features.astype(np.float64), y, class_weight)
        panel = self._training_panel(embedder, X, features, y)
        rows, held_out = self._split(y, random_state)
        result = _supervised.finetune(
            self,
            embedder,
            panel,
            head,
            rows,
            held_out,
            class_weight=class_weight,
            seed=int(random_state.randint(2**31 - 1)),
            watcher=Watchers([callbacks, *printers(self)]),
        )
        if result.weights is not None:
            embedder.weights_ = embedder.weights_ | result.weights
        self.embedder_ = embedder
        self.coef_, self.intercept_ = result.head.on_features()
        self.history_ = result.history
        self.n_iter_ = len(result.history)
        self.best_epoch_ = result.best_epoch

    def _fitted_embedder(self, X, random_state):
        """A fitted embedder of our own, whose weights may change."""
        given = self.embedder
        if isinstance(given, FrozenEstimator):
            fitted = given.estimator
            if not isinstance(fitted, FEIEmbedder) or not hasattr(fitted, "weights_"):
                raise ValueError(
                    f"embedder must wrap a fitted FEIEmbedder, got {given!r}: fit it first."
                )
            return copy.deepcopy(fitted)
        if given is None:
            given = FEIEmbedder()
        elif not isinstance(given, FEIEmbedder):
            given = FEIEmbedder(pretrained=given)
        elif hasattr(given, "weights_"):
            warnings.warn(
                "The embedder is fitted already and is pretrained anew on X, as in any "
                "meta-estimator: wrap it in sklearn.frozen.FrozenEstimator to start from its "
                "weights.",
                stacklevel=5,
            )
        embedder = clone(given)
        if embedder.pooling is None:
            raise ValueError(
                "pooling=None gives no vector for a head to work on: give the embedder "
                "pooling='mean', 'max', 'std' or a tuple of these."
            )
        if embedder.random_state is None:
            embedder.set_params(random_state=int(random_state.randint(2**31 - 1)))
        return embedder.fit(X)

    def _first_head(self, features, y, class_weight):
        """The head to start from: fitted on the embeddings, or zero."""
        from fei_sklearn._supervised import Head

        centre, scale = features.mean(axis=0), features.std(axis=0)
        scale = np.where(scale > 1e-6 * np.abs(centre).max(), scale, 1.0)
        n_outputs = y.shape[1] if y.ndim == 2 else int(y.max()) + 1
        weight, bias = np.zeros((n_outputs, features.shape[1])), np.zeros(n_outputs)
        if self.warm_head:
            weight, bias = self._fit_head((features - centre) / scale, y, class_weight)
        return Head(centre, scale, weight, bias)

    def _training_panel(self, embedder, X, features, y):
        from fei_sklearn.data import Panel

        if self.freeze_encoder:
            return Panel(features[:, :, np.newaxis], targets=y)
        values = check_panel(embedder, X, reset=False)
        panel = embedder._panel(values)
        return Panel(panel.values, panel.lengths, y)

    def _split(self, y, random_state):
        """Rows that train, and rows that validate."""
        rows = np.arange(len(y))
        n_held_out = round((self.validation_fraction or 0.0) * len(y))
        classes = None if y.ndim == 2 else np.bincount(y)
        if n_held_out < max(MIN_VALIDATION, 0 if classes is None else len(classes)):
            return rows, rows[:0]
        stratify = y if classes is not None and classes.min() >= 2 else None
        rows, held_out = train_test_split(
            rows, test_size=n_held_out, stratify=stratify, random_state=random_state
        )
        return np.sort(rows), np.sort(held_out)

    def _embed(self, X):
        check_is_fitted(self)
        values = check_panel(self, X, reset=False)
        from fei_sklearn import _network

        panel = self.embedder_._panel(values)
        return _network.embed_panel(self.embedder_, panel)

    def _outputs(self, X):
        return self._embed(X).astype(np.float64) @ self.coef_.T + self.intercept_

    def transform(self, X):
        """Fine-tuned embeddings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
(n_samples, n_channels, n_timepoints), or list of arrays of shape (n_channels, n_timepoints_i)
            Series.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32
            Embeddings.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        """
        return self._embed(X)

    @property
    def _n_features_out(self):
        return self.embedder_._n_features_out


class FEIClassifier(ClassifierMixin, _FineTuner):
    """Classifier of time series: an FEI embedder and a linear head, fine-tuned end to end.

    Parameters
    ----------
    embedder : FEIEmbedder, FrozenEstimator, str, path-like or None, default=None
        What to start from: an embedder, which is cloned and pretrained on the training series; a
        fitted one in :class:`sklearn.frozen.FrozenEstimator`, whose weights are taken; or the name
        or folder of a checkpoint. None pretrains a default embedder. Unless the encoder is frozen,
        ``pooling="auto"`` becomes the mean, maximum and standard deviation of all stages.
    freeze_encoder : bool, default=False
        Train the head alone, on fixed embeddings: the paper's linear evaluation.
    warm_head : bool, default=True
        Start from a head that logistic regression fits on the embeddings, rather than from zero.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss.
    max_epochs : int, default=50
        Most epochs; 0 keeps the first head.
    min_epoch_steps : int, default=1
        Optimiser steps that an epoch has at least.
    batch_size : int, default=32
        Series in a step.
    learning_rate : float, default=1e-4
        Peak learning rate of AdamW, for encoder and head.
    lr_decay : float or "cosine", default="cosine"
        Half a cosine over the run after a short warm-up, or a factor after each epoch.
    validation_fraction : float or None, default=0.1
        Share of the series that early stopping watches; where it would be fewer than 8 series, all
        of them train to the end.
    n_iter_no_change : int or None, default=10
        Epochs without improvement after which to stop. The best weights are restored in any case.
    device, precision, n_jobs, random_state, verbose
        As in :class:`FEIEmbedder`.

    Attributes
    ----------
    embedder_ : FEIEmbedder
        The fine-tuned embedder.
    coef_ : ndarray of shape (n_classes, n_features_out), float64
        Weights of the head.
    intercept_ : ndarray of shape (n_classes,), float64
        Intercept of the head.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    history_ : list of dict
        A record for each epoch of fine-tuning.
    n_iter_, best_epoch_ : int
        Epochs trained, and the one, from 1, whose weights were kept.

    References
    ----------
    Fu and Hu, AAAI 2025, section "Experiments": linear evaluation and fine-tuning.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn import FEIEmbedder, FEIClassifier
    >>> X, y = load_unit_test(split="train", return_type="numpy3d")
    >>> embedder = FEIEmbedder("tiny", max_epochs=2, random_state=0)
    >>> model = FEIClassifier(embedder, max_epochs=2, random_state=0).fit(X, y)
    >>> model.predict(X).shape
    (20,)
    """

    _parameter_constraints = {
        **_FineTuner._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        embedder=None,
        *,
        freeze_encoder=False,
        warm_head=True,
        class_weight=None,
        max_epochs=50,
        min_epoch_steps=1,
        batch_size=32,
        learning_rate=1e-4,
        lr_decay="cosine",
        validation_fraction=0.1,
        n_iter_no_change=10,
        device="auto",
        precision="auto",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.embedder = embedder
        self.freeze_encoder = freeze_encoder
        self.warm_head = warm_head
        self.class_weight = class_weight
        self.max_epochs = max_epochs
        self.min_epoch_steps = min_epoch_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.lr_decay = lr_decay
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @all_or_nothing
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Pretrain the embedder if need be, fit the head, and fine-tune both.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
(n_samples, n_channels, n_timepoints), or list of arrays of shape (n_channels, n_timepoints_i)
            Series.
        y : array-like of shape (n_samples,)
            Class labels, of two classes or more.

        Returns
        -------
        self : FEIClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            For bad parameters or input, one class only included. The estimator stays as it was.
        """
        _, y = check_panel(self, X, y, reset=True)
        check_classification_targets(y)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"Classifier can't train when only one class is present: y holds "
                f"{self.classes_[0]!r} alone."
            )
        weight = None
        if self.class_weight is not None:
            weight = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        callbacks = EpochCallbacks(self, self._most_epochs, X)
        self._finetune(X, encoded.astype(np.int64), callbacks, class_weight=weight)
        callbacks.end()
        return self

    def _fit_head(self, features, y, class_weight):
        weights = None if class_weight is None else dict(enumerate(class_weight))
        model = LogisticRegression(C=0.1, max_iter=500, class_weight=weights)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a head that is not quite at its optimum will do
            model.fit(features, y)
        weight, bias = model.coef_, model.intercept_
        if len(weight) == 1:  # one logit for two classes
            weight, bias = np.vstack([-weight, weight]) / 2, np.hstack([-bias, bias]) / 2
        return weight, bias

    def predict_proba(self, X):
        """Class probabilities.

        Parameters
        ----------
        X : array-like
            Series, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Probabilities, in the order of `classes_`.
        """
        return softmax(self._outputs(X), axis=1)

    def predict(self, X):
        """Most probable class of each series.

        Parameters
        ----------
        X : array-like
            Series, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        best = self._outputs(X).argmax(axis=1)
        return self.classes_[best]


class FEIRegressor(RegressorMixin, _FineTuner):
    """Regressor of time series: an FEI embedder and a linear head, fine-tuned end to end.

    Parameters
    ----------
    embedder : FEIEmbedder, FrozenEstimator, str, path-like or None, default=None
        What to start from: an embedder, which is cloned and pretrained on the training series; a
        fitted one in :class:`sklearn.frozen.FrozenEstimator`, whose weights are taken; or the name
        or folder of a checkpoint. None pretrains a default embedder. Unless the encoder is frozen,
        ``pooling="auto"`` becomes the mean, maximum and standard deviation of all stages.
    freeze_encoder : bool, default=False
        Train the head alone, on fixed embeddings: the paper's linear evaluation.
    warm_head : bool, default=True
        Start from a head that ridge regression fits on the embeddings, rather than from zero.
    max_epochs : int, default=50
        Most epochs; 0 keeps the first head.
    min_epoch_steps : int, default=1
        Optimiser steps that an epoch has at least.
    batch_size : int, default=32
        Series in a step.
    learning_rate : float, default=1e-4
        Peak learning rate of AdamW, for encoder and head.
    lr_decay : float or "cosine", default="cosine"
        Half a cosine over the run after a short warm-up, or a factor after each epoch.
    validation_fraction : float or None, default=0.1
        Share of the series that early stopping watches; where it would be fewer than 8 series, all
        of them train to the end.
    n_iter_no_change : int or None, default=10
        Epochs without improvement after which to stop. The best weights are restored in any case.
    device, precision, n_jobs, random_state, verbose
        As in :class:`FEIEmbedder`.

    Attributes
    ----------
    embedder_ : FEIEmbedder
        The fine-tuned embedder.
    coef_ : ndarray of shape (n_outputs, n_features_out), float64
        Weights of the head.
    intercept_ : ndarray of shape (n_outputs,), float64
        Intercept of the head.
    history_ : list of dict
        A record for each epoch of fine-tuning.
    n_iter_, best_epoch_ : int
        Epochs trained, and the one, from 1, whose weights were kept.

    References
    ----------
    Fu and Hu, AAAI 2025, section "Experiments": linear evaluation and fine-tuning.

    Examples
    --------
    >>> from sktime.datasets import load_tecator
    >>> from fei_sklearn import FEIEmbedder, FEIRegressor
    >>> X, y = load_tecator(split="train", return_type="numpy3d")
    >>> embedder = FEIEmbedder("tiny", max_epochs=2, random_state=0)
    >>> model = FEIRegressor(embedder, max_epochs=2, random_state=0).fit(X, y)
    >>> model.predict(X).shape
    (172,)
    """

    def __init__(
        self,
        embedder=None,
        *,
        freeze_encoder=False,
        warm_head=True,
        max_epochs=50,
        min_epoch_steps=1,
        batch_size=32,
        learning_rate=1e-4,
        lr_decay="cosine",
        validation_fraction=0.1,
        n_iter_no_change=10,
        device="auto",
        precision="auto",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.embedder = embedder
        self.freeze_encoder = freeze_encoder
        self.warm_head = warm_head
        self.max_epochs = max_epochs
        self.min_epoch_steps = min_epoch_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.lr_decay = lr_decay
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # make_regression's features are no time series
        return tags

    @all_or_nothing
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Pretrain the embedder if need be, fit the head, and fine-tune both.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
(n_samples, n_channels, n_timepoints), or list of arrays of shape (n_channels, n_timepoints_i)
            Series.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        Returns
        -------
        self : FEIRegressor
            The fitted regressor.

        Raises
        ------
        ValueError
            For bad parameters or input. The estimator stays as it was.
        """
        _, y = check_panel(self, X, y, reset=True, y_numeric=True, multi_output=True)
        self._y_ndim = y.ndim
        y = y.reshape(len(y), -1).astype(np.float64)
        mean, std = y.mean(axis=0), y.std(axis=0)
        std = np.where(std > 1e-14 * np.abs(mean), std, 1.0)
        callbacks = EpochCallbacks(self, self._most_epochs, X)
        self._finetune(X, ((y - mean) / std).astype(np.float32), callbacks)
        self.coef_ = self.coef_ * std[:, np.newaxis]
        self.intercept_ = self.intercept_ * std + mean
        callbacks.end()
        return self

    def _fit_head(self, features, y, class_weight):
        # as much shrinkage as there are features to a series keeps a wide readout in check
        model = Ridge(alpha=features.shape[1] / 10).fit(features, y)
        return model.coef_.reshape(y.shape[1], -1), np.broadcast_to(model.intercept_, y.shape[1:])

    def predict(self, X):
        """Targets of each series.

        Parameters
        ----------
        X : array-like
            Series, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
            Predictions, of the shape of `y` in `fit`.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if self._y_ndim == 1 else outputs
