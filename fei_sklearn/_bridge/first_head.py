"""The head that fine-tuning starts from: ridge regression on the embeddings, or zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict

#: Penalties of the ridge regression per feature, on class indicators and on targets.
CLASS_PENALTY = 0.01
TARGET_PENALTY = 0.1

#: Weight in the loss, per series, of the squared distance from a classifier's first head.
ANCHOR = 5.0

#: Cross-validation folds whose outputs give the factor on a classifier's outputs.
N_FOLDS = 5

#: Bounds of that factor. Beyond 10 the probabilities of a head that fits would be so close to 0
#: and 1 that its gradients vanish into denormal numbers, which are slow on a CPU.
SMALLEST_FACTOR = 0.1
LARGEST_FACTOR = 10.0

#: Standard deviation, relative to the largest mean, up to which a feature counts as constant.
CONSTANT_FEATURE = 1e-6


@dataclass(frozen=True)
class HeadArrays:
    """A linear head as arrays, in float64.

    Attributes
    ----------
    centre, scale : ndarray of shape (n_features,)
        Mean and standard deviation that standardise the features.
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
) -> HeadArrays:
    """Return a linear head on standardised features.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features), float64
        Embeddings.
    y : ndarray of shape (n_samples,), int, or (n_samples, n_outputs), floating
        Classes from 0, or standardised targets.
    warm : bool
        Whether ridge regression on the targets or on class indicators fits the head; otherwise it
        is zero.
    n_classes : int, default=None
        Number of classes, of which `y` may lack some; None counts them up to the greatest in `y`.
    class_weight : ndarray of shape (n_classes,), default=None
        Weights of the classes.

    Returns
    -------
    HeadArrays
        The head, with the mean and standard deviation of the features. A fitted head has a penalty
        that keeps its weights close to their start: without it, thousands of features would go on
        to fit the training series, whatever the ridge penalty and the class weights.
    """
    n_features = features.shape[1]
    centre = features.mean(axis=0)
    scale = features.std(axis=0)
    largest_mean = np.abs(centre).max()
    varies = scale > CONSTANT_FEATURE * largest_mean
    scale = np.where(varies, scale, 1.0)
    standardised = (features - centre) / scale
    n_outputs = _n_outputs(y, n_classes)
    if not warm:
        weight = np.zeros((n_outputs, n_features))
        bias = np.zeros(n_outputs)
        return HeadArrays(centre, scale, weight, bias)
    if y.ndim == 2:
        ridge_penalty = TARGET_PENALTY * n_features
        model = Ridge(alpha=ridge_penalty)
        weight, bias = _fitted(model, standardised, y)
        return HeadArrays(
            centre,
            scale,
            weight,
            bias,
            penalty=ridge_penalty / y.size,
            anchor=np.zeros_like(weight),
        )
    weight, bias = _class_logits(standardised, y, n_outputs, class_weight)
    return HeadArrays(
        centre,
        scale,
        weight,
        bias,
        penalty=ANCHOR / len(y),
        anchor=weight,
    )


def _n_outputs(y: np.ndarray, n_classes: int | None) -> int:
    if y.ndim == 2:
        return int(y.shape[1])
    return n_classes or int(y.max()) + 1


def _class_logits(
    features: np.ndarray, y: np.ndarray, n_classes: int, class_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit ridge regression on class indicators, times the factor of the likeliest probabilities."""
    weights = np.ones(len(y))
    if class_weight is not None:
        weights = class_weight[y]
    weights = weights / weights.mean()
    is_class = y[:, np.newaxis] == np.arange(n_classes)
    indicators = np.where(is_class, 1.0, -1.0)
    n_features = features.shape[1]
    model = Ridge(alpha=CLASS_PENALTY * n_features)
    factor = 1.0
    if len(y) >= 2 * N_FOLDS:
        folds = KFold(N_FOLDS, shuffle=True, random_state=0)
        outputs = cross_val_predict(
            model,
            features,
            indicators,
            cv=folds,
            params={"sample_weight": weights},
        )
        factor = _best_factor(outputs, y, weights)
    weight, bias = _fitted(model, features, indicators, weights)
    return factor * weight, factor * bias


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


def _fitted(
    model: Ridge, features: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit, and return weights and bias, with an axis for the outputs even if there is only one."""
    model.fit(features, targets, sample_weight=weights)
    n_outputs = targets.shape[1]
    weight = model.coef_.reshape(n_outputs, -1)
    bias = np.broadcast_to(model.intercept_, (n_outputs,))
    return weight, bias
