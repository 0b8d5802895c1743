"""Panels: what is taken, what becomes of missing values and scales, and what is refused."""

from __future__ import annotations

import os
import random
import re
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quick import quick
from scipy import sparse

from fei_sklearn._input import stored as _storage
from fei_sklearn._input.checks import check_panel
from fei_sklearn._input.preparation import to_panel
from fei_sklearn._input.scaling import Scaler

properties = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def fast(**params):
    defaults = {"max_epochs": 1, "channels": "mix", "scaling": "series", "batch_size": 512}
    return quick(**(defaults | params))


def read(X):
    """What `fit` makes of a panel, before it scales."""
    return np.asarray(check_panel(fast(), X, reset=True))


def mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def objects(series):
    array = np.empty(len(series), dtype=object)
    array[:] = series
    return array


def masked(X):
    return np.ma.array(np.nan_to_num(X, nan=1e9), mask=np.isnan(X))


def column_names(X):
    return [f"t{i}" for i in range(X.shape[1])]


def polars_frame(X):
    return pl.DataFrame([[None if np.isnan(v) else v for v in row] for row in X], orient="row")


def padded(series, n_before=0, n_after=0, length=None):
    """Series (C, T_i) as one array, NaN before and behind."""
    length = length or max(s.shape[1] for s in series)
    X = np.full((len(series), len(series[0]), n_before + length + n_after), np.nan)
    for row, s in zip(X, series, strict=True):
        row[:, n_before : n_before + s.shape[1]] = s
    return X


@contextmanager
def nothing_changes(estimator):
    """Attributes, random states, threads, environment, and files are afterwards as before."""
    before = snapshot(estimator)
    yield
    assert snapshot(estimator) == before


def snapshot(estimator):
    return {
        "attributes": {name: id(value) for name, value in vars(estimator).items()},
        "their content": joblib.hash(vars(estimator)),
        "random": random.getstate(),
        "numpy": joblib.hash(np.random.get_state()),
        "torch": bytes(torch.get_rng_state().numpy()),
        "threads": torch.get_num_threads(),
        "environment": dict(os.environ),
        "folder": (Path.cwd(), sorted(Path.cwd().rglob("*"))),
    }


@pytest.fixture(scope="module")
def fitted_2d():
    return fast().fit(noise(9, 10))


@pytest.fixture(scope="module")
def fitted_3d():
    return fast(layers="all", pooling=("mean", "max", "std")).fit(noise(9, 2, 30))


# Containers

FLAT = {
    "lists": lambda X, _: X.tolist(),
    "tuple of arrays": lambda X, _: tuple(X),
    "list of arrays": lambda X, _: list(X),
    "list of tensors": lambda X, _: [torch.from_numpy(x) for x in X],
    "list of pandas series": lambda X, _: [pd.Series(x) for x in X],
    "array of arrays": lambda X, _: objects(list(X)),
    "objects": lambda X, _: X.astype(object),
    "Fortran order": lambda X, _: np.asfortranarray(X),
    "every second": lambda X, _: np.repeat(X, 2, axis=-1)[..., ::2],
    "backwards": lambda X, _: X[..., ::-1].copy()[..., ::-1],
    "big endian": lambda X, _: X.astype(">f8"),
    "memory map": mapped,
    "masked array": lambda X, _: np.ma.array(X),
    "tensor": lambda X, _: torch.from_numpy(X),
    "tensor with gradient": lambda X, _: torch.from_numpy(X).requires_grad_(),
    "pandas": lambda X, _: pd.DataFrame(X),
    "pandas, named": lambda X, _: pd.DataFrame(X, columns=column_names(X)),
    "pandas, nullable": lambda X, _: pd.DataFrame(X).astype("Float64"),
    "polars": lambda X, _: pl.DataFrame(X),
}
MISSING = {
    "lists with NaN": lambda X, _: X.tolist(),
    "lists with None": lambda X, _: [[None if np.isnan(v) else v for v in row] for row in X],
    "masked array": lambda X, _: masked(X),
    "list of masked arrays": lambda X, _: list(masked(X)),
    "tensor": lambda X, _: torch.from_numpy(X),
    "memory map": mapped,
    "pandas": lambda X, _: pd.DataFrame(X),
    "pandas, nullable": lambda X, _: pd.DataFrame(X).astype("Float64"),
    "polars with nulls": lambda X, _: polars_frame(X),
}
DEEP = ("lists", "list of arrays", "list of tensors", "array of arrays", "Fortran order", "tensor")
RAGGED = {
    "list of arrays": lambda S: S,
    "tuple of arrays": tuple,
    "array of arrays": objects,
    "lists": lambda S: [s.tolist() for s in S],
    "list of tensors": lambda S: [torch.from_numpy(s) for s in S],
    "list of float32": lambda S: [s.astype(np.float32).astype(object) for s in S],
}


