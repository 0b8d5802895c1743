"""Ridge heads: equality with scikit-learn's ridge regression, and heads in older pickles."""

from __future__ import annotations

import numpy as np
import pytest
from quick import walks
from sklearn.linear_model import Ridge

from fei_sklearn.adapters import forecasting
from fei_sklearn.adapters._head_design import HeadDesign
from fei_sklearn.adapters._ridge_head import ALPHAS, RidgeHead
from fei_sklearn.adapters._window_table import WindowTable


def test_a_head_is_ridge_regression():
    windows = walks(40, 1, 12)
    future = windows[:, :, -1:] + walks(40, 1, 3, seed=1)
    table = WindowTable(windows, walks(40, 1, 5, seed=2)[:, 0], np.array([1, 2, 3]), 0.1)
    head = RidgeHead(HeadDesign("first", 1, None, 1.0)).fit(table, future)
    scale = windows[:, 0].std(axis=1, keepdims=True)
    blocks = [(windows[:, 0, :-1] - windows[:, 0, -1:]) / scale, table.embeddings]
    blocks = [b - b.mean(axis=0) for b in blocks]
    design = np.hstack([b / np.sqrt((b**2).mean(axis=0).sum()) for b in blocks])
    target = (future[:, 0] - windows[:, 0, -1:]) / scale
    for alpha, forecast in zip(ALPHAS, head.forecasts(table, None), strict=True):
        ridge = Ridge(alpha * len(target), fit_intercept=False).fit(design, target)
        expected = windows[:, 0, -1:] + scale * ridge.predict(design)
        np.testing.assert_allclose(forecast, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n_lags", [0, None])
def test_more_features_than_windows_give_the_same_ridge_regression(weight, n_lags):
    if weight == 0 and n_lags == 0:
        pytest.skip("no features")
    windows = walks(40, 1, 12)
    future = windows[:, :, -1:] + walks(40, 1, 3, seed=1)
    embeddings = 5 + walks(40, 1, 300, seed=2)[:, 0]
    table = WindowTable(windows, embeddings, np.array([1, 2, 3]), 0.1)
    head = RidgeHead(HeadDesign("first", 1, n_lags, weight)).fit(table, future)
    scale = windows[:, 0].std(axis=1, keepdims=True)
    lags = (windows[:, 0, :-1] - windows[:, 0, -1:]) / scale
    features = []
    if n_lags is None:
        features.append(standardized(lags))
    features.append(weight * standardized(embeddings))
    target = (future[:, 0] - windows[:, 0, -1:]) / scale
    for alpha, forecast in zip(ALPHAS, head.forecasts(table, None), strict=True):
        ridge = Ridge(alpha * len(target), fit_intercept=False, solver="svd")
        ridge.fit(np.hstack(features), target)
        expected = windows[:, 0, -1:] + scale * ridge.predict(np.hstack(features))
        np.testing.assert_allclose(forecast, expected, rtol=1e-6, atol=1e-8)


def standardized(values):
    """Return features centred and with a total variance of 1."""
    centred = values - values.mean(axis=0)
    return centred / np.sqrt((centred**2).mean(axis=0).sum())


def test_a_head_of_lags_alone_that_was_pickled_with_embeddings_forecasts():
    windows = walks(40, 1, 12)
    future = windows[:, :, -1:] + walks(40, 1, 3, seed=1)
    table = WindowTable(windows, walks(40, 1, 5, seed=2)[:, 0], np.array([1, 2, 3]), 0.1)
    head = RidgeHead(HeadDesign("first", 1, None, 0.0)).fit(table, future)
    expected = head.forecasts(table, None)
    head.standardizations.append((table.embeddings.mean(axis=0), 0.0))
    no_coefficients = np.zeros((len(ALPHAS), 5, 3))
    head.coefficients = np.concatenate([head.coefficients, no_coefficients], axis=1)
    np.testing.assert_allclose(head.forecasts(table, None), expected)


def test_state_of_a_head_pickled_under_its_former_names():
    head = forecasting._Head.__new__(forecasting._Head)
    former = {"recipe": 1, "blocks": 2, "spread": 3, "freedom": 4, "slope": 5}
    head.__setstate__(former)
    assert vars(head) == {
        "design": 1,
        "standardizations": 2,
        "residual_std": 3,
        "degrees_of_freedom": 4,
        "slope": 5,
    }
    assert forecasting._Recipe is HeadDesign
