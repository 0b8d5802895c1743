"""Folds of calibration: as many as the smallest class allows, each with all classes."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.heads._folds import CalibrationFolds


@pytest.mark.parametrize(("smallest", "n_folds"), [(2, 2), (3, 3), (9, 3)])
def test_the_smallest_class_bounds_the_number(smallest, n_folds):
    y = np.repeat(["a", "b"], [10, smallest])
    X = np.zeros((len(y), 1))
    folds = list(CalibrationFolds().split(X, y))
    assert len(folds) == CalibrationFolds().get_n_splits(X, y) == n_folds
    tested = np.concatenate([test for _, test in folds])
    assert np.array_equal(np.sort(tested), np.arange(len(y)))
    for train, _ in folds:
        assert set(y[train]) == {"a", "b"}


def test_a_class_of_one_series_is_refused():
    y = np.array([0, 0, 1])
    with pytest.raises(ValueError, match="the smallest of the 2 classes has 1"):
        next(CalibrationFolds().split(np.zeros((3, 1)), y))
