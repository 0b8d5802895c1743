from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from quick import quick, run_python, walks
from sklearn.frozen import FrozenEstimator
from sktime.datasets import load_airline, load_longley
from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks

from fei_sklearn import FEIEmbedder
from fei_sklearn.adapters._head_search import time_folds
from fei_sklearn.adapters.forecasting import FEIForecaster

#: Embeds without training, for tests of everything else.
UNTRAINED = FrozenEstimator(quick(max_epochs=0).fit(walks(n_channels=1)))


def test_a_forecaster_remembers_its_data_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forecaster = FEIForecaster()
    assert forecaster.clone().get_config()["remember_data"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # sktime's own, of horizons before the cutoff and the like
@parametrize_with_checks([FEIForecaster])
def test_sktime_checks(obj, test_name):
    check_estimator(obj, tests_to_run=test_name, raise_exceptions=True, verbose=False)


def series(n=60, seed=0):
    return pd.Series(
        walks(1, 1, n, seed)[0, 0], index=pd.period_range("2000-01", periods=n, freq="M")
    )


@pytest.mark.parametrize("difference", ["first", "seasonal", "both", "none"])
def test_level_and_unit_pass_through(difference):
    y = series()
    forecaster = FEIForecaster(UNTRAINED, sp=4, difference=difference)
    forecast = forecaster.fit(y, fh=[1, 2, 9]).predict()
    moved = forecaster.fit(1000 + 8 * y, fh=[1, 2, 9]).predict()
    np.testing.assert_allclose(moved, 1000 + 8 * forecast, rtol=1e-5)


def test_exogenous_values_ahead_are_used():
    x = series(seed=3)
    y = 5 + 3 * x
    X = x.to_frame("x")
    forecaster = FEIForecaster(UNTRAINED).fit(y[:-4], X[:-4], fh=[1, 2, 3, 4])
    np.testing.assert_allclose(forecaster.predict(X=X[-4:]), y[-4:], rtol=0.02, atol=0.1)
    with pytest.raises(ValueError, match=r"X lacks 4 of the 4 time points to forecast, such as "):
        forecaster.predict()


def test_the_encoder_may_see_all_channels_at_once():
    y, X = series(), series(seed=1).to_frame("x")
    forecaster = FEIForecaster(quick(channels="mix"), random_state=0)
    assert forecaster.fit(y, X, fh=[1]).embedder_.n_channels_in_ == 2


def test_update_refits_the_head_alone():
    y = series()
    forecaster = FEIForecaster(quick(), random_state=0).fit(y[:-10], fh=[1, 2])
    before, embedder = forecaster._head, forecaster.embedder_
    forecaster.update(y[-10:-5], update_params=False)
    assert forecaster._head is before
    forecaster.update(y[-5:])
    assert forecaster.embedder_ is embedder
    fresh = FEIForecaster(FrozenEstimator(embedder), window_length=forecaster.window_length_)
    np.testing.assert_allclose(fresh.fit(y, fh=[1, 2]).predict(), forecaster.predict())


def test_fit_keeps_pretrained_weights():
    long = pd.concat({name: series(40, seed).to_frame("y") for seed, name in enumerate("abc")})
    forecaster = FEIForecaster(quick(), window_length=10, random_state=0).pretrain(long)
    weights = forecaster.pretrained_embedder_.weights_
    y, X = series(seed=9), series(seed=8).to_frame("x")
    for exogenous in (None, X):
        assert forecaster.fit(y, exogenous, fh=[1, 2]).embedder_.weights_ is weights
    assert forecaster.window_length_ == 10


def test_a_frozen_embedder_is_used_as_it_is():
    forecaster = FEIForecaster(UNTRAINED, random_state=3).fit(series(), fh=[1])
    assert forecaster.embedder_.estimator.weights_ is UNTRAINED.estimator.weights_


def test_intervals_are_nested_around_the_forecast():
    forecaster = FEIForecaster(UNTRAINED, sp=12).fit(load_airline(), fh=range(1, 13))
    quantiles = forecaster.predict_quantiles(alpha=[0.05, 0.25, 0.5, 0.75, 0.95]).to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    np.testing.assert_allclose(quantiles[:, 2], forecaster.predict())


def test_spread_is_that_of_out_of_fold_residuals():
    y = series(80)
    forecaster = FEIForecaster(UNTRAINED, window_length=8, difference="first").fit(y, fh=[1, 3])
    windows = np.lib.stride_tricks.sliding_window_view(y.to_numpy(), 8)
    table_rows = 80 - 8 - 3 + 1
    tested = np.concatenate([test for _, test in time_folds(table_rows, 3)])
    naive = y.to_numpy()[tested[:, np.newaxis] + 7 + np.array([1, 3])] - windows[tested, -1:]
    naive = np.sqrt(((naive / windows[tested].std(axis=1, keepdims=True)) ** 2).mean(axis=0))
    np.testing.assert_allclose(
        forecaster._head.residual_std, naive, rtol=0.3
    )  # a walk: naive is best


@pytest.mark.parametrize("exogenous", [False, True])
def test_sixteen_years_are_enough(exogenous):
    y, X = load_longley()
    X = X if exogenous else None
    forecaster = FEIForecaster(UNTRAINED).fit(y[:-4], None if X is None else X[:-4], fh=range(1, 5))
    forecast = forecaster.predict(X=None if X is None else X[-4:])
    np.testing.assert_allclose(forecast, y[-4:], rtol=0.1)
    assert np.isfinite(forecaster.predict_interval(X=None if X is None else X[-4:])).all(axis=None)


def test_seasons_longer_than_the_window_are_left_out():
    forecaster = FEIForecaster(UNTRAINED, sp=12).fit(series(20), fh=[1, 2])
    assert forecaster.difference_ in ("first", "none")


def test_windows_are_long_enough_for_a_named_difference():
    forecaster = FEIForecaster(UNTRAINED, sp=12, difference="both").fit(series(20), fh=[1, 2])
    assert forecaster.difference_ == "both"
    assert forecaster.window_length_ == 14
    sentence = "difference='seasonal' with sp=12 needs windows of at least 13 .* but they have "
    for params, n in [({}, 14), ({"window_length": 6}, 60)]:
        forecaster = FEIForecaster(UNTRAINED, sp=12, difference="seasonal", **params)
        with pytest.raises(ValueError, match=sentence):
            forecaster.fit(series(n), fh=[1, 2])


# Exogenous variables by name


@pytest.fixture
def exogenous():
    """A series, and two exogenous variables that it depends on."""
    X = pd.concat({"u": series(seed=1), "v": series(seed=2)}, axis=1)
    return series() + 3 * X["u"] - X["v"], X


@pytest.mark.parametrize("embedder", [UNTRAINED, quick(channels="mix")], ids=["each", "mix"])
def test_exogenous_variables_are_taken_by_name(exogenous, embedder):
    y, X = exogenous
    swapped = X[["v", "u"]]
    forecaster = FEIForecaster(embedder, random_state=0).fit(y[:-8], X[:-8], fh=[1, 2, 3, 4])
    forecaster.update(y[-8:-4], X[-8:-4])
    expected = forecaster.predict(X=X[-4:])
    interval = forecaster.predict_interval(X=X[-4:])
    pd.testing.assert_series_equal(forecaster.predict(X=swapped[-4:]), expected)
    pd.testing.assert_frame_equal(forecaster.predict_interval(X=swapped[-4:]), interval)
    other = FEIForecaster(embedder, random_state=0).fit(y[:-8], X[:-8], fh=[1, 2, 3, 4])
    other.update(y[-8:-4], swapped[-8:-4])
    pd.testing.assert_series_equal(other.predict(X=swapped[-4:]), expected)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (lambda X: X.rename(columns={"v": "w"}), r"X lacks \['v'\], .* and has \['w'\]"),
        (lambda X: X[["u"]], r"X lacks \['v'\]"),
        (lambda X: X.assign(w=1.0), r"X has \['w'\]"),
    ],
    ids=["renamed", "one less", "one more"],
)
def test_other_exogenous_variables_are_named(exogenous, given, sentence):
    y, X = exogenous
    forecaster = FEIForecaster(UNTRAINED).fit(y[:-8], X[:-8], fh=[1, 2])
    with pytest.raises(ValueError, match=f"^{sentence}"):
        forecaster.predict(X=given(X))
    for update_params in (True, False):
        with pytest.raises(ValueError, match=f"^{sentence}"):
            forecaster.update(y[-8:-4], given(X[-8:-4]), update_params=update_params)