@pytest.fixture(scope="module")
def expected():
    return fast().fit_transform(noise(9, 12))


@pytest.mark.parametrize("kind", FLAT)
def test_any_container_is_read_as_an_array(kind, tmp_path):
    X = noise(9, 12)
    np.testing.assert_array_equal(read(FLAT[kind](X, tmp_path))[:, 0], X)


@pytest.mark.parametrize(
    "kind", ["lists", "array of arrays", "memory map", "tensor with gradient", "pandas", "polars"]
)
def test_any_container_is_as_good_as_an_array(expected, kind, tmp_path):
    embeddings = fast().fit_transform(FLAT[kind](noise(9, 12), tmp_path))
    np.testing.assert_array_equal(embeddings, expected)
    assert embeddings.shape == (9, 16) and embeddings.dtype == np.float32


@pytest.mark.parametrize("kind", [*DEEP, "memory map", "masked array", "every second"])
def test_any_container_of_several_channels_is_as_good_as_an_array(kind, tmp_path):
    X = noise(9, 2, 12)
    np.testing.assert_array_equal(read(FLAT[kind](X, tmp_path)), X)


@pytest.mark.parametrize("kind", MISSING)
def test_any_mark_of_a_missing_value_is_as_good_as_nan(kind, tmp_path):
    X = noise(9, 12)
    X[[0, 0, 3, 5], [0, 4, 11, 6]] = np.nan
    np.testing.assert_array_equal(read(MISSING[kind](X, tmp_path))[:, 0], X)


@pytest.mark.parametrize("extension", ["Int64", "boolean", "Float32"])
def test_nullable_frames(extension):
    X = np.where(noise(9, 12) > 0, 1.0, 0.0)
    X[2, 3] = np.nan
    np.testing.assert_array_equal(read(pd.DataFrame(X).astype(extension))[:, 0], X)


@pytest.mark.parametrize("kind", RAGGED)
def test_any_list_of_unequal_series_is_as_good_as_nan_behind(kind):
    series = [noise(2, n, seed=n).astype(np.float32).astype(float) for n in (9, 4, 2, 12, 7)]
    np.testing.assert_array_equal(read(RAGGED[kind](series)), padded(series))


@pytest.mark.parametrize("kind", RAGGED)
def test_unequal_series_without_a_channel_axis_are_univariate(kind):
    series = [noise(n, seed=n).astype(np.float32).astype(float) for n in (9, 4, 2, 12, 7)]
    embedder = fast().fit(RAGGED[kind](series))
    assert embedder.n_channels_in_ == 1 and embedder.input_ndim_ == 3
    expected = embedder.transform(padded([s[np.newaxis] for s in series]))
    np.testing.assert_array_equal(embedder.transform(RAGGED[kind](series)), expected)
    of_equal_length_by_chance = RAGGED[kind](series[:1] * 2)
    alone = embedder.transform(series[0][np.newaxis, np.newaxis])
    np.testing.assert_array_equal(embedder.transform(of_equal_length_by_chance), alone[[0, 0]])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", "i1", "u1", "i8", "u8", "?"])
@pytest.mark.parametrize("make", [np.asarray, lambda X: np.asarray(X)[:, np.newaxis]])
def test_any_number_type(dtype, make):
    X = make((40 * np.abs(noise(9, 12))).astype(dtype))
    np.testing.assert_array_equal(read(X).reshape(X.shape), X.astype(np.float64))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.int32, torch.bool])
