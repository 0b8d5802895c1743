"""Rows on a common grid of times, by an independent loop."""

from __future__ import annotations

import numpy as np
import pytest

from fei_sklearn.adapters import _grid
from fei_sklearn.adapters._grid import on_grid, ranks_of

NAMES = {"id": "pump", "time": "hour"}


def by_loop(values, series, ranks, n_series):
    """Write one row after another."""
    panel = []
    for number in range(n_series):
        rows = np.flatnonzero(series == number)
        first = ranks[rows].min()
        cells = np.full((len(values), ranks[rows].max() - first + 1), np.nan)
        for row in rows:
            cells[:, ranks[row] - first] = values[:, row]
        panel.append(cells)
    return panel


@pytest.mark.parametrize("seed", range(5))
def test_each_row_has_its_cell(seed):
    rng = np.random.default_rng(seed)
    cells = rng.permutation(4 * 12)[:36]
    series, ranks = cells // 12, cells % 12
    values = rng.normal(size=(2, 36))
    panel = on_grid(values, series, ranks, 4, **NAMES)
    expected = by_loop(values, series, ranks, 4)
    assert len(panel) == 4
    for of_series, of_loop in zip(panel, expected, strict=True):
        np.testing.assert_array_equal(of_series, of_loop)


def test_equal_lengths_are_an_array():
    series, ranks = np.divmod(np.arange(6), 3)
    panel = on_grid(np.arange(6.0)[None], series, ranks, 2, **NAMES)
    np.testing.assert_array_equal(panel, [[[0, 1, 2]], [[3, 4, 5]]])
    assert panel.flags.c_contiguous


@pytest.mark.parametrize("small_bytes", [0, 2**26])
def test_only_large_panels_of_missing_values_are_refused(monkeypatch, small_bytes):
    monkeypatch.setattr(_grid, "SMALL_BYTES", small_bytes)
    ranks = np.array([0, 1000])
    arguments = (np.ones((1, 2)), np.zeros(2, dtype=int), ranks, 1)
    if small_bytes == 0:
        with pytest.raises(ValueError, match=r"500 times as much as the 2 rows: round 'hour'"):
            on_grid(*arguments, **NAMES)
    else:
        with pytest.warns(UserWarning, match="100% of the panel is missing"):
            assert on_grid(*arguments, **NAMES).shape == (1, 1, 1001)


def test_ranks_are_those_of_sorted_times():
    codes = np.array([0, 1, 2, 1])
    np.testing.assert_array_equal(ranks_of(codes, np.array([9.5, -1, 3])), [2, 0, 1, 0])
