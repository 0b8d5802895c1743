"""Ridge regression: scikit-learn's solution, for any shape and weights, in little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import sklearn.linear_model

from fei_sklearn._bridge.ridge import (
    DualRidge,
    PrimalRidge,
    StandardisedFeatures,
    ridge,
)

SHAPES = {"dual": (30, 700), "primal": (700, 30)}


def sample(n_samples, n_features):
    """Return float32 features, targets of two outputs, and weights."""
    rng = np.random.default_rng(0)
    features = rng.normal(3.0, 2.0, (n_samples, n_features)).astype(np.float32)
    targets = features[:, :2] + rng.normal(size=(n_samples, 2))
    return features, targets, rng.uniform(0.1, 5.0, n_samples)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equal_to_scikit_learns_on_a_subset_of_the_samples(shape):
    features, targets, weights = sample(*shape)
    standardised = StandardisedFeatures.fit(features, np.arange(len(features)))
    as_float64 = features.astype(np.float64)
    Z = (as_float64 - as_float64.mean(axis=0)) / as_float64.std(axis=0)
    fitted = np.arange(len(Z))[::3]
    others = np.setdiff1d(np.arange(len(Z)), fitted)
    expected = sklearn.linear_model.Ridge(alpha=4.0)
    expected.fit(Z[fitted], targets[fitted], sample_weight=weights[fitted])
    model = ridge(standardised, 4.0).fit(fitted, targets[fitted], weights[fitted])
    weight, bias = model.weight_and_bias()
    np.testing.assert_allclose(weight, expected.coef_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(bias, expected.intercept_, rtol=1e-9)
    np.testing.assert_allclose(model.predict(others), expected.predict(Z[others]), atol=1e-8)


@pytest.mark.parametrize(("shape", "form"), [("dual", DualRidge), ("primal", PrimalRidge)])
def test_the_smaller_system_is_solved(shape, form):
    features, _, _ = sample(*SHAPES[shape])
    standardised = StandardisedFeatures.fit(features, np.arange(len(features)))
    assert type(ridge(standardised, 1.0)) is form


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_samples_of_weight_zero_are_absent(shape):
    features, targets, weights = sample(*shape)
    weights[::4] = 0.0
    kept = np.flatnonzero(weights)
    standardised = StandardisedFeatures.fit(features, np.arange(len(features)), weights)
    without = StandardisedFeatures.fit(features, kept, weights[kept])
    np.testing.assert_allclose(standardised.centre, without.centre)
    np.testing.assert_allclose(standardised.scale, without.scale)
    everybody = np.arange(len(features))
    given = ridge(standardised, 4.0).fit(everybody, targets, weights)
    fewer = ridge(without, 4.0).fit(np.arange(len(kept)), targets[kept], weights[kept])
    np.testing.assert_allclose(given.weight_and_bias()[0], fewer.weight_and_bias()[0], atol=1e-9)


def test_weighted_statistics_are_those_of_repeated_samples():
    features, _, _ = sample(20, 600)
    times = np.arange(20) % 3
    weighted = StandardisedFeatures.fit(features, np.arange(20), times.astype(float))
    repeated = StandardisedFeatures.fit(features, np.repeat(np.arange(20), times))
    np.testing.assert_allclose(weighted.centre, repeated.centre)
    np.testing.assert_allclose(weighted.scale, repeated.scale)


@pytest.mark.parametrize("weights", [None, np.arange(20) % 3])
def test_one_scale_keeps_the_proportions_of_the_features(weights):
    features, _, _ = sample(20, 600)
    features[:, 0] *= 100
    rows = np.arange(20)
    of_each = StandardisedFeatures.fit(features, rows, weights)
    of_all = StandardisedFeatures.fit(features, rows, weights, one_scale=True)
    expected = (features - of_all.centre) / np.sqrt(np.mean(of_each.scale**2))
    np.testing.assert_allclose(of_all.centre, of_each.centre)
    np.testing.assert_allclose(of_all.samples(rows), expected)


def test_one_scale_of_constant_features_is_1():
    features = np.full((9, 4), 2.5)
    standardised = StandardisedFeatures.fit(features, np.arange(9), one_scale=True)
    np.testing.assert_array_equal(standardised.scale, np.ones(4))


def test_a_constant_feature_has_no_weight():
    features, targets, weights = sample(*SHAPES["dual"])
    features[:, 5] = 2.5
    standardised = StandardisedFeatures.fit(features, np.arange(len(features)))
    model = ridge(standardised, 4.0).fit(np.arange(len(features)), targets, weights)
    assert (model.weight_and_bias()[0][:, 5] == 0).all()


@pytest.mark.parametrize("shape", [(200, 40_000), (40_000, 200)], ids=SHAPES)
def test_no_copy_of_the_features_is_made(shape):
    features, targets, weights = sample(*shape)
    everybody = np.arange(len(features))
    tracemalloc.start()
    try:
        standardised = StandardisedFeatures.fit(features, everybody)
        ridge(standardised, 4.0).fit(everybody, targets, weights).weight_and_bias()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < features.nbytes / 2
