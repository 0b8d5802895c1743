"""Statistics of the compiled loops against NumPy, and projections on axes."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.readout.front_numba import write_features, write_projections

DILATIONS = np.array([1, 4])


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def maps_of(series, kernels):
    maps = []
    for of_dilation, dilation in zip(kernels, DILATIONS, strict=True):
        padded = np.pad(series, 4 * dilation)
        taps = [padded[tap * dilation :][: len(series)] for tap in range(9)]
        for kernel in of_dilation:
            total = kernel[0] * taps[0]
            for weight, tap in zip(kernel[1:], taps[1:], strict=True):
                total = total + weight * tap
            maps.append(total)
    return np.array(maps)


def expected(series, kernels, thresholds):
    maps = maps_of(series, kernels)
    above = [(maps > of_order[:, None]).mean(axis=1) for of_order in thresholds]
    groups = maps.reshape(-1, 8, len(series))
    lowest = np.minimum(groups.min(axis=1, keepdims=True), np.float32(-0.1))
    highest = np.maximum(groups.max(axis=1, keepdims=True), np.float32(0.1))
    wins = np.sqrt((groups == lowest).mean(axis=-1)).ravel()
    peaks = np.sqrt(np.where(groups == highest, groups, 0).mean(axis=-1)).ravel()
    return np.array([maps.max(axis=1), *above, wins, peaks])


@pytest.mark.parametrize("length", [1, 2, 3, 9, 15, 24, 131, 512, 5000])
def test_statistics_are_numpys(length):
    kernels = drawn(2, 16, 9)
    thresholds = drawn(4, 32, seed=1)
    series = drawn(3, length, seed=2)
    series[1, length // 3 : length // 2] = 0
    features = np.empty((3, 7, 32), np.float32)
    write_features(series, np.full(3, length), kernels, DILATIONS, thresholds, features)
    for row in range(3):
        wanted = expected(series[row], kernels, thresholds)
        assert np.array_equal(features[row, 0], wanted[0])
        np.testing.assert_allclose(features[row, 1:], wanted[1:], rtol=1e-5, atol=1e-6)


def test_padding_is_never_read():
    kernels = drawn(2, 8, 9)
    thresholds = drawn(4, 16, seed=1)
    series = drawn(2, 30, seed=2)
    features = np.empty((2, 7, 16), np.float32)
    lengths = np.array([30, 11])
    write_features(series, lengths, kernels, DILATIONS, thresholds, features)
    series[1, 11:] = np.nan
    alone = np.empty((1, 7, 16), np.float32)
    write_features(series[1:], lengths[1:], kernels, DILATIONS, thresholds, alone)
    assert np.array_equal(alone[0], features[1])


def test_nobody_wins_where_the_series_is_flat():
    kernels = drawn(2, 8, 9)
    features = np.empty((1, 7, 16), np.float32)
    series = np.zeros((1, 40), np.float32)
    write_features(series, np.array([40]), kernels, DILATIONS, np.ones((4, 16), "f4"), features)
    assert not features.any()


def test_projections_are_those_of_standardised_features_cut_at_eight_deviations():
    features = 3 * drawn(5, 20)
    features[0, 0] = 1e6
    mean = drawn(20, seed=1)
    scale = np.abs(drawn(20, seed=2)) + 0.5
    scale[7] = np.inf  # a constant feature
    loadings = drawn(20, 3, seed=3)
    projections = np.empty((5, 3), np.float32)
    write_projections(features, mean, scale, loadings, projections)
    wanted = np.clip((features - mean) / scale, -8, 8) @ loadings
    np.testing.assert_allclose(projections, wanted, rtol=1e-4, atol=1e-4)
