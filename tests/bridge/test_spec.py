"""Specs: batch sizes."""

from __future__ import annotations

import pytest

from fei_sklearn._bridge.spec import OptimisationSpec


def optimisation(batch_size):
    return OptimisationSpec(1, 1, batch_size, 1e-3, "cosine", None, "auto")


@pytest.mark.parametrize(
    ("n_series", "expected"),
    [(1, 16), (128, 16), (200, 32), (1000, 128), (4096, 512), (10**6, 512)],
)
def test_automatic_batch_size_is_near_an_eighth_of_the_panel(n_series, expected):
    assert optimisation("auto").batch_size_for(n_series) == expected


def test_a_given_batch_size_is_kept():
    assert optimisation(3).batch_size_for(10**6) == 3