def test_any_number_type_of_tensors(dtype):
    X = torch.from_numpy(40 * noise(9, 12)).to(dtype)
    np.testing.assert_array_equal(read(X)[:, 0], X.double().numpy())


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_names_of_time_points_are_kept_and_checked(frame):
    X = pd.DataFrame(noise(9, 4), columns=list("abcd"))
    embedder = fast().fit(frame(X.to_dict("list")))
    assert embedder.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="order"):
        embedder.transform(frame(X[list("badc")].to_dict("list")))


def test_the_panel_itself_is_left_alone():
    X = noise(9, 2, 12)
    X[0, :, 3] = X[1, 0] = np.nan
    before = X.copy()
    fast().fit_transform(X)
    np.testing.assert_array_equal(X, before)


# Sizes


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


# Scales


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_timepoints", [30, 3000])
def test_a_large_offset_does_not_swallow_the_signal(fitted_3d, n_timepoints, order):
    shifted = np.asarray(1e-3 * noise(9, 2, n_timepoints) + 1e8, order=order)
    expected = fitted_3d.transform(shifted - 1e8)
    np.testing.assert_allclose(fitted_3d.transform(shifted), expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.1


@pytest.mark.parametrize("scaling", ["series", "channel"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_timepoints", [30, 3000])
def test_a_large_offset_is_taken_off_before_float32(n_timepoints, order, scaling):
    shifted = np.asarray(1e-3 * noise(9, 2, n_timepoints) + 1e8, order=order)
    scaled = Scaler.fit(shifted, scaling).apply(shifted)
    expected = expected_scaling(shifted - 1e8, scaling)
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=3e-5)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-100, 1e-10, 1e10, 1e100, 1e160, 1e300])
def test_the_scale_of_a_series_does_not_matter(fitted_3d, scale):
    X = noise(9, 2, 30)
    expected = fitted_3d.transform(X)
    np.testing.assert_allclose(fitted_3d.transform(scale * X), expected, rtol=1e-4, atol=1e-5)
    assert np.isfinite(fast().fit_transform(scale * X)).all()


@pytest.mark.filterwarnings("ignore::fei_sklearn.CollapseWarning")
@pytest.mark.parametrize("scaling", ["channel", None])
@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_any_scale_is_embedded_or_refused(scale, scaling):
    X = scale * noise(9, 2, 30)
    embedder = fast(scaling=scaling)
    try:
        embeddings = embedder.fit_transform(X)
    except ValueError:
        assert not hasattr(embedder, "weights_")
    else:
        assert np.isfinite(embeddings).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e8 + 0.1, 1e300, 1e-300])
