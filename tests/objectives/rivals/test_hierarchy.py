"""Contrast at all temporal scales, against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from tensors import double, noise
from torch import Tensor

from fei_sklearn.objectives.rivals.contrast import two_views
from fei_sklearn.objectives.rivals.hierarchy import hierarchical_contrast
from fei_sklearn.objectives.rivals.timesurl import ALPHA

UNIT_VECTORS = torch.eye(4, dtype=torch.float64).reshape(2, 2, 4)
NARROW_1 = double([[[1], [0]], [[0], [2]]])
NARROW_2 = double([[[1], [1]], [[0], [1]]])


@pytest.mark.parametrize(
    ("z1", "z2", "across_series", "across_time", "hierarchy"),
    [
        (UNIT_VECTORS, UNIT_VECTORS, 0.5514447139, 0.5514447139, 0.3356085485),
        (NARROW_1, NARROW_2, 0.9965702372, 0.9201138514, 0.7762301741),
    ],
    ids=["unit-vectors", "width-one"],
)
def test_hierarchical_contrast(
    z1: Tensor,
    z2: Tensor,
    across_series: float,
    across_time: float,
    hierarchy: float,
) -> None:
    steps1 = z1.transpose(0, 1)
    steps2 = z2.transpose(0, 1)
    series_loss = two_views(steps1, steps2).mean()
    time_loss = two_views(z1, z2).mean()
    assert math.isclose(float(series_loss), across_series, abs_tol=1e-9)
    assert math.isclose(float(time_loss), across_time, abs_tol=1e-9)
    assert math.isclose(float(hierarchical_contrast(z1, z2)), hierarchy, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 2), 0.8239592165),
        ((2, 3), 0.9516656224),
        ((1, 4), 0.5074204063),
    ],
)
def test_contrast_of_zeros_counts_candidates(shape: tuple[int, int], expected: float) -> None:
    zeros = torch.zeros(*shape, 3, dtype=torch.float64)
    assert math.isclose(float(hierarchical_contrast(zeros, zeros)), expected, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 2), 1.7513191341),
        ((3, 4), 2.2285802416),
        ((2, 1), 1.5567281192),
    ],
)
def test_further_negatives_join_the_candidates(shape: tuple[int, int], expected: float) -> None:
    def both_views(z1: Tensor, z2: Tensor) -> Tensor:
        return torch.cat([z1, z2], dim=-2)

    zeros = torch.zeros(*shape, 3, dtype=torch.float64)
    actual = hierarchical_contrast(zeros, zeros, alpha=ALPHA, negatives=both_views)
    assert math.isclose(float(actual), expected, abs_tol=1e-9)


def test_contrast_is_symmetric_and_ignores_the_order_of_series() -> None:
    z1 = noise(4, 7, 3)
    z2 = noise(4, 7, 3, seed=1)
    order = torch.tensor([2, 0, 3, 1])
    value = hierarchical_contrast(z1, z2)
    torch.testing.assert_close(hierarchical_contrast(z2, z1), value)
    torch.testing.assert_close(hierarchical_contrast(z1[order], z2[order]), value)
