"""FEIRegressor: an embedder and a linear head, fine-tuned on targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.base import RegressorMixin, _fit_context

from fei_sklearn._finetune import FineTuner, checked_weights
from fei_sklearn._fitting.callbacks import EpochCallbacks, with_callbacks
from fei_sklearn._fitting.rollback import all_or_nothing, twin
from fei_sklearn._input.checks import check_panel

#: Standard deviation of a target, relative to its mean, up to which it counts as constant.
CONSTANT_TARGET = 1e-14

#: Largest absolute targets that are accepted, so that no coefficient leaves float64's range.
SMALLEST_TARGET = 1e-290
LARGEST_TARGET = 1e290


@dataclass(frozen=True)
class TargetScaling:
    """Targets standardised, and the way back.

    Attributes
    ----------
    standardised : ndarray of shape (n_samples, n_outputs), float32
        Targets of mean 0 and standard deviation 1.
    mean, std : ndarray of shape (n_outputs,)
        Statistics of the targets in units of `unit`; the deviation of a constant target is 1.
    unit : ndarray of shape (n_outputs,)
        Powers of 2 near the largest target, by which division is exact. Without the division,
        squares of targets near 1e200 would overflow, and squares near 1e-200 would vanish.
    """

    standardised: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    unit: np.ndarray

    @classmethod
    def fit(cls, y, weights):
        """Standardise targets of shape (n_samples, n_outputs), with weights of series or None."""
        largest = np.abs(y).max(axis=0)
        is_extreme = (largest > LARGEST_TARGET) | ((largest > 0) & (largest < SMALLEST_TARGET))
        if is_extreme.any():
            raise ValueError(
                f"The largest absolute target is {largest[is_extreme][0]:g}; it must be 0 or "
                f"between {SMALLEST_TARGET:g} and {LARGEST_TARGET:g}: give y in another unit."
            )
        _, exponent = np.frexp(largest)
        unit = np.ldexp(1.0, exponent)
        y = y / unit
        if weights is None:
            mean = y.mean(axis=0)
            std = y.std(axis=0)
        else:
            mean = np.average(y, axis=0, weights=weights)
            std = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
        varies = std > CONSTANT_TARGET * np.abs(mean)
        std = np.where(varies, std, 1.0)
        standardised = ((y - mean) / std).astype(np.float32)
        return cls(standardised, mean, std, unit)

    def in_units_of_y(self, coef, intercept):
        """Return coefficients and intercept on targets from those on standardised targets."""
        coef = coef * self.std[:, np.newaxis] * self.unit[:, np.newaxis]
        intercept = (intercept * self.std + self.mean) * self.unit
        return coef, intercept


class FEIRegressor(RegressorMixin, FineTuner):
    """Regressor of time series: an FEI embedder and a linear head, fine-tuned end to end.

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
        Whether to start from ridge regression on the embeddings rather than from zero. Five-fold
        cross-validation on at most 1,000 series chooses its penalty.
    max_epochs : int, default=50
        Maximum number of epochs; 0 keeps the first head.
    min_epoch_steps : int, default=1
        Minimum number of optimiser steps per epoch.
    batch_size : int, default=32
        Series per step.
    learning_rate : float, default=1e-4
        Peak learning rate of AdamW, for encoder and head.
    lr_decay : float or "cosine", default="cosine"
        Half a cosine over the run after a short warm-up, or a factor after each epoch.
    validation_fraction : float or None, default=0.1
        Share of the series that validate for early stopping. Where fewer than 8 series would
        validate, all series train to the end.
    n_iter_no_change : int or None, default=10
        Epochs without improvement after which training stops. The best weights are restored in any
        case.
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
        One record per epoch of fine-tuning.
    n_iter_ : int
        Number of epochs trained.
    best_epoch_ : int
        Epoch, counted from 1, whose weights were kept.

    See Also
    --------
    FEIEmbedder : Embeddings without labels, for any head.
    FEIClassifier : The same for classes.

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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # make_regression's features are no time series
        return tags

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
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the series in the head and in fine-tuning, relative to each other. Series of
            weight 0 neither train nor validate. Pretraining, which sees no targets, gives all
            series the same weight.

        Returns
        -------
        self : FEIRegressor
            The fitted regressor.

        Raises
        ------
        ValueError
            If a parameter, the input or the size of the targets is out of bounds. The estimator
            stays unchanged.
        """
        values, y = check_panel(self, X, y, reset=True, y_numeric=True, multi_output=True)
        self._y_ndim = y.ndim
        weights = checked_weights(sample_weight, values)
        scaling = TargetScaling.fit(y.reshape(len(y), -1).astype(np.float64), weights)
        callbacks = EpochCallbacks(self, self.max_epochs, X)
        self._finetune(X, values, scaling.standardised, callbacks, sample_weight=weights)
        self.coef_, self.intercept_ = scaling.in_units_of_y(self.coef_, self.intercept_)
        callbacks.end()
        return self

    def predict(self, X):
        """Return the targets of each series.

        Parameters
        ----------
        X : array-like
            Series, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
            Predictions, of the shape of `y` in `fit`.
        """
        fitted = twin(self)
        outputs = fitted._outputs(X)
        if fitted._y_ndim == 1:
            return outputs[:, 0]
        return outputs
