"""Choice of a ridge head: folds ordered in time, one decomposition for all designs, the margin."""

from __future__ import annotations

import numpy as np
import pytest
from quick import walks

from fei_sklearn.adapters._head_search import HeadSearch, time_folds
from fei_sklearn.adapters._window_table import WindowTable
from fei_sklearn.adapters._windows import MIN_WINDOWS


@pytest.mark.parametrize(("n", "horizon"), [(10, 3), (57, 1), (100, 12), (8, 4)])
def test_folds_know_nothing_of_the_future(n, horizon):
    folds = list(time_folds(n, horizon))
    for train, test in folds:
        assert len(train) >= MIN_WINDOWS
        assert train.max() + horizon <= test.min()
    tested = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(tested, np.arange(tested[0], n))


def test_embeddings_are_decomposed_once_per_fold(monkeypatch):
    """One embedding of the default readout has 14,496 features, and there are eight designs."""
    decomposed = []
    eigh = np.linalg.eigh

    def counted(products):
        decomposed.append(len(products))
        return eigh(products)

    monkeypatch.setattr(np.linalg, "eigh", counted)
    windows = walks(60, 1, 12)
    table = WindowTable(windows, walks(60, 1, 500, seed=2)[:, 0], np.array([1]), 0.1)
    future = windows[:, :, -1:] + walks(60, 1, 1, seed=1)
    HeadSearch(sp=4, difference="auto", lags="auto").fit(table, future)
    n_folds = len(list(time_folds(60, 1)))
    assert decomposed[0] == 60  # the rotation of all windows
    assert len(decomposed) <= 1 + n_folds + 1
    decomposed.clear()
    lags_alone = HeadSearch(sp=4, difference="auto", lags="auto", embedding_weights=(0.0,))
    head = lags_alone.fit(table, future)
    assert not decomposed
    assert len(head.standardizations) == 1


def test_embeddings_must_lower_the_error_by_the_margin():
    rng = np.random.default_rng(0)
    windows = walks(60, 1, 12)
    last = windows[:, :, -1:]
    signal = rng.normal(size=(60, 1, 1))
    table = WindowTable(windows, signal[:, 0], np.array([1]), 0.1)
    search = HeadSearch(sp=1, difference="first", lags="auto")
    informative = search.fit(table, last + signal * windows.std(axis=-1, keepdims=True))
    assert informative.design.embedding_weight == 1.0
    independent = search.fit(table, last + rng.normal(size=(60, 1, 1)))
    assert independent.design.embedding_weight == 0.0
