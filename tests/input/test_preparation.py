"""Lengths, padding and missing values of series on their way to a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import PROPERTIES, expected_scaling, fast, masked, noise, padded, panels

from fei_sklearn._input import stored
from fei_sklearn._input.preparation import to_panel
from fei_sklearn._input.scaling import Scaler


@pytest.fixture(scope="module")
def fitted_3d():
    return fast(layers="all", pooling=("mean", "max", "std")).fit(noise(9, 2, 30))


# Lengths


@pytest.mark.parametrize(
    ("n_timepoints", "stride"), [*((n, 2) for n in range(2, 41)), (2, 1), (3, 1), (5, 1), (40, 1)]
)
def test_any_length_from_2(n_timepoints, stride):
    embeddings = fast(stride=stride).fit_transform(noise(5, n_timepoints))
    assert embeddings.shape == (5, 16) and np.isfinite(embeddings).all()


@pytest.mark.parametrize("mask_kind", ["discrete", "continuous", "temporal"])
def test_lengths_may_be_mixed(mask_kind):
    series = [noise(2, n, seed=n) for n in range(2, 41)]
    embeddings = fast(mask_kind=mask_kind, batch_size=8, n_targets=2).fit_transform(series)
    assert embeddings.shape == (39, 16) and np.isfinite(embeddings).all()


@pytest.mark.parametrize("shape", [(1, 2), (1, 30), (1, 1, 2), (1, 3, 3), (1, 3, 30)])
@pytest.mark.parametrize("batch_size", [1, 512])
def test_one_series(shape, batch_size):
    X = noise(*shape)
    embedder = fast(batch_size=batch_size).fit(X)
    assert embedder.n_iter_ == 1
    assert np.isfinite(embedder.transform(X)).all()


@pytest.mark.parametrize("n", [5, 9, 13])
@pytest.mark.parametrize("n_timepoints", [2, 12])
def test_one_series_more_than_whole_batches(n, n_timepoints):
    X = noise(n, 2, n_timepoints)
    embedder = fast(batch_size=4, validation_fraction=None).fit(X)
    assert np.isfinite(embedder.transform(X)).all()


@pytest.mark.parametrize("n_timepoints", [2, 3, 29, 31, 100])
def test_a_fitted_embedder_takes_other_lengths(fitted_3d, n_timepoints):
    X = [noise(2, n_timepoints), noise(2, n_timepoints)]
    assert np.isfinite(fitted_3d.transform(np.stack(X))).all()
    np.testing.assert_array_equal(fitted_3d.transform(np.stack(X)), fitted_3d.transform(X))


# Missing values


def with_nan(case):
    X = noise(9, 2, 12)
    X[MISSING_CASES[case]] = np.nan
    return X


MISSING_CASES = {
    "inside": np.s_[0, :, 4:7],
    "inside one channel": np.s_[0, 0, 4:7],
    "leading": np.s_[0, :, :5],
    "trailing": np.s_[0, :, 5:],
    "leading in one channel": np.s_[0, 0, :5],
    "trailing in all series": np.s_[:, :, 5:],
    "all but one": np.s_[0, :, 1:],
    "a series": np.s_[0],
    "a channel": np.s_[0, 0],
    "a channel of all": np.s_[:, 0],
    "everything": np.s_[:],
}


@pytest.mark.parametrize(
    ("case", "scaling"),
    [
        *((case, "series") for case in MISSING_CASES),
        *((case, "channel") for case in ("inside", "a channel of all", "everything")),
        *((case, None) for case in ("inside", "a channel of all", "everything")),
    ],
)
def test_missing_values(fitted_3d, case, scaling):
    X = with_nan(case)
    embeddings = fast(scaling=scaling).fit_transform(X)
    assert embeddings.shape == (9, 16) and np.isfinite(embeddings).all()
    assert np.isfinite(fitted_3d.transform(X)).all()


@pytest.mark.parametrize(("n_before", "n_after"), [(0, 0), (0, 1), (1, 0), (3, 20), (0, 100)])
def test_the_embedding_does_not_depend_on_the_padding(fitted_3d, n_before, n_after):
    series = [noise(2, n, seed=n) for n in (*range(2, 12), 19, 31, 32, 33, 60)]
    alone = np.concatenate([fitted_3d.transform(s[np.newaxis]) for s in series])
    together = fitted_3d.transform(padded(series, n_before, n_after))
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(together, fitted_3d.transform(series))


def test_fit_does_not_depend_on_the_padding():
    series = [noise(2, n, seed=n) for n in range(5, 25)]
    expected = fast().fit(series)
    weights = fast().fit(padded(series, n_before=3, n_after=50)).weights_
    for name, array in expected.weights_.items():
        np.testing.assert_array_equal(weights[name], array)


# Properties

KINDS = {
    "array": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "Fortran": np.asfortranarray,
    "list": list,
    "tensor": torch.from_numpy,
    "masked": masked,
    "ragged": lambda X: [x[:, : max(2, x.shape[1] - i)] for i, x in enumerate(X)],
    "nested lists": lambda X: X.tolist(),
}


@PROPERTIES
@given(
    panels(largest_power=290),
    st.sampled_from(list(KINDS)),
    st.booleans(),
    st.fixed_dictionaries(
        {
            "batch_size": st.sampled_from([1, 2, 512, "auto"]),
            "channels": st.sampled_from(["mix", "independent"]),
            "scaling": st.sampled_from(["series", "channel"]),
        }
    ),
)
def test_any_panel_is_fitted_and_embedded(X, kind, flat, params):
    X = X[:, 0] if flat and kind != "ragged" else X
    embedder = fast(**params)
    embeddings = embedder.fit_transform(KINDS[kind](X))
    n_encoded = X.shape[1] if X.ndim == 3 and params["channels"] == "independent" else 1
    assert embeddings.shape == (len(X), n_encoded * 16) and embeddings.dtype == np.float32
    assert np.isfinite(embeddings).all()
    assert all(np.isfinite(array).all() for array in embedder.weights_.values())


@PROPERTIES
@given(panels(st.tuples(st.integers(1, 40), st.just(2), st.integers(2, 24))), st.data())
def test_rows_do_not_depend_on_each_other(fitted_3d, X, data):
    rows = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=20))
    whole, part = fitted_3d.transform(X)[rows], fitted_3d.transform(X[rows])
    if np.isnan(X).any():
        np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(part, whole)


@settings(PROPERTIES, max_examples=100)
@given(panels(), st.sampled_from(["series", "channel", None]), st.integers(1, 6))
def test_missing_values_are_cut_off_or_interpolated(X, scaling, chunk_rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "MAX_BLOCK_ROWS", chunk_rows)
        panel = to_panel(X, Scaler.fit(X, scaling))
    expected = [without_missing(series) for series in expected_scaling(X, scaling)]
    lengths = [series.shape[1] for series in expected]
    assert panel.values.dtype == np.float32 and panel.max_length == max(lengths)
    assert panel.values.shape == (*X.shape[:2], max(lengths))
    if panel.lengths is None:
        assert set(lengths) == {X.shape[2]} or len(set(lengths)) == 1
    else:
        assert panel.lengths.tolist() == lengths
    for values, series in zip(panel.values, expected, strict=True):
        np.testing.assert_allclose(values[:, : series.shape[1]], series, rtol=1e-5, atol=1e-5)
        assert (values[:, series.shape[1] :] == 0).all()


def without_missing(series):
    """The docstring of `to_panel`, step by step."""
    steps = [t for t in range(series.shape[1]) if not np.isnan(series[:, t]).all()]
    if not steps:
        return np.zeros((len(series), 2))
    rows = []
    for channel in series[:, steps[0] : steps[-1] + 1]:
        known = [(t, value) for t, value in enumerate(channel) if not np.isnan(value)]
        rows.append([at(t, known) for t in range(max(len(channel), 2))])
    return np.array(rows)


def at(time, known):
    if not known:
        return 0.0
    before = [(t, value) for t, value in known if t <= time] or known[:1]
    behind = [(t, value) for t, value in known if t >= time] or known[-1:]
    (t0, v0), (t1, v1) = before[-1], behind[0]
    return v0 if t0 >= t1 else v0 + (v1 - v0) * (time - t0) / (t1 - t0)
