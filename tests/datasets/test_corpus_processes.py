"""Processes of the synthetic corpus, and the functions they share."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.datasets.corpus_processes import (
    PROCESSES,
    Draws,
    log_uniform,
    resample,
    standardise,
)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.__name__)
def test_a_process_gives_finite_series_that_differ(process):
    draws = Draws(np.random.default_rng(0), 8)
    x = process(draws, 200)
    assert x.shape == (8, 200)
    assert np.isfinite(x).all()
    assert len({row.tobytes() for row in x}) == 8


def test_draws_follow_their_distributions():
    draws = Draws(np.random.default_rng(0), 2000)
    uniform = draws.uniform(2.0, 4.0)
    assert uniform.shape == (2000, 1)
    assert 2.0 <= uniform.min() < 2.01
    assert 3.99 < uniform.max() < 4.0
    assert draws.normal((3,)).shape == (2000, 3)
    assert abs(draws.events(0.2).mean() - 0.2) < 0.03


def test_half_of_log_uniform_numbers_lie_below_the_geometric_mean():
    numbers = log_uniform(np.random.default_rng(0), 0.01, 100.0, (2000,))
    assert abs((numbers < 1.0).mean() - 0.5) < 0.05


def test_resample_is_linear_interpolation():
    x = np.array([[0.0, 2.0, 4.0]])
    positions = np.array([[0.5, 1.25, 9.0]])
    np.testing.assert_allclose(resample(x, positions), [[1.0, 2.5, 4.0]])


def test_standardise_makes_a_constant_zero():
    constant = np.full((1, 5), 7.0)
    np.testing.assert_array_equal(standardise(constant), np.zeros((1, 5)))
