"""The paper's metrics."""

from __future__ import annotations

import numpy as np
from sklearn import metrics


def classification_metrics(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return accuracy, and macro precision, recall and F1.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        True labels.
    predicted : ndarray of shape (n_samples,)
        Predicted labels.

    Returns
    -------
    dict of str to float
        "accuracy", "precision", "recall" and "f1", in [0, 1]. A ratio whose denominator is zero
        counts as 0. The published tables have precision and recall the wrong way round; here each
        has its own name.
    """
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        y, predicted, average="macro", zero_division=0
    )
    return {
        "accuracy": float(metrics.accuracy_score(y, predicted)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }


def regression_metrics(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return mean squared and mean absolute error, on the targets' own scale.

    Parameters
    ----------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        True targets.
    predicted : ndarray of the same shape
        Predicted targets.

    Returns
    -------
    dict of str to float
        "mse" and "mae".
    """
    return {
        "mse": float(metrics.mean_squared_error(y, predicted)),
        "mae": float(metrics.mean_absolute_error(y, predicted)),
    }