def test_an_update_needs_the_exogenous_variables_and_is_left_undone_without(exogenous):
    y, X = exogenous
    forecaster = FEIForecaster(UNTRAINED).fit(y[:-8], X[:-8], fh=[1, 2])
    before = forecaster.predict(X=X)
    with pytest.raises(ValueError, match=r"^X is missing, .* give update the columns \['u', 'v'\]"):
        forecaster.update(y[-8:-4])
    with pytest.raises(ValueError, match=r"not contained .* extra indices"):
        forecaster.update(y[-8:-4], X[-8:-6])
    pd.testing.assert_series_equal(forecaster.predict(X=X), before)
    forecaster.update(y[-8:-4], X[-8:-4])
    fresh = FEIForecaster(UNTRAINED, window_length=forecaster.window_length_)
    fresh.fit(y[:-4], X[:-4], fh=[1, 2])
    np.testing.assert_allclose(forecaster.predict(X=X), fresh.predict(X=X))


def test_exogenous_variables_that_fit_did_not_see_are_refused(exogenous):
    y, X = exogenous
    forecaster = FEIForecaster(UNTRAINED).fit(y[:-8], fh=[1, 2])
    sentence = r"^X has the columns \['u', 'v'\], but the forecaster was fitted without X"
    with pytest.raises(ValueError, match=sentence):
        forecaster.predict(X=X)
    with pytest.raises(ValueError, match=sentence):
        forecaster.update(y[-8:-4], X[-8:-4])


