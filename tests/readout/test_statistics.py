"""Statistics of maps over time, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_readouts import LENGTHS
from quick import walks

from fei_sklearn.readout import statistics

NUMPY = {"mean": np.mean, "max": np.max, "std": np.std}


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
def test_proportions_are_numpys_bias_by_bias(lengths):
    maps = walks(4, 3)
    biases = np.array([[-1.0, 0.0, 2.0], [0.5, 1.5, -0.5]])
    n_steps = np.full(4, 30) if lengths is None else lengths
    expected = [
        [(m[i, :n] > bias[i]).mean() for bias in biases for i in range(3)]
        for m, n in zip(maps, n_steps, strict=True)
    ]
    lengths = None if lengths is None else torch.from_numpy(lengths)
    seen = statistics.proportion_above(torch.from_numpy(maps), torch.from_numpy(biases), lengths)
    np.testing.assert_allclose(seen, expected, atol=1e-12)


@pytest.mark.parametrize("n_steps", [1, 2, 7, 30])
def test_proportions_in_halves_are_those_of_the_halves(n_steps):
    maps = walks(4, 3, n_steps)
    biases = np.array([[-1.0, 0.0, 2.0], [0.5, 1.5, -0.5]])
    half = (n_steps + 1) // 2
    expected = np.concatenate(
        [
            statistics.proportion_above(torch.from_numpy(part), torch.from_numpy(biases))
            for part in (maps[..., :half], maps[..., n_steps - half :])
        ],
        axis=1,
    )
    padded = np.concatenate([maps, np.full((4, 3, 5), 9.0)], axis=2)
    for x, lengths in ((maps, None), (padded, torch.full((4,), n_steps))):
        seen = statistics.proportion_above_in_halves(
            torch.from_numpy(x), torch.from_numpy(biases), lengths
        )
        np.testing.assert_allclose(seen, expected, atol=1e-12)


@pytest.mark.parametrize("statistic", NUMPY)
def test_statistics_are_numpys_and_leave_padding_out(statistic):
    maps = walks(4, 5, 8) - 3.0
    n_steps = np.array([8, 3, 1, 5])
    expected = [NUMPY[statistic](m[:, :n], axis=1) for m, n in zip(maps, n_steps, strict=True)]
    for row, n in zip(maps, n_steps, strict=True):
        row[:, n:] = 0.0
    pooled = statistics.pool(torch.from_numpy(maps), torch.from_numpy(n_steps), statistic)
    np.testing.assert_allclose(pooled, np.stack(expected), rtol=1e-12, atol=1e-12)
    whole = statistics.pool(torch.from_numpy(maps), None, statistic)
    np.testing.assert_allclose(whole, NUMPY[statistic](maps, axis=2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_steps", [None, torch.tensor([1, 4])], ids=["dense", "ragged"])
def test_the_deviation_of_a_constant_has_a_gradient(n_steps):
    maps = torch.ones((2, 3, 4), requires_grad=True)
    statistics.pool(maps, n_steps, "std").sum().backward()
    assert torch.isfinite(maps.grad).all()
