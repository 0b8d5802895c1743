"""Containers of panels: NumPy reads the same values from each, or it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from panels import fast, masked, noise, padded

from fei_sklearn._input.checks import check_panel


def read(X):
    """Return a panel as `fit` reads it, before scaling."""
    return np.asarray(check_panel(fast(), X, reset=True))


def mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def objects(series):
    array = np.empty(len(series), dtype=object)
    array[:] = series
    return array


def column_names(X):
    return [f"t{i}" for i in range(X.shape[1])]


def polars_frame(X):
    return pl.DataFrame([[None if np.isnan(v) else v for v in row] for row in X], orient="row")


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


def test_a_tensor_of_bfloat16_is_taken():
    tensor = torch.from_numpy(noise(9, 2, 30)).to(torch.bfloat16)
    np.testing.assert_array_equal(
        fast().fit_transform(tensor), fast().fit_transform(tensor.float().numpy())
    )


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


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("panel.npy", ValueError, "X is the path 'panel.npy': give the series in it"),
        (Path("panel.npy"), ValueError, "X is the path 'panel.npy': give the series in it"),
        (iter([[1.0, 2.0]]), TypeError, "X is a list_iterator: give a list of the series"),
        ((row for row in [[1.0, 2.0]]), TypeError, "X is a generator: give a list of the series"),
        ({1.0, 2.0}, TypeError, "X is a set: give a list of the series"),
    ],
    ids=["text", "path", "iterator", "generator", "set"],
)
def test_what_is_no_array_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        read(X)
