"""Views of series in torch, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_readouts import LENGTHS, numpys_view
from quick import walks

from fei_sklearn.readout.spec import VIEWS
from fei_sklearn.readout.views_torch import view_of


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_numpys(view):
    X = walks(4)
    X[1, 0] = 0.25
    of_all = view_of(torch.from_numpy(X), view)
    expected = np.stack([numpys_view(series, view) for series in X])
    np.testing.assert_allclose(of_all, expected, atol=1e-12)


@pytest.mark.parametrize("view", VIEWS)
def test_views_leave_padding_out_and_zero(view):
    X = walks(4)
    X[1, 0] = 0.25  # whose end the differences must not see
    expected = np.zeros_like(X)
    for row, series, n in zip(expected, X, LENGTHS, strict=True):
        row[:, :n] = numpys_view(series[:, :n], view)
        series[:, n:] = 0.0
    seen = view_of(torch.from_numpy(X), view, torch.from_numpy(LENGTHS))
    np.testing.assert_allclose(seen, expected, atol=1e-12)