def test_constant_series_are_all_the_same(fitted_3d, value, order):
    embeddings = fitted_3d.transform(np.full((9, 2, 2000), value, order=order))
    expected = fitted_3d.transform(np.zeros((9, 2, 2000)))
    np.testing.assert_allclose(embeddings, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scaling", ["series", "channel", None])
def test_a_panel_of_constant_series(scaling):
    X = np.repeat([0.0, 0.1, 1e8, 7.0, 0.1], 12).reshape(5, 12)
    assert np.isfinite(fast(scaling=scaling).fit_transform(X)).all()


def test_channel_scaling_keeps_what_series_scaling_takes_away():
    X = np.sin(np.arange(30.0)) * np.arange(1, 10)[:, np.newaxis, np.newaxis]
    same, other = (fast(scaling=s).fit_transform(X) for s in ("series", "channel"))
    np.testing.assert_allclose(same, same[:1].repeat(9, axis=0), rtol=1e-4, atol=1e-5)
    assert np.abs(other - other[:1]).max(axis=1)[1:].min() > 1e-3


# Refusals: the value and the remedy are named, and nothing changes

TIMES = pd.MultiIndex.from_product([range(3), range(10)])
FRAMES = [pd.DataFrame(noise(10, 2)) for _ in range(3)]
CELLS = pd.DataFrame({"x": [pd.Series(x) for x in noise(3, 10)]})
ALWAYS_REFUSED = {
    "MultiIndex frame": (pd.DataFrame({"x": noise(30)}, index=TIMES), "MultiIndex.*numpy3D"),
    "MultiIndex series": (pd.Series(noise(30), index=TIMES), "MultiIndex.*numpy3D"),
    "nested frame": (CELLS, "series in each cell.*numpy3D"),
    "polars lists": (pl.DataFrame({"x": noise(3, 10).tolist()}), "series in each cell.*numpy3D"),
    "pandas frames": (FRAMES, r"list of frames.*to_numpy\(\).T"),
    "polars frames": ([pl.DataFrame(f.to_numpy()) for f in FRAMES], "list of frames.*to_numpy"),
    "infinity": (np.where(np.eye(3, 10) > 0, np.inf, 1.0), "infinity"),
    "infinity, 3-D": (np.full((3, 2, 10), -np.inf), "infinity"),
    "infinity in a list": ([np.array([1, np.inf]), np.ones(3)], "infinity"),
    "complex": (noise(3, 10) + 1j, "[Cc]omplex"),
    "complex in a list": ([np.ones(3) + 1j, np.ones(4)], "[Cc]omplex"),
    "complex tensor": (torch.ones(3, 10) + 1j, "[Cc]omplex"),
    "strings": ([["a", "b"], ["c", "d"]], "'a'"),
    "strings in a frame": (pd.DataFrame([["a", 1.0], ["b", 2.0]]), "'a'"),
    "strings in a list": ([np.array(["a", "b"]), np.array(["c"])], "'a'"),
    "sparse": (sparse.csr_matrix(np.eye(3, 10)), "Sparse.*toarray"),
    "1-D": (noise(10), "Reshape your data"),
    "4-D": (noise(3, 2, 4, 10), r"4 dimensions, \(3, 2, 4, 10\).*Reshape your data"),
    "1 time point": (noise(3, 1), r"1 feature\(s\).*at least 2 time points"),
    "1 time point, 3-D": (noise(3, 2, 1), r"1 feature\(s\).*at least 2 time points"),
    "no time point": (np.empty((3, 2, 0)), "at least 2 time points"),
    "no series": (np.empty((0, 10)), r"0 sample\(s\)"),
    "no series, 3-D": (np.empty((0, 2, 10)), r"0 sample\(s\)"),
    "no series in a list": ([], "Reshape your data"),
    "no channel": (np.empty((3, 0, 10)), r"0 (channels|feature\(s\))"),
    "channels differ": ([noise(2, 9), noise(3, 8)], r"\(2, 9\), \(3, 8\).*same n_channels"),
    "dimensions differ": ([noise(2, 9), noise(8)], r"\(2, 9\).*\(8,\).*same n_channels"),
    "nothing": (None, "Reshape your data"),
}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ALWAYS_REFUSED)
def test_refused_by_fit(fitted_2d, kind, elsewhere):
    X, message = ALWAYS_REFUSED[kind]
    for embedder in (fast(), fitted_2d):
        with nothing_changes(embedder), pytest.raises((ValueError, TypeError)) as caught:
            embedder.fit(X)
        assert re.search(message, str(caught.value), re.DOTALL)


@pytest.mark.parametrize("kind", ALWAYS_REFUSED)
@pytest.mark.parametrize("fitted", ["fitted_2d", "fitted_3d"])
def test_refused_by_transform(fitted, kind, elsewhere, request):
    embedder, (X, message) = request.getfixturevalue(fitted), ALWAYS_REFUSED[kind]
    with nothing_changes(embedder), pytest.raises((ValueError, TypeError)) as caught:
        embedder.transform(X)
    # its shape may be refused before what is in it
    message += r"|is expecting \d+ features|was fitted on"
    assert re.search(message, str(caught.value), re.DOTALL)


