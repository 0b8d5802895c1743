"""Metrics of classification and regression."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from fei_sklearn.evaluation.choices import METRICS
from fei_sklearn.evaluation.metrics import classification_metrics, regression_metrics


def test_classification_metrics_by_hand():
    y = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0])
    # class 0: 2 of 3 predicted, 2 of 3 true; class 1: 2 of 3, 2 of 2; class 2: never predicted
    expected = {
        "accuracy": 4 / 6,
        "precision": (2 / 3 + 2 / 3 + 0) / 3,
        "recall": (2 / 3 + 1) / 3,
        "f1": (2 / 3 + 0.8 + 0) / 3,
    }
    measured = classification_metrics(y, predicted)
    assert measured == pytest.approx(expected)
    assert measured["f1"] == pytest.approx(metrics.f1_score(y, predicted, average="macro"))
    assert tuple(measured) == METRICS["classification"]


def test_regression_metrics_by_hand():
    y = np.array([0.0, 1.0, 3.0])
    predicted = np.array([0.0, 2.0, 1.0])
    measured = regression_metrics(y, predicted)
    assert measured == pytest.approx({"mse": 5 / 3, "mae": 1.0})
    assert tuple(measured) == METRICS["regression"]
