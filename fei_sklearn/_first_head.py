"""The head that fine-tuning starts from: fitted by scikit-learn on the embeddings, or zero."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from fei_sklearn._supervised import Head

#: Inverse penalty of the logistic regression.
INVERSE_PENALTY = 0.1

Arrays = tuple[np.ndarray, np.ndarray]


def first_head(
    features: np.ndarray, y: np.ndarray, *, warm: bool, class_weight: np.ndarray | None = None
) -> Head:
    """A linear head on standardised features.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features), float64
        Embeddings.
    y : ndarray of shape (n_samples,), int, or (n_samples, n_outputs), floating
        Classes from 0, or standardised targets.
    warm : bool
        Fit it, by logistic or by ridge regression; else it is zero.
    class_weight : ndarray of shape (n_classes,), default=None
        Weights of the classes.

    Returns
    -------
    Head
        The head, with the features' own mean and standard deviation.
    """
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-6 * np.abs(centre).max(), scale, 1.0)
    n_outputs = y.shape[1] if y.ndim == 2 else int(y.max()) + 1
    weight, bias = np.zeros((n_outputs, features.shape[1])), np.zeros(n_outputs)
    if warm and y.ndim == 2:
        weight, bias = _ridge((features - centre) / scale, y)
    elif warm:
        weight, bias = _logistic((features - centre) / scale, y, class_weight)
    return Head(centre, scale, weight, bias)


def _logistic(features: np.ndarray, y: np.ndarray, class_weight: np.ndarray | None) -> Arrays:
    counts = np.bincount(y).astype(np.float64)
    weights = np.ones(len(counts)) if class_weight is None else class_weight
    model = LogisticRegression(
        C=INVERSE_PENALTY,
        max_iter=500,
        class_weight=dict(enumerate(weights)),
        warm_start=True,
    )
    # From the classes' shares, which the intercept says alone. From zero, thousands of features
    # take up what unequal class weights ask for, and the solver stops before the penalty has told.
    model.classes_ = np.arange(len(counts))
    model.coef_, model.intercept_ = _shares(counts * weights, features.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a head that is not quite at its optimum will do
        model.fit(features, y)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:  # one logit for two classes
        weight, bias = np.vstack([-weight, weight]) / 2, np.hstack([-bias, bias]) / 2
    return weight, bias


def _shares(weights: np.ndarray, n_features: int) -> Arrays:
    """Coefficients and intercept of a model that predicts the classes' shares."""
    logits = np.log(np.maximum(weights, np.finfo(np.float64).tiny))
    bias = logits[1:] - logits[:1] if len(logits) == 2 else logits - logits.mean()
    return np.zeros((len(bias), n_features)), bias


def _ridge(features: np.ndarray, y: np.ndarray) -> Arrays:
    # as much shrinkage as there are features to a series keeps a wide readout in check
    model = Ridge(alpha=features.shape[1] / 10).fit(features, y)
    return model.coef_.reshape(y.shape[1], -1), np.broadcast_to(model.intercept_, y.shape[1:])
