"""Windows and their embeddings: units, and fewer features of the same inner products."""

from __future__ import annotations

import numpy as np
from quick import walks

from fei_sklearn.adapters._window_table import EmbeddingBlock, WindowTable, standardization


def table_of(embeddings):
    n_windows = len(embeddings)
    return WindowTable(walks(n_windows, 2, 12), embeddings, np.array([1, 2]), 0.1)


def test_the_unit_of_a_window_is_its_deviation_but_at_least_the_floor():
    table = table_of(walks(3, 1, 5, seed=1)[:, 0])
    table.windows[1, 0] = 7.0
    deviations = table.windows[:, 0].std(axis=1)
    assert table.scale.shape == (3, 1)
    np.testing.assert_allclose(table.scale[:, 0], [deviations[0], 0.1, deviations[2]])


def test_rotated_embeddings_have_the_same_inner_products():
    embeddings = 5 + walks(20, 1, 2000, seed=1)[:, 0]
    table = table_of(embeddings)
    rotated = table.rotated().embeddings
    assert rotated.shape[1] < 20
    centred = embeddings - embeddings.mean(axis=0)
    np.testing.assert_allclose(rotated @ rotated.T, centred @ centred.T, rtol=1e-9, atol=1e-6)


def test_few_features_are_not_rotated():
    table = table_of(walks(20, 1, 5, seed=1)[:, 0])
    assert table.rotated() is table


def test_a_standardized_block_has_a_total_variance_of_one():
    block = EmbeddingBlock.of(3 + walks(20, 1, 5, seed=1)[:, 0])
    np.testing.assert_allclose(block.values.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(block.values.var(axis=0).sum(), 1)


def test_constant_features_are_standardized_to_zero():
    _, factor = standardization(np.ones((4, 3)))
    assert factor == 0.0


def test_rows_are_taken_of_windows_and_embeddings():
    table = table_of(walks(6, 1, 5, seed=1)[:, 0])
    taken = table.take(np.array([4, 1]))
    np.testing.assert_array_equal(taken.windows, table.windows[[4, 1]])
    np.testing.assert_array_equal(taken.embeddings, table.embeddings[[4, 1]])
    assert (taken.steps is table.steps, taken.floor) == (True, 0.1)
