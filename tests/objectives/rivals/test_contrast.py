"""Contrast of two views, against sums over all candidates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tensors import noise, units

from fei_sklearn.objectives.rivals.contrast import (
    cross_entropy_rows,
    similarities,
    two_views,
    without_itself,
)


def test_two_views_sum_over_all_candidates_but_the_anchor() -> None:
    z1 = noise(3, 4)
    z2 = noise(3, 4, seed=1)
    others = noise(5, 4, seed=2)
    candidates = torch.cat([z1, z2, others]).numpy()
    expected = []
    for anchor in range(6):
        positive = (anchor + 3) % 6
        products = candidates @ candidates[anchor]
        all_others = np.delete(products, anchor)
        expected.append(np.log(np.exp(all_others).sum()) - products[positive])
    actual = two_views(z1, z2, others)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12)


def test_two_views_of_orthonormal_series() -> None:
    z = units(4)[:2]
    loss = two_views(z, z).mean()
    assert math.isclose(float(loss), 0.5514447139, abs_tol=1e-9)


def test_two_views_of_three_series() -> None:
    z = units(6)
    same = two_views(z[:3], z[:3], kind="cosine", temperature=0.2).mean()
    apart = two_views(z[:3], z[3:], kind="cosine", temperature=0.2).mean()
    assert math.isclose(float(same), 0.0265949853, abs_tol=1e-9)
    assert math.isclose(float(apart), math.log(5), abs_tol=1e-9)


def test_cosines_ignore_the_size_of_vectors() -> None:
    a = noise(3, 4)
    b = noise(2, 4, seed=1)
    norms = torch.outer(a.norm(dim=1), b.norm(dim=1))
    actual = similarities(5 * a, b, "cosine", temperature=0.5)
    torch.testing.assert_close(actual, 2 * (a @ b.T) / norms)


def test_similarities_never_overflow_half_precision() -> None:
    wide = torch.full((2, 64), 100.0, dtype=torch.float16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        products = similarities(wide, wide)
    assert products.dtype == torch.float32
    assert (products == 640_000).all()


def test_unknown_similarities_are_named() -> None:
    z = noise(2, 3)
    with pytest.raises(ValueError, match="similarity must be 'dot' or 'cosine', got 'l2'"):
        similarities(z, z, "l2")


def test_an_anchor_is_no_candidate_of_its_own() -> None:
    similarity = without_itself(noise(2, 3, 5))
    itself = torch.eye(3, 5, dtype=torch.bool).expand(2, 3, 5)
    assert torch.equal(similarity == -torch.inf, itself)


def test_cross_entropy_of_batches_is_that_of_each_matrix() -> None:
    similarity = noise(2, 3, 5)
    positive = torch.tensor([4, 0, 1])
    together = cross_entropy_rows(similarity, positive)
    assert together.shape == (2, 3)
    for matrix, losses in zip(similarity, together, strict=True):
        torch.testing.assert_close(cross_entropy_rows(matrix, positive), losses)
