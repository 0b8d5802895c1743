"""The head that fine-tuning starts from: ridge regression on the embeddings, or zero."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.model_selection import KFold

from fei_sklearn._bridge.ridge import Ridge, StandardisedFeatures, ridge

#: Penalty of the ridge regression on class indicators, per feature.
CLASS_PENALTY = 0.01

#: Penalties of the ridge regression on targets, per feature, of which cross-validation takes one.
TARGET_PENALTIES = np.logspace(-3, 2, 6)

#: The same for targets of too few samples for cross-validation.
UNCHOSEN_TARGET_PENALTY = 0.1

#: Samples on which a penalty is chosen: the cost grows with the third power of their number.
PENALTY_SAMPLE = 1000

#: Weight in the loss, per series, of the squared distance from a classifier's first head.
ANCHOR = 5.0

#: Cross-validation folds, which give a regressor's penalty and a classifier's factor on outputs.
N_FOLDS = 5

#: Bounds of that factor. Beyond 10 the probabilities of a head that fits would be so close to 0
#: and 1 that its gradients vanish into denormal numbers, which are slow on a CPU.
SMALLEST_FACTOR = 0.1
LARGEST_FACTOR = 10.0


@dataclass(frozen=True)
class HeadArrays:
    """A linear head as arrays, in float64.

    Attributes
    ----------
    centre, scale : ndarray of shape (n_features,)
        Mean of each feature, and the scale that it is divided by.
    weight : ndarray of shape (n_outputs, n_features)
        Weights on standardised features.
    bias : ndarray of shape (n_outputs,)
        Outputs at the mean of the features.
    penalty : float, default=0.0
        Weight of the squared distance between the weights and `anchor` in the loss.
    anchor : ndarray of shape (n_outputs, n_features), default=None
        Weights to which the penalty draws; None without a penalty.
    """

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    penalty: float = 0.0
    anchor: np.ndarray | None = None

    def on_features(self) -> tuple[np.ndarray, np.ndarray]:
        """Return coefficients and intercept on features that are not standardised."""
        coef = self.weight / self.scale
        intercept = self.bias - coef @ self.centre
        return coef, intercept


def first_head(
    features: np.ndarray,
    y: np.ndarray,
    *,
    warm: bool,
    n_classes: int | None = None,
    class_weight: np.ndarray | None = None,
    sample_weight: np.ndarray | None = None,
    rows: np.ndarray | None = None,
    one_scale: bool = False,
) -> HeadArrays:
    """Return a linear head on standardised features.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features), floating
        Embeddings.
    y : ndarray of shape (n_samples,), int, or (n_samples, n_outputs), floating
        Classes from 0, or standardised targets.
    warm : bool
        Whether ridge regression on the targets or on class indicators fits the head; otherwise it
        is zero.
    n_classes : int, default=None
        Number of classes. `y` may lack some of them. None is the largest class in `y` plus one.
    class_weight : ndarray of shape (n_classes,), default=None
        Weights of the classes.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the samples; None gives all the same weight.
    rows : ndarray of int, default=None
        Samples that the head is fitted on; None fits all.
    one_scale : bool, default=False
        Whether all features share one scale, as principal axes must: a deviation of 1 for each
        would make the last axes, which are mostly noise, as important as the first.

    Returns
    -------
    HeadArrays
        The head, with the mean and scale of the features. A fitted head has a penalty
        that keeps its weights close to their start: without it, thousands of features would go on
        to fit the training series, whatever the ridge penalty and the class weights.
    """
    if rows is None:
        rows = np.arange(len(y))
    y = y[rows]
    weights = np.ones(len(y))
    if sample_weight is not None:
        sample_weight = sample_weight[rows]
        weights = sample_weight
    standardised = StandardisedFeatures.fit(features, rows, sample_weight, one_scale=one_scale)
    n_features = features.shape[1]
    n_outputs = _n_outputs(y, n_classes)
    if not warm:
        weight = np.zeros((n_outputs, n_features))
        bias = np.zeros(n_outputs)
        return HeadArrays(standardised.centre, standardised.scale, weight, bias)
    if y.ndim == 2:
        weights = weights / weights.mean()
        ridge_penalty = _target_penalty(standardised, y, weights)
        model = ridge(standardised, ridge_penalty)
        model.fit(np.arange(len(y)), y, weights)
        weight, bias = model.weight_and_bias()
        penalty = ridge_penalty / y.size
        anchor = np.zeros_like(weight)
    else:
        if class_weight is not None:
            weights = weights * class_weight[y]
        weight, bias = _class_logits(standardised, y, n_outputs, weights / weights.mean())
        penalty = ANCHOR / len(y)
        anchor = weight
    return HeadArrays(standardised.centre, standardised.scale, weight, bias, penalty, anchor)


def _n_outputs(y: np.ndarray, n_classes: int | None) -> int:
    if y.ndim == 2:
        return int(y.shape[1])
    return n_classes or int(y.max()) + 1


def _target_penalty(features: StandardisedFeatures, y: np.ndarray, weights: np.ndarray) -> float:
    """Return the penalty of least squared error on held-out folds of a sample."""
    n_samples, n_features = features.shape
    if n_samples < 2 * N_FOLDS:
        return UNCHOSEN_TARGET_PENALTY * n_features
    sample = np.linspace(0, n_samples - 1, min(n_samples, PENALTY_SAMPLE)).astype(np.int64)
    penalties = TARGET_PENALTIES * n_features
    model = ridge(replace(features, rows=features.rows[sample]), penalties[0])
    errors = []
    for penalty in penalties:
        model.penalty = penalty
        outputs = _held_out_outputs(model, y[sample], weights[sample])
        squares = (outputs - y[sample]) ** 2
        errors.append(weights[sample] @ squares.sum(axis=1))
    return float(penalties[np.argmin(errors)])


def _class_logits(
    features: StandardisedFeatures, y: np.ndarray, n_classes: int, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit ridge regression on class indicators, times the factor of the likeliest probabilities."""
    is_class = y[:, np.newaxis] == np.arange(n_classes)
    indicators = np.where(is_class, 1.0, -1.0)
    n_samples, n_features = features.shape
    model = ridge(features, CLASS_PENALTY * n_features)
    factor = 1.0
    if n_samples >= 2 * N_FOLDS:
        outputs = _held_out_outputs(model, indicators, weights)
        factor = _best_factor(outputs, y, weights)
    model.fit(np.arange(n_samples), indicators, weights)
    weight, bias = model.weight_and_bias()
    return factor * weight, factor * bias


def _held_out_outputs(model: Ridge, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the outputs of each fold under a model of the other folds."""
    outputs = np.empty_like(targets)
    folds = KFold(N_FOLDS, shuffle=True, random_state=0)
    for fitted, held_out in folds.split(targets):
        if not weights[fitted].any():
            outputs[held_out] = 0.0
            continue
        model.fit(fitted, targets[fitted], weights[fitted])
        outputs[held_out] = model.predict(held_out)
    return outputs


def _best_factor(outputs: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Return the factor on outputs with the least cross-entropy."""
    rows = np.arange(len(y))

    def cross_entropy(log_factor: float) -> float:
        logits = np.exp(log_factor) * outputs
        log_probabilities = log_softmax(logits, axis=1)
        of_class = log_probabilities[rows, y]
        return -float(weights @ of_class)

    bounds = (np.log(SMALLEST_FACTOR), np.log(LARGEST_FACTOR))
    best = minimize_scalar(cross_entropy, bounds=bounds, method="bounded")
    return float(np.exp(best.x))