@pytest.mark.parametrize(
    ("fitted", "X", "message"),
    [
        ("fitted_3d", noise(3, 3, 30), "X has 3 .*(2 channels|is expecting 2 features)"),
        ("fitted_3d", noise(3, 1, 30), "X has 1 .*(2 channels|is expecting 2 features)"),
        ("fitted_2d", noise(3, 11), "X has 11 features, but FEIEmbedder is expecting 10 features"),
        ("fitted_2d", noise(3, 10, 10), "X has 3 dimensions.* fitted on 2.*Reshape your data"),
        ("fitted_2d", noise(3, 1, 10), "X has 3 dimensions.* fitted on 2.*Reshape your data"),
        ("fitted_2d", [noise(10), noise(7)], "X has 3 dimensions.* fitted on 2"),
        ("fitted_3d", noise(3, 2), "X has 2 dimensions.* fitted on 3.*Reshape your data"),
        ("fitted_3d", noise(3, 30), "X has 2 dimensions.* fitted on 3.*Reshape your data"),
    ],
)
def test_refused_after_another_panel(fitted, X, message, elsewhere, request):
    embedder = request.getfixturevalue(fitted)
    with nothing_changes(embedder), pytest.raises(ValueError, match=message):
        embedder.transform(X)


# Properties

sizes = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(2, 24))


def panels(shapes=sizes, largest_power=0):
    powers = st.integers(-largest_power, largest_power)
    shares = st.sampled_from([0.0, 0.0, 0.2, 0.5, 0.8])
    return st.builds(panel_of, shapes, st.integers(0, 2**32 - 1), powers, shares)


def panel_of(shape, seed, power, share):
    """Quarters, with a share of the values missing, now and then some ends and channels too."""
    generator = np.random.default_rng(seed)
    values = generator.integers(-4000, 4000, size=shape) / 4 * 10.0**power
    values[generator.random(shape) < share] = np.nan
    for series in values if share else ():
        if generator.random() < 0.5:
            first, last = sorted(generator.integers(0, series.shape[1] + 1, size=2))
            series[:, :first] = series[:, last:] = np.nan
        series[generator.random(len(series)) < 0.2] = np.nan
    return values


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


@properties
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


@properties
@given(panels(st.tuples(st.integers(1, 40), st.just(2), st.integers(2, 24))), st.data())
def test_rows_do_not_depend_on_each_other(fitted_3d, X, data):
    rows = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=20))
    whole, part = fitted_3d.transform(X)[rows], fitted_3d.transform(X[rows])
    if np.isnan(X).any():
        np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(part, whole)


@settings(properties, max_examples=100)
@given(panels(), st.sampled_from(["series", "channel", None]))
def test_scaling_is_numpys(X, scaling):
    scaled = Scaler.fit(X, scaling).apply(X)
    np.testing.assert_allclose(scaled, expected_scaling(X, scaling), rtol=1e-9, atol=1e-9)


def expected_scaling(X, scaling):
    expected = np.full(X.shape, np.nan)
    for i, c in np.ndindex(X.shape[:2]):
        source = {"series": X[i, c], "channel": X[:, c], None: np.array([-1.0, 1.0])}[scaling]
        if not np.isnan(source).all():
            deviation = np.nanstd(source)
            expected[i, c] = (X[i, c] - np.nanmean(source)) / (deviation or 1.0)
    return expected


@settings(properties, max_examples=100)
@given(panels(), st.sampled_from(["series", "channel", None]), st.integers(1, 6))
def test_missing_values_are_cut_off_or_interpolated(X, scaling, chunk_rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_storage, "CHUNK_ROWS", chunk_rows)
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


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        (np.arange(20).astype("datetime64[D]").reshape(2, 10), "dates or durations"),
        (pl.DataFrame(noise(3, 10)).lazy(), r"X\.collect\(\)"),
        (
            pd.DataFrame(noise(3, 4), columns=pd.MultiIndex.from_product([["a", "b"], [0, 1]])),
            "MultiIndex of columns",
        ),
    ],
    ids=["dates", "lazy frame", "columns of two levels"],
)
def test_what_numpy_would_misread_is_refused(panel, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fast().fit(panel)


def test_a_tensor_of_bfloat16_is_taken():
    tensor = torch.from_numpy(noise(9, 2, 30)).to(torch.bfloat16)
    np.testing.assert_array_equal(
        fast().fit_transform(tensor), fast().fit_transform(tensor.float().numpy())
    )
