"""FEIClassifier: an embedder and a linear head, fine-tuned on classes."""

from __future__ import annotations

from numbers import Real

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import compute_class_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets

from fei_sklearn._finetune import FineTuner, checked_weights
from fei_sklearn._fitting.callbacks import EpochCallbacks, with_callbacks
from fei_sklearn._fitting.rollback import all_or_nothing, twin
from fei_sklearn._input.checks import check_panel


class FEIClassifier(ClassifierMixin, FineTuner):
    """Classifier of time series: an FEI embedder and a linear head, fine-tuned end to end.

    Parameters
    ----------
    embedder : FEIEmbedder, FrozenEstimator, str, path-like or None, default=None
        Embedder to start from: an embedder, which is cloned and pretrained on the training series;
        a fitted embedder in :class:`sklearn.frozen.FrozenEstimator`, whose weights are copied; or
        the name or folder of a checkpoint. None pretrains a default embedder. Batch norm keeps the
        embedder's statistics; the shares of "ppv" are inputs of the head without a gradient.
    freeze_encoder : bool, default=False
        Whether the head trains alone, on fixed embeddings: the paper's linear evaluation.
    warm_head : bool, default=True
        Whether to start from ridge regression on class indicators rather than from zero. A factor
        scales the outputs to the likeliest probabilities in cross-validation. A penalty draws the
        head back to its start during training.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss.
    max_epochs : int, default=15
        Maximum number of epochs; 0 keeps the first head.
    min_epoch_steps : int, default=1
        Minimum number of optimiser steps per epoch.
    batch_size : int, default=32
        Series per step.
    learning_rate : float, default=1e-3
        Peak learning rate of AdamW, for encoder and head.
    lr_decay : float or "cosine", default="cosine"
        Half a cosine over the run after a short warm-up, or a factor after each epoch.
    validation_fraction : float or None, default=None
        Share of the series that validate for early stopping. With None, and where fewer than 8
        series would validate, all series train to the end.
    n_iter_no_change : int or None, default=10
        Epochs without improvement on the series that validate, after which training stops. The best
        weights are restored in any case.
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
        One record per epoch of fine-tuning.
    n_iter_ : int
        Number of epochs trained.
    best_epoch_ : int
        Epoch, counted from 1, whose weights were kept.

    See Also
    --------
    FEIEmbedder : Embeddings without labels, for any head.
    FEIRegressor : The same for numbers as targets.

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
        **FineTuner._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        embedder=None,
        *,
        freeze_encoder=False,
        warm_head=True,
        class_weight=None,
        max_epochs=15,
        min_epoch_steps=1,
        batch_size=32,
        learning_rate=1e-3,
        lr_decay="cosine",
        validation_fraction=None,
        n_iter_no_change=10,
        device="auto",
        precision="auto",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            embedder,
            freeze_encoder=freeze_encoder,
            warm_head=warm_head,
            max_epochs=max_epochs,
            min_epoch_steps=min_epoch_steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            lr_decay=lr_decay,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            device=device,
            precision=precision,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    @all_or_nothing
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Pretrain the embedder unless it is fitted, fit the head, and fine-tune both.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
(n_samples, n_channels, n_timepoints), or list of arrays of shape (n_channels, n_timepoints_i)
            Series.
        y : array-like of shape (n_samples,)
            Class labels, of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the series in the head and in fine-tuning, relative to each other. Series of
            weight 0 neither train nor validate. Pretraining, which sees no targets, gives all
            series the same weight.

        Returns
        -------
        self : FEIClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the input is out of bounds, or there is only one class. The estimator
            stays unchanged.
        """
        values, y = check_panel(self, X, y, reset=True)
        check_classification_targets(y)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"Classifier can't train when only one class is present: y holds "
                f"{self.classes_[0]!r} alone."
            )
        encoded = encoded.astype(np.int64)
        weights = checked_weights(sample_weight, values)
        class_weight = self._class_weights(encoded, weights)
        callbacks = EpochCallbacks(self, self.max_epochs, X)
        self._finetune(
            X,
            values,
            encoded,
            callbacks,
            class_weight=class_weight,
            sample_weight=weights,
        )
        callbacks.end()
        return self

    def _class_weights(self, encoded, sample_weight):
        """Return a weight per class, or None if all classes have the same."""
        if self.class_weight is None:
            return None
        if self.class_weight == "balanced":
            counts = np.bincount(encoded, sample_weight).astype(np.float64)
            share = np.where(counts > 0, counts, np.inf)  # a class without weight keeps 0
            return counts.sum() / (len(counts) * share)
        for label, weight in self.class_weight.items():
            if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
                raise ValueError(
                    f"class_weight must map classes to finite numbers of at least 0, got "
                    f"{weight!r} for class {label!r}."
                )
        y = self.classes_[encoded]
        return compute_class_weight(self.class_weight, classes=self.classes_, y=y)

    def predict_proba(self, X):
        """Return class probabilities.

        Parameters
        ----------
        X : array-like
            Series, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Probabilities, in the order of `classes_`.
        """
        fitted = twin(self)
        return softmax(fitted._outputs(X), axis=1)

    def predict(self, X):
        """Return the most probable class of each series.

        Parameters
        ----------
        X : array-like
            Series, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        fitted = twin(self)
        best = fitted._outputs(X).argmax(axis=1)
        return fitted.classes_[best]
