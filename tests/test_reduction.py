"""sktime's reduction to tables with an embedder in the regressor, under its four strategies."""

from __future__ import annotations

import numpy as np
import pytest
from quick import quick
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytest.importorskip("sktime")
from sktime.datasets import load_airline
from sktime.forecasting.compose import make_reduction
from sktime.forecasting.model_selection import ForecastingGridSearchCV
from sktime.split import ExpandingWindowSplitter

LENGTH, HORIZON = 24, [1, 2, 3]


def regressor():
    return make_pipeline(quick(n_jobs=1), StandardScaler(), Ridge())


def reduced(strategy):
    return make_reduction(
        regressor(), window_length=LENGTH, strategy=strategy, scitype="tabular-regressor"
    )


@pytest.mark.parametrize("strategy", ["recursive", "direct", "multioutput", "dirrec"])
def test_every_strategy_forecasts(strategy):
    y = load_airline()[:72]
    forecast = reduced(strategy).fit(y, fh=HORIZON).predict()
    assert len(forecast) == 3 and np.isfinite(forecast).all()
    assert list(forecast.index) == [y.index[-1] + step for step in HORIZON]
    assert forecast.nunique() == 3


def test_direct_is_a_regressor_of_windows_for_each_step():
    """The same forecasts by hand: a window's embedding regressed on what is `step` ahead of it."""
    y = load_airline()[:72]
    values = y.to_numpy()
    forecast = reduced("direct").fit(y, fh=HORIZON).predict().to_numpy()
    windows = np.lib.stride_tricks.sliding_window_view(values, LENGTH)
    for step, expected in zip(HORIZON, forecast, strict=True):
        # sktime gives every step the windows that the furthest one has a target for
        n = len(values) - LENGTH - max(HORIZON) + 1
        target = values[LENGTH + step - 1 :][:n]
        by_hand = regressor().fit(windows[:n], target).predict(windows[-1:])
        np.testing.assert_allclose(by_hand, expected, rtol=1e-6)


def test_a_search_over_mask_ratios():
    y = load_airline()[:72]
    search = ForecastingGridSearchCV(
        reduced("recursive"),
        cv=ExpandingWindowSplitter(fh=HORIZON, initial_window=60, step_length=6),
        param_grid={"estimator__feiembedder__mask_ratio": [0.3, 0.7]},
    )
    search.fit(y, fh=HORIZON)
    assert search.best_params_["estimator__feiembedder__mask_ratio"] in (0.3, 0.7)
    assert np.isfinite(search.predict()).all()
