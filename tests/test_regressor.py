"""FEIRegressor: targets of one and several outputs."""

from __future__ import annotations

import numpy as np
import pytest
from fine_tuners import FREQUENCY, X, regressor
from quick import quick
from sklearn.frozen import FrozenEstimator

from fei_sklearn._regressor import TargetScaling


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


@pytest.mark.parametrize("unit", [1e200, 1e155, 1e-170, 1e-200, 2.0**-900])
def test_the_unit_of_the_targets_does_not_matter(frozen, unit):
    expected = regressor(frozen).fit(X, FREQUENCY).predict(X)
    predicted = regressor(frozen).fit(X, unit * FREQUENCY).predict(X)
    np.testing.assert_allclose(predicted / unit, expected, rtol=1e-10)


def test_targets_of_very_different_units(frozen):
    y = np.column_stack([1e200 * FREQUENCY, 1e-200 * FREQUENCY])
    predicted = regressor(frozen, max_epochs=0).fit(X, y).predict(X)
    np.testing.assert_allclose(predicted[:, 0] / 1e200, predicted[:, 1] / 1e-200, rtol=1e-5)


@pytest.mark.parametrize("unit", [1e305, 1e-305])
def test_targets_at_the_ends_of_float64_are_refused(frozen, unit):
    with pytest.raises(ValueError, match="give y in another unit"):
        regressor(frozen).fit(X, unit * FREQUENCY)


def test_weighted_targets_are_standardised_like_repeated_ones():
    times = np.arange(40) % 3
    y = FREQUENCY[:, np.newaxis] + np.arange(40)[:, np.newaxis]
    weighted = TargetScaling.fit(y, times.astype(float))
    repeated = TargetScaling.fit(np.repeat(y, times, axis=0), None)
    np.testing.assert_allclose(weighted.mean, repeated.mean)
    np.testing.assert_allclose(weighted.std, repeated.std)
