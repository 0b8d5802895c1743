"""The head that fine-tuning starts from: ridge regression on the embeddings, or zero."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict

from fei_sklearn._bridge.finetuning import HeadArrays

#: Penalty of the ridge regression, per feature: on classes and on targets.
CLASS_PENALTY, TARGET_PENALTY = 0.01, 0.1

#: What times the mean squared distance from a classifier's first head joins the loss, per series.
ANCHOR = 5.0

#: Folds that tell by how much to multiply a classifier's outputs, and bounds of that. Beyond 10 a
#: head that fits would be so sure that its gradients vanish, into numbers that are slow on a CPU.
N_FOLDS, SCALES = 5, (0.1, 10.0)


def first_head(
    features: np.ndarray,
    y: np.ndarray,
    *,
    warm: bool,
    n_classes: int | None = None,
    class_weight: np.ndarray | None = None,
) -> HeadArrays:
    """A linear head on standardised features.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features), float64
        Embeddings.
    y : ndarray of shape (n_samples,), int, or (n_samples, n_outputs), floating
        Classes from 0, or standardised targets.
    warm : bool
        Fit it, by ridge regression on the targets or on class indicators; else it is zero.
    n_classes : int, default=None
        Classes there are, of which `y` may lack some; None takes those up to its greatest.
    class_weight : ndarray of shape (n_classes,), default=None
        Weights of the classes.

    Returns
    -------
    HeadArrays
        The head, with the features' own mean and standard deviation. Fitted, it brings a penalty
        that keeps it from going far: without that, thousands of features would go on to fit the
        training series whatever the ridge penalty and the class weights had said.
    """
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-6 * np.abs(centre).max(), scale, 1.0)
    standardised, n_features = (features - centre) / scale, features.shape[1]
    n_outputs = y.shape[1] if y.ndim == 2 else n_classes or int(y.max()) + 1
    if not warm:
        return HeadArrays(centre, scale, np.zeros((n_outputs, n_features)), np.zeros(n_outputs))
    if y.ndim == 2:
        weight, bias = _fitted(Ridge(alpha=TARGET_PENALTY * n_features), standardised, y)
        penalty = TARGET_PENALTY * n_features / y.size
        return HeadArrays(centre, scale, weight, bias, penalty, np.zeros_like(weight))
    weight, bias = _of_classes(standardised, y, n_outputs, class_weight)
    return HeadArrays(centre, scale, weight, bias, ANCHOR / len(y), weight)


def _of_classes(
    features: np.ndarray, y: np.ndarray, n_classes: int, class_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Logits: ridge regression on class indicators, times what makes probabilities of them."""
    weights = np.ones(len(y)) if class_weight is None else class_weight[y]
    weights = weights / weights.mean()
    indicators = np.where(y[:, None] == np.arange(n_classes), 1.0, -1.0)
    model = Ridge(alpha=CLASS_PENALTY * features.shape[1])
    scale = 1.0
    if len(y) >= 2 * N_FOLDS:
        folds = KFold(N_FOLDS, shuffle=True, random_state=0)
        outputs = cross_val_predict(
            model, features, indicators, cv=folds, params={"sample_weight": weights}
        )
        scale = _best_scale(outputs, y, weights)
    weight, bias = _fitted(model, features, indicators, weights)
    return scale * weight, scale * bias


def _best_scale(outputs: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """By what to multiply outputs for the least cross-entropy."""

    def cross_entropy(log_scale: float) -> float:
        logits = log_softmax(np.exp(log_scale) * outputs, axis=1)
        return -float(weights @ logits[np.arange(len(y)), y])

    bounds = tuple(np.log(SCALES))
    return float(np.exp(minimize_scalar(cross_entropy, bounds=bounds, method="bounded").x))


def _fitted(
    model: Ridge, features: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias, also of a single output."""
    model.fit(features, targets, sample_weight=weights)
    n_outputs = targets.shape[1]
    return model.coef_.reshape(n_outputs, -1), np.broadcast_to(model.intercept_, (n_outputs,))
