"""FEIRegressor: targets of one and several outputs."""

from __future__ import annotations

import numpy as np
import pytest
from fine_tuners import FREQUENCY, X, regressor
from quick import quick
from sklearn.frozen import FrozenEstimator


@pytest.fixture(scope="module")
def frozen():
    return FrozenEstimator(quick().fit(X))


def test_targets_of_one_and_two_dimensions(frozen):
    both = np.column_stack([FREQUENCY, 1e3 - FREQUENCY])
    model = regressor(frozen).fit(X, both)
    assert model.predict(X).shape == (40, 2)
    assert model.score(X, both) > 0.8
    single = regressor(frozen).fit(X, FREQUENCY)
    assert single.predict(X).shape == (40,)
    assert single.score(X, FREQUENCY) > 0.8


def test_a_constant_target_is_predicted(frozen):
    np.testing.assert_allclose(regressor(frozen).fit(X, np.full(40, 7.0)).predict(X), 7.0)


def test_nan_targets_are_refused(frozen):
    with pytest.raises(ValueError, match="NaN"):
        regressor(frozen).fit(X, np.where(np.arange(40) == 3, np.nan, 1.0))
