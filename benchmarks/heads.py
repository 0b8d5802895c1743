"""Ridge heads on frozen features, the same for every method that a benchmark compares."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from ucr_sets import Split

#: Candidate penalties. Thousands of standardised features of few series need up to 1e5.
PENALTIES = np.logspace(-3, 5, 17)


def ridge_classifier() -> Pipeline:
    return make_pipeline(StandardScaler(), RidgeClassifierCV(PENALTIES))


def ridge_regressor() -> Pipeline:
    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES))


def ridge_accuracy(features: Split) -> float:
    """Return the test accuracy of the ridge classifier on the features of both parts."""
    head = ridge_classifier()
    head.fit(features.X_train, features.y_train)
    return float(head.score(features.X_test, features.y_test))


def cross_validated(features: np.ndarray, y: np.ndarray, seed: int) -> float:
    """Return the cross-validated accuracy, or R2 for floating targets, of a ridge head."""
    is_regression = np.issubdtype(np.asarray(y).dtype, np.floating)
    if is_regression:
        head = ridge_regressor()
        folds = KFold(5, shuffle=True, random_state=seed)
    else:
        head = ridge_classifier()
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return cross_val_score(head, features, y, cv=folds).mean()
