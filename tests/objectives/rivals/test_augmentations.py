"""InfoTS's augmentations, against NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.interpolate import PchipInterpolator
from tensors import double, noise, seeded
from torch import Tensor

from fei_sklearn.objectives.rivals import augmentations

N_TIMEPOINTS = [8, 41, 178]
lengths = pytest.mark.parametrize("n_timepoints", N_TIMEPOINTS)
warps = pytest.mark.parametrize("warp", augmentations.AUGMENTATIONS[4:])


def ramp(n_timepoints: int) -> Tensor:
    """Return series whose values are their time points: a warp of them is where it reads."""
    return torch.arange(n_timepoints, dtype=torch.float64).expand(30, 1, -1)


@lengths
def test_candidates_are_one_view_per_augmentation(n_timepoints: int) -> None:
    x = noise(30, 2, n_timepoints)
    views = augmentations.candidates(x, seeded(0))
    assert views.shape == (7, *x.shape)
    assert views.isfinite().all()


@lengths
def test_subsequence_keeps_the_same_window_of_all_series(n_timepoints: int) -> None:
    x = noise(30, 2, n_timepoints)
    view = augmentations.subsequence(x, seeded(0))
    kept = view != 0
    rows = {tuple(row) for row in kept.flatten(0, 1).tolist()}
    assert len(rows) == 1
    assert torch.equal(view[kept], x[kept])


@lengths
def test_cutout_zeroes_a_tenth(n_timepoints: int) -> None:
    view = augmentations.cutout(noise(30, 2, n_timepoints), seeded(0))
    n_zero = (view == 0).sum(dim=-1)
    assert (n_zero == n_timepoints // 10).all()


@lengths
def test_jitter_adds_noise(n_timepoints: int) -> None:
    x = noise(30, 2, n_timepoints)
    added = augmentations.jitter(x, seeded(0)) - x
    assert 0.2 < added.std() < 0.4


@lengths
def test_scaling_multiplies_each_channel_by_one_factor(n_timepoints: int) -> None:
    x = noise(30, 2, n_timepoints)
    factor = augmentations.scaling(x, seeded(0)) / x
    first = factor[..., :1]
    torch.testing.assert_close(factor, first.expand_as(factor))
    assert 0.3 < first.std() < 0.7


@lengths
@warps
def test_warps_read_forward_and_within_the_series(warp: Callable, n_timepoints: int) -> None:
    read = warp(ramp(n_timepoints), seeded(1))
    assert read.min() >= 0
    assert read.max() <= n_timepoints - 1
    assert (read.diff(dim=-1) >= -1e-9).all()
    middles = {round(value, 6) for value in read[:, 0, n_timepoints // 2].tolist()}
    assert len(middles) > 1  # another warp per series


@lengths
@pytest.mark.parametrize("warp", [augmentations.time_warp, augmentations.window_warp])
def test_warps_of_whole_series_keep_both_ends(warp: Callable, n_timepoints: int) -> None:
    read = warp(ramp(n_timepoints), seeded(1))
    ends = double([0, n_timepoints - 1]).expand(30, 1, 2)
    torch.testing.assert_close(read[..., [0, -1]], ends)


def test_anchors_of_a_warp_are_shares_of_shifted_speeds() -> None:
    speeds = double([[0.2, 0.5, 0.8]])
    anchors = augmentations.warp_anchors(speeds)
    expected = double([[0, 0.0606060606, 0.3939393939, 1]])
    torch.testing.assert_close(anchors, expected, atol=1e-9, rtol=0)


def test_the_cubic_is_scipys_monotone_interpolation() -> None:
    speeds = torch.rand((5, 101), generator=seeded(0)).double()
    anchors = augmentations.warp_anchors(speeds)
    at = torch.linspace(0, 1, 77, dtype=torch.float64)
    actual = augmentations.monotone_cubic(anchors, at)
    places = np.linspace(0, 1, 102)
    for row, knots in zip(actual, anchors, strict=True):
        curve = PchipInterpolator(places, knots.numpy())
        np.testing.assert_allclose(row.numpy(), curve(at.numpy()), atol=1e-9)


def test_window_warp_stretches_the_window() -> None:
    start = double([[2], [2]])
    factor = double([[2.0], [0.5]])
    twice, half = augmentations.window_warp_positions(start, 4, factor, 11)
    old_times = [0, 2, 6, 10]
    expected = np.interp(np.linspace(0, 14, 11), [0, 2, 10, 14], old_times)
    np.testing.assert_allclose(twice.numpy(), expected)
    expected = np.interp(np.linspace(0, 8, 11), [0, 2, 4, 8], old_times)
    np.testing.assert_allclose(half.numpy(), expected)


def test_values_between_time_points_are_interpolated() -> None:
    x = noise(2, 3, 9)
    positions = double([[0, 0.5, 7.25, 8], [8, 3, 3.5, 0]])
    actual = augmentations.read_at(x, positions)
    time = np.arange(9)
    for series, places, values in zip(x, positions, actual, strict=True):
        for channel, channel_values in zip(series, values, strict=True):
            expected = np.interp(places.numpy(), time, channel.numpy())
            np.testing.assert_allclose(channel_values.numpy(), expected)
