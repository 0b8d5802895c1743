"""The head that fine-tuning starts from: fitted by scikit-learn on the embeddings, or zero."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from fei_sklearn._supervised import Head

#: Inverse penalty of the logistic regression.
INVERSE_PENALTY = 0.1

#: Weights, bias and penalty.
Fit = tuple[np.ndarray, np.ndarray, float]


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
        The head, with the features' own mean and standard deviation. Fitted, it brings the penalty
        under which it was: without that, thousands of features would go on to fit the training
        series whatever the penalty and the class weights had said.
    """
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-6 * np.abs(centre).max(), scale, 1.0)
    n_outputs = y.shape[1] if y.ndim == 2 else int(y.max()) + 1
    if not warm:
        weight, bias = np.zeros((n_outputs, features.shape[1])), np.zeros(n_outputs)
        return Head(centre, scale, weight, bias)
    standardised = (features - centre) / scale
    fit = _ridge(standardised, y) if y.ndim == 2 else _logistic(standardised, y, class_weight)
    return Head(centre, scale, *fit)


def _logistic(features: np.ndarray, y: np.ndarray, class_weight: np.ndarray | None) -> Fit:
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
    penalty = 0.5 / (INVERSE_PENALTY * (counts * weights).sum())
    if len(weight) == 1:  # one logit for two classes, whose two halves have half of its square
        weight, bias = np.vstack([-weight, weight]) / 2, np.hstack([-bias, bias]) / 2
        penalty *= 2
    return weight, bias, penalty


def _shares(weights: np.ndarray, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and intercept of a model that predicts the classes' shares."""
    logits = np.log(np.maximum(weights, np.finfo(np.float64).tiny))
    bias = logits[1:] - logits[:1] if len(logits) == 2 else logits - logits.mean()
    return np.zeros((len(bias), n_features)), bias


def _ridge(features: np.ndarray, y: np.ndarray) -> Fit:
    # as much shrinkage as there are features to a series keeps a wide readout in check
    model = Ridge(alpha=features.shape[1] / 10).fit(features, y)
    weight = model.coef_.reshape(y.shape[1], -1)
    return weight, np.broadcast_to(model.intercept_, y.shape[1:]), model.alpha / y.size
