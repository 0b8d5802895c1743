"""Relevance finds the stretch in which a pattern was planted."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn.displays import RelevanceDisplay
from fei_sklearn.displays.relevance import relevance_of

N_TIMEPOINTS = 128
PLANTED = slice(70, 90)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def planted():
    """Noise, in every second series of which a burst is planted."""
    rng = np.random.default_rng(0)
    X = 0.3 * rng.normal(size=(60, 1, N_TIMEPOINTS))
    y = np.arange(60) % 2
    X[y == 1, 0, PLANTED] += 3 * np.sin(np.arange(20))
    return X, np.where(y, "burst", "calm")


class Mean:
    """Regressor whose output is the mean of one stretch of the first channel."""

    def predict(self, X):
        return X[:, 0, 40:60].mean(axis=1)


def test_relevance_is_the_fall_of_the_output():
    series = np.zeros((1, 100))
    series[0, 40:60] = np.sin(np.pi * np.arange(20) / 19)
    relevance = relevance_of(Mean(), series, window=10)
    assert relevance[45:55].min() > 0
    np.testing.assert_allclose(relevance[:20], 0, atol=1e-12)
    np.testing.assert_allclose(relevance[80:], 0, atol=1e-12)


class Steady:
    """Classifier without a decision function."""

    classes_ = np.array(["burst", "calm"])

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_a_classifier_without_a_decision_function_shows_its_probability():
    display = RelevanceDisplay.from_estimator(Steady(), np.zeros((1, 50)), target="burst")
    np.testing.assert_array_equal(display.relevance, 0)
    label = display.axes_[1].get_ylabel()
    assert label == "relevance for class burst:\nfall of probability"


@pytest.mark.parametrize("head", [RidgeClassifier(10.0), LogisticRegression(C=0.01)])
def test_the_planted_stretch_comes_out_on_top(planted, head):
    X, y = planted
    model = make_pipeline(FEIEmbedder(pretrained="default"), StandardScaler(), head).fit(X, y)
    for row in (1, 3, 5):
        display = RelevanceDisplay.from_estimator(model, X[row], target="burst")
        assert 65 <= display.relevance.argmax() < 95
        opposite = RelevanceDisplay.from_estimator(model, X[row], target="calm")
        np.testing.assert_allclose(opposite.relevance, -display.relevance, rtol=1e-4, atol=1e-6)


def test_the_picture(planted):
    X, y = planted
    model = make_pipeline(FEIEmbedder(pretrained="default"), RidgeClassifier(10.0)).fit(X, y)
    display = RelevanceDisplay.from_estimator(model, X[1, 0])
    above, below = display.axes_
    np.testing.assert_array_equal(above.lines[0].get_ydata(), X[1, 0])
    assert below.get_ylabel() == "relevance for class burst:\nfall of decision function"
    low, high = below.get_ylim()
    assert low <= display.relevance.min()
    assert high >= display.relevance.max()


def test_a_regressor_and_several_channels(planted):
    X, y = planted
    X = np.concatenate([X, X[:, :, ::-1]], axis=1)
    model = make_pipeline(FEIEmbedder(pretrained="default"), Ridge(1e3)).fit(X, y == "burst")
    display = RelevanceDisplay.from_estimator(model, X[1])
    assert display.relevance.shape == (N_TIMEPOINTS,)
    assert display.axes_[1].get_ylabel() == "relevance for output:\nfall of prediction"
    assert len(display.axes_[0].lines) == 2


class TwoOutputs:
    """Regressor of two targets."""

    def predict(self, X):
        return X[:, 0, :2]


def test_what_is_wrong_is_named(planted):
    X, y = planted
    with pytest.raises(
        ValueError, match="The model has 2 outputs, and relevance needs a single one"
    ):
        RelevanceDisplay.from_estimator(TwoOutputs(), X[0])
    model = make_pipeline(FEIEmbedder(pretrained="default"), RidgeClassifier()).fit(X, y)
    with pytest.raises(ValueError, match=r"window must be from 3 to the 128 time points.*got 129"):
        RelevanceDisplay.from_estimator(model, X[0], window=129)
    with pytest.raises(ValueError, match=r"target must be one of the classes .* got 'storm'"):
        RelevanceDisplay.from_estimator(model, X[0], target="storm")
    with pytest.raises(ValueError, match=r"series must have the shape .* such as X.0."):
        RelevanceDisplay.from_estimator(model, X)


def test_a_model_of_2d_panels_is_asked_in_2d(planted):
    X, y = planted
    flat = X[:, 0]
    model = make_pipeline(StandardScaler(), RidgeClassifier()).fit(flat, y)
    of_panels = make_pipeline(FEIEmbedder(pretrained="default", pooling="small"), RidgeClassifier())
    for fitted in (model, of_panels.fit(flat, y)):
        for series in (flat[1], X[1]):
            display = RelevanceDisplay.from_estimator(fitted, series)
            assert display.title == "class burst"
            assert display.relevance.shape == (N_TIMEPOINTS,)
