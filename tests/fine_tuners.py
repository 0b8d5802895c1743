"""Classifiers and regressors that fine-tune a narrow embedder in a moment, and series for them."""

from __future__ import annotations

import numpy as np
from quick import oscillations, quick

from fei_sklearn import FEIClassifier, FEIRegressor

X, FREQUENCY = oscillations(40)
LABELS = np.where(FREQUENCY > 4, "fast", "slow")


def classifier(embedder=None, **params):
    """Return a classifier that trains for two epochs."""
    if embedder is None:
        embedder = quick()
    return FEIClassifier(embedder, **({"max_epochs": 2, "random_state": 0} | params))


def regressor(embedder=None, **params):
    """Return a regressor that trains for two epochs."""
    if embedder is None:
        embedder = quick()
    return FEIRegressor(embedder, **({"max_epochs": 2, "random_state": 0} | params))
