"""Ridge heads: known values, equality with scikit-learn's ridge regression, and folds in time."""

from __future__ import annotations

import numpy as np
import pytest
from quick import walks
from sklearn.linear_model import Ridge

from fei_sklearn.adapters import forecasting
from fei_sklearn.adapters._ridge_head import (
    ALPHAS,
    DIFFERENCES,
    HeadDesign,
    HeadSearch,
    RidgeHead,
    WindowTable,
    time_folds,
)
from fei_sklearn.adapters._windows import MIN_WINDOWS


def reference(difference, sp, steps):
    windows = np.array([10.0, 20.0, 30.0, 11.0, 22.0, 33.0])
    design = HeadDesign(difference, sp, None, 1.0)
    return design.reference(windows, np.array(steps)).tolist()


def test_references_are_known_values():
    assert reference("none", 1, [1, 2]) == [21.0, 21.0]
    assert reference("first", 1, [1, 9]) == [33.0, 33.0]
    assert reference("seasonal", 3, [1, 2, 3, 4]) == [11.0, 22.0, 33.0, 11.0]
    assert reference("both", 3, [1, 3, 4]) == [14.0, 36.0, 17.0]


def test_lags_are_the_latest_differences():
    windows = np.array([[1.0, 2.0, 4.0, 11.0, 14.0, 20.0]])
    lags = {
        (d, n): HeadDesign(d, 3, n, 1.0).lags(windows).tolist()[0]
        for d in DIFFERENCES
        for n in (0, 2)
    }
    assert all(not values for (_, n), values in lags.items() if n == 0)
    assert lags["first", 2] == [-9.0, -6.0]
    assert lags["seasonal", 2] == [12.0, 16.0]
    assert lags["both", 2] == [-6.0, -4.0]


@pytest.mark.parametrize(("n", "horizon"), [(10, 3), (57, 1), (100, 12), (8, 4)])
def test_folds_know_nothing_of_the_future(n, horizon):
    folds = list(time_folds(n, horizon))
    for train, test in folds:
        assert len(train) >= MIN_WINDOWS
        assert train.max() + horizon <= test.min()
    tested = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(tested, np.arange(tested[0], n))


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


def test_embeddings_are_decomposed_once_per_fold(monkeypatch):
    """One embedding of the default readout has 14,496 features, and there are eight designs."""
    decomposed = []
    eigh = np.linalg.eigh

    def counted(products):
        decomposed.append(len(products))
        return eigh(products)

    monkeypatch.setattr(np.linalg, "eigh", counted)
    windows = walks(60, 1, 12)
    table = WindowTable(windows, walks(60, 1, 500, seed=2)[:, 0], np.array([1]), 0.1)
    future = windows[:, :, -1:] + walks(60, 1, 1, seed=1)
    HeadSearch(sp=4, difference="auto", lags="auto").fit(table, future)
    n_folds = len(list(time_folds(60, 1)))
    assert decomposed[0] == 60  # the rotation of all windows
    assert len(decomposed) <= 1 + n_folds + 1
    decomposed.clear()
    lags_alone = HeadSearch(sp=4, difference="auto", lags="auto", embedding_weights=(0.0,))
    head = lags_alone.fit(table, future)
    assert not decomposed
    assert len(head.standardizations) == 1


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


def test_embeddings_must_lower_the_error_by_the_margin():
    rng = np.random.default_rng(0)
    windows = walks(60, 1, 12)
    last = windows[:, :, -1:]
    signal = rng.normal(size=(60, 1, 1))
    table = WindowTable(windows, signal[:, 0], np.array([1]), 0.1)
    search = HeadSearch(sp=1, difference="first", lags="auto")
    informative = search.fit(table, last + signal * windows.std(axis=-1, keepdims=True))
    assert informative.design.embedding_weight == 1.0
    independent = search.fit(table, last + rng.normal(size=(60, 1, 1)))
    assert independent.design.embedding_weight == 0.0