def test_infinite_values_and_gaps_are_refused_before_anything_is_stored(exogenous):
    y, X = exogenous
    infinite = X.copy()
    infinite.iloc[-3, 1] = np.inf
    forecaster = FEIForecaster(UNTRAINED)
    with pytest.raises(ValueError, match=r"^X holds inf in column 'v' at 2004-10"):
        forecaster.fit(y, infinite, fh=[1])
    with pytest.raises(ValueError, match=r"^y holds inf at 2004-10"):
        forecaster.fit(infinite["v"], fh=[1])
    with pytest.raises(ValueError, match=r"^y has no value between 2000-10 and 2001-04"):
        forecaster.fit(y.drop(y.index[10:15]), fh=[1])
    forecaster.fit(y[:-8], X[:-8], fh=[1, 2, 6])
    before = forecaster.predict(X=X)
    with pytest.raises(ValueError, match=r"^X holds inf in column 'v'"):
        forecaster.predict(X=infinite)
    with pytest.raises(ValueError, match=r"^y has no value between 2004-04 and 2004-09"):
        forecaster.update(y[-4:], X[-4:])
    pd.testing.assert_series_equal(forecaster.predict(X=X), before)


# Embedders


def test_a_fitted_embedder_is_trained_anew_with_a_warning():
    with pytest.warns(UserWarning, match="fitted already and is pretrained again"):
        FEIForecaster(quick().fit(walks(n_channels=1))).fit(series(), fh=[1])


def test_the_name_of_a_checkpoint_is_an_embedder():
    forecaster = FEIForecaster("fei-tiny", random_state=0).fit(series(), fh=[1])
    expected = FEIEmbedder.from_pretrained("fei-tiny").weights_
    weights = forecaster.embedder_.weights_
    assert set(weights) >= set(expected)
    assert forecaster.clone().embedder == "fei-tiny"
    with pytest.raises(TypeError, match=r"^embedder must be an FEIEmbedder, .* got 3\."):
        FEIForecaster(3).fit(series(), fh=[1])


def test_a_frozen_embedder_of_other_channels_is_refused(exogenous):
    y, X = exogenous
    for channels, n_fitted in [("mix", 2), ("independent", 3)]:
        fitted = quick(max_epochs=0, channels=channels).fit(walks(n_channels=n_fitted))
        with pytest.raises(ValueError, match=f"^embedder was fitted on {n_fitted} channels, but"):
            FEIForecaster(FrozenEstimator(fitted)).fit(y, X, fh=[1])


@pytest.mark.parametrize(
    ("params", "n", "message"),
    [
        ({}, 6, "y has 6 time points, too few for a horizon of 4: give at least 8, or shorten fh"),
        ({"window_length": 30}, 20, 'give at most 14, or "auto"'),
        ({"window_length": 1}, 20, "window_length must be .* at least 2, got 1"),
        ({"sp": 0}, 20, "sp must be an integer of at least 1, got 0"),
        ({"lags": -1}, 20, "lags must be .* at least 0, got -1"),
        ({"difference": "second"}, 20, "difference must be 'auto' or one of .*, got 'second'"),
    ],
)
def test_bad_input(params, n, message):
    with pytest.raises(ValueError, match=message):
        FEIForecaster(UNTRAINED, **params).fit(series(n), fh=[1, 4])


def test_the_same_seed_gives_the_same_forecasts():
    forecaster = FEIForecaster(quick(random_state=None), random_state=5)
    first, second = (forecaster.clone().fit(series(), fh=[1, 2]).predict() for _ in range(2))
    pd.testing.assert_series_equal(first, second)


def test_none_is_the_default_checkpoint():
    forecaster = FEIForecaster().fit(series(), fh=[1])
    expected = FEIEmbedder.from_pretrained().weights_
    weights = forecaster.embedder_.weights_
    # the thresholds of the readout are the panel's
    encoder = [name for name in expected if not name.startswith("biases.")]
    assert len(encoder) > 10
    assert all(np.array_equal(weights[name], expected[name]) for name in encoder)


def test_import_does_not_open_the_door_to_torch():  # sktime may have it loaded for its own sake
    modules = "{'fei_sklearn._bridge.pretraining', 'fei_sklearn.encoder.resnet'}"
    code = f"import sys, fei_sklearn.adapters.forecasting; print({modules} & set(sys.modules))"
    assert run_python(code).strip().endswith("set()")
