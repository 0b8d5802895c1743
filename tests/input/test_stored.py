"""Panels in zarr, HDF5 and dask arrays: they give what an array gives, and are read in parts."""

from __future__ import annotations

import os
import threading

import dask.array
import h5py
import numpy as np
import pytest
import zarr
from quick import CONFIGURATIONS, quick, walks
from sklearn.exceptions import NotFittedError

from fei_sklearn import FEIClassifier, inference
from fei_sklearn._bridge import encoding, pretraining
from fei_sklearn._input import stored
from fei_sklearn._input.stored import StoredPanel, is_stored, row_blocks


def with_gaps(X):
    X = X.copy()
    X[3, ..., 5:8], X[4, ..., 20:], X[5, ..., :4], X[6, ...] = np.nan, np.nan, np.nan, np.nan
    return X


def in_zarr(X, folder, n_rows=3, name="X.zarr", **options):
    options = {"shape": X.shape, "chunks": (n_rows, *X.shape[1:]), "dtype": X.dtype} | options
    array = zarr.create_array(folder / name, **options)
    array[:] = X
    return array


def in_hdf5(X, folder, **options):
    with h5py.File(folder / "X.h5", "w") as file:
        file.create_dataset("X", data=X, **options)
    return h5py.File(folder / "X.h5", "r")["X"]


def in_dask(X, *of_rows):
    return dask.array.from_array(X, chunks=(of_rows, *X.shape[1:]))


STORES = {
    "zarr": in_zarr,
    "zarr, shards": lambda X, folder: in_zarr(X, folder, 4, shards=(12, *X.shape[1:])),
    "zarr, one chunk": lambda X, folder: in_zarr(X, folder, len(X)),
    "HDF5": in_hdf5,
    "HDF5, chunks": lambda X, folder: in_hdf5(X, folder, chunks=(6, *X.shape[1:])),
    "HDF5, gzip": lambda X, folder: in_hdf5(X, folder, chunks=True, compression="gzip"),
    "dask": lambda X, _: in_dask(X, 5, 1, 14),
}

stores = pytest.mark.parametrize("store", STORES.values(), ids=STORES)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts that are smaller than the panels of these tests."""
    monkeypatch.setattr(stored, "MAX_BLOCK_ROWS", 8)
    monkeypatch.setattr(encoding, "VALUES_AT_ONCE", 1)
    monkeypatch.setitem(inference.TILE_ROWS, "cpu", 8)


class Noting:
    """A chunked array of nobody's, which notes what is read."""

    def __init__(self, X, chunk_rows, broken_at=None):
        self._X, self._chunk_rows, self._broken_at = X, chunk_rows, broken_at
        self.read = []

    shape = property(lambda self: self._X.shape)
    dtype = property(lambda self: self._X.dtype)
    ndim = property(lambda self: self._X.ndim)
    chunks = property(lambda self: self._chunk_rows and (self._chunk_rows, *self._X.shape[1:]))

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        if rows.stop > rows.start:
            self.read.append((rows.start, rows.stop))
        if self._broken_at is not None and rows.start <= self._broken_at < rows.stop:
            raise OSError("checksum of a chunk\nis wrong")
        return self._X[rows]


# They give what an array gives


@stores
@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
@pytest.mark.parametrize("flat", [False, True], ids=["3-D", "2-D"])
def test_fit_and_transform(store, gaps, flat, tmp_path):
    X = with_gaps(walks()) if gaps else walks()
    X = X[:, 0] if flat else X
    source = store(X, tmp_path)
    expected, embedder = quick().fit(X), quick().fit(source)
    np.testing.assert_array_equal(embedder.offset_, expected.offset_)
    for key, weights in expected.weights_.items():
        np.testing.assert_array_equal(embedder.weights_[key], weights, err_msg=key)
    np.testing.assert_array_equal(embedder.transform(source), expected.transform(X))


@pytest.mark.parametrize("params", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_configurations(params, tmp_path):
    X = with_gaps(walks())
    embedder = quick(**params).fit(X)
    expected = embedder.transform(X)
    source = in_zarr(X, tmp_path)
    np.testing.assert_array_equal(quick(**params).fit_transform(source), expected)
    np.testing.assert_array_equal(embedder.transform(source), expected)


@pytest.mark.parametrize("dtype", ["i2", "u1", "f2", "f4", ">f8", "?"])
def test_any_number_type(dtype, tmp_path):
    X = (walks() * 3).astype(dtype)
    expected = quick().fit_transform(X)
    np.testing.assert_array_equal(quick().fit_transform(in_hdf5(X, tmp_path)), expected)
    np.testing.assert_array_equal(quick().fit_transform(in_zarr(X, tmp_path)), expected)


def test_steps_of_series_of_unequal_length(tmp_path):
    X = with_gaps(walks())
    embedder = quick(pooling=None).fit(X)
    source = in_zarr(X, tmp_path)
    np.testing.assert_array_equal(embedder.transform(source), embedder.transform(X))


def test_fine_tuning(tmp_path):
    X, y = walks(), np.arange(20) % 2
    params = {"max_epochs": 2, "random_state": 0}
    expected = FEIClassifier(quick(), **params).fit(X, y).predict_proba(X)
    source = in_zarr(X, tmp_path)
    tuner = FEIClassifier(quick(), **params).fit(source, y)
    np.testing.assert_array_equal(tuner.predict_proba(source), expected)


@stores
def test_sliding_windows(store, tmp_path):
    embedder = quick(max_epochs=0).fit(walks(n_timepoints=12))
    sliding = {"window_length": 12, "step": 5}
    windows, ends = embedder.transform_sliding(store(walks(), tmp_path), **sliding)
    expected, expected_ends = embedder.transform_sliding(walks(), **sliding)
    np.testing.assert_array_equal(windows, expected)
    np.testing.assert_array_equal(ends, expected_ends)


def test_what_is_read_in_parts(tmp_path):
    X = walks()
    assert all(is_stored(store(X, tmp_path)) for store in (in_zarr, in_hdf5))
    assert is_stored(in_dask(X, 20)) and is_stored(Noting(X, 3))
    assert not any(map(is_stored, [X, X.tolist(), [*X], None, np.ma.array(X)]))


# In parts


@pytest.mark.parametrize(
    ("chunk_rows", "rows", "read"),
    [
        # from the first row of a chunk that is wanted to the last, at most 8 rows at a time
        (8, [1, 3, 9, 15, 16, 17, 30, 39], [(1, 4), (9, 16), (16, 18), (30, 31), (39, 40)]),
        (3, [4, 5, 6, 7, 9, 10, 11], [(4, 8), (9, 12)]),
        (3, range(40), [(0, 9), (9, 18), (18, 27), (27, 36), (36, 40)]),
        (40, [2, 39], [(2, 40)]),
        # without chunks no row that is not wanted
        (None, [1, 3, 4, 5, 30], [(1, 2), (3, 6), (30, 31)]),
        (None, range(20), [(0, 8), (8, 16), (16, 20)]),
    ],
)
def test_rows_are_read_chunk_by_chunk(chunk_rows, rows, read):
    X, rows = walks(40), np.array(rows)
    source, found = Noting(X, chunk_rows), np.zeros((len(rows), 2, 30))
    for piece, values in StoredPanel(source).selected_blocks(rows, 8):
        found[piece] = values
    np.testing.assert_array_equal(found, X[rows])
    assert source.read == read


def test_rows_of_a_memory_map(tmp_path):
    np.save(tmp_path / "X.npy", walks(40))
    rows, found = np.array([1, 3, *range(10, 30)]), np.zeros((22, 2, 30))
    stored = StoredPanel(np.load(tmp_path / "X.npy", mmap_mode="r"))
    for piece, values in stored.selected_blocks(rows, 8):
        assert len(values) <= 8
        found[piece] = values
    np.testing.assert_array_equal(found, walks(40)[rows])


@pytest.mark.parametrize("chunk_rows", [None, 1, 3, 8, 13, 40, 100])
def test_parts_are_those_of_memory_and_each_chunk_is_read_once(chunk_rows):
    X = walks(40)
    source = Noting(X, chunk_rows)
    expected = list(row_blocks(X))
    for (rows, values), (of_memory, array) in zip(
        row_blocks(StoredPanel(source)), expected, strict=True
    ):
        assert range(40)[rows] == range(40)[of_memory]
        np.testing.assert_array_equal(values, array)
    assert len(expected) == 5
    assert [start for start, _ in source.read[1:]] == [stop for _, stop in source.read[:-1]]
    assert source.read[0][0] == 0 and source.read[-1][1] == 40
    assert all(start % (chunk_rows or 1) == 0 for start, _ in source.read)


def how_often(source):
    """How often each series has been read."""
    times = np.zeros(source.shape[0], int)
    for start, stop in source.read:
        times[start:stop] += 1
    return times


@pytest.mark.parametrize("chunk_rows", [None, 3, 16, 40])
@pytest.mark.parametrize("make", [np.array, with_gaps], ids=["whole", "gaps"])
def test_transform_reads_the_panel_for_its_lengths_and_to_embed_it(make, chunk_rows):
    embedder = quick(max_epochs=0).fit(walks())
    source = Noting(make(walks(40)), chunk_rows)
    embedder.transform(source)
    assert (how_often(source) == 2).all()


@pytest.mark.parametrize(("scaling", "n_passes"), [("channel", 2), ("series", 1)])
def test_fit_looks_through_the_panel_for_statistics_and_for_lengths(scaling, n_passes, monkeypatch):
    source, reads = Noting(walks(40), 3), []
    pretrain = pretraining.pretrain

    def noting(*arguments):
        reads.append(how_often(source))
        return pretrain(*arguments)

    monkeypatch.setattr(pretraining, "pretrain", noting)
    quick(scaling=scaling).fit(source)
    assert (reads[0] == n_passes).all()


def test_nothing_is_read_of_a_panel_of_another_shape():
    embedder, source = quick(max_epochs=0).fit(walks()), Noting(walks(40, n_channels=3), 3)
    with pytest.raises(ValueError, match="X has 3 features, but FEIEmbedder is expecting 2"):
        embedder.transform(source)
    assert source.read == []


def test_the_whole_is_never_read_at_once():
    source = Noting(walks(200), 3)
    quick().fit(source).transform(source)
    assert max(stop - start for start, stop in source.read) == 9


# Where embeddings go


def targets(folder, shape):
    with h5py.File(folder / "Z.h5", "w") as file:
        yield file.create_dataset("Z", shape, "f4")
    yield in_zarr(np.zeros(shape, "f4"), folder, 7, "Z.zarr")
    yield np.lib.format.open_memmap(folder / "Z.npy", "w+", np.float32, shape)


@pytest.mark.parametrize("store", [lambda X, _: X, in_zarr], ids=["array", "zarr"])
def test_embeddings_are_written_where_they_are_wanted(store, tmp_path):
    embedder = quick().fit(walks())
    expected = embedder.transform(walks())
    X = store(walks(), tmp_path)
    for out in targets(tmp_path, expected.shape):
        assert embedder.transform(X, out=out) is out
        np.testing.assert_array_equal(out[:], expected)


@pytest.mark.parametrize("X", [walks(), Noting(walks(), 3)], ids=["array", "stored"])
@pytest.mark.parametrize(
    ("shape", "dtype", "got"),
    [((19, 32), "f4", r"float32 of shape \(19, 32\)"), ((20, 32), "i4", "int32 of shape")],
)
def test_a_target_that_does_not_fit_is_a_sentence(X, shape, dtype, got, tmp_path):
    out = in_zarr(np.zeros(shape, dtype), tmp_path)
    with pytest.raises(ValueError, match=rf"^out must be .*\(20, 32\), got {got}"):
        quick().fit(walks()).transform(X, out=out)


def test_a_closed_target_is_a_sentence(tmp_path):
    with h5py.File(tmp_path / "Z.h5", "w") as file:
        out = file.create_dataset("Z", (20, 32), "f4")
    with pytest.raises(ValueError, match=r"^out, a Dataset, cannot be written to .* keep it open"):
        quick().fit(walks()).transform(walks(), out=out)


def test_steps_go_into_an_array_alone(tmp_path):
    embedder = quick(pooling=None).fit(walks())
    out = in_zarr(np.zeros(embedder.transform(walks()).shape, "f4"), tmp_path)
    with pytest.raises(ValueError, match=r"out must be a NumPy array.*transform_chunks"):
        embedder.transform(walks(), out=out)


# Part by part


@pytest.mark.parametrize("pooling", ["mean", None])
@pytest.mark.parametrize(("n_rows", "n_parts"), [(None, 3), (1, 20), (7, 3), (20, 1), (99, 1)])
@pytest.mark.parametrize("store", [lambda X, _: X, in_zarr], ids=["array", "zarr"])
def test_parts_of_embeddings(store, n_rows, n_parts, pooling, tmp_path):
    embedder = quick(pooling=pooling).fit(walks())
    expected = embedder.transform(walks())
    chunks = list(embedder.transform_chunks(store(walks(), tmp_path), n_rows=n_rows))
    assert len(chunks) == n_parts
    assert [i for rows, _ in chunks for i in range(20)[rows]] == list(range(20))
    for rows, embeddings in chunks:
        np.testing.assert_array_equal(embeddings, expected[rows])


def test_what_is_wrong_is_said_when_chunks_are_asked_for(tmp_path):
    with pytest.raises(NotFittedError):
        quick().transform_chunks(walks())
    embedder = quick(max_epochs=0).fit(walks())
    with pytest.raises(ValueError, match="n_rows must be at least 1, got 0"):
        embedder.transform_chunks(walks(), n_rows=0)
    with pytest.raises(ValueError, match="X has 2 dimensions"):
        embedder.transform_chunks(walks()[:, 0])


def test_no_thread_is_left_when_parts_are_left_behind():
    embedder, before = quick(max_epochs=0).fit(walks()), threading.active_count()
    chunks = embedder.transform_chunks(Noting(walks(), 3), n_rows=2)
    next(chunks)
    assert threading.active_count() == before + 1
    chunks.close()
    assert threading.active_count() == before


# Bad input


def refused(X):
    with pytest.raises(ValueError) as fitting:
        quick(max_epochs=0).fit(X)
    with pytest.raises(ValueError) as embedding:
        quick(max_epochs=0).fit(walks()).transform(X)
    assert str(fitting.value) == str(embedding.value)
    assert "\n" not in str(fitting.value)
    return str(fitting.value)


def test_a_closed_file(tmp_path):
    X = in_hdf5(walks(), tmp_path)
    X.file.close()
    assert refused(X).startswith("X, a Dataset, cannot be read (")
    assert refused(X).endswith("or write it again.")


def test_a_damaged_chunk(tmp_path):
    assert refused(Noting(walks(), 4, broken_at=14)) == (
        "X, a Noting, cannot be read at rows 8 to 16 (OSError: checksum of a chunk): its file is "
        "closed or damaged; open it, and keep it open, or write it again."
    )
    in_zarr(walks(), tmp_path)
    chunk = tmp_path / "X.zarr" / "c" / "2" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:40])
    assert refused(zarr.open_array(tmp_path / "X.zarr")).startswith("X, a Array, cannot be read at")


def test_a_memory_map_whose_file_was_cut_short(tmp_path):
    np.save(tmp_path / "X.npy", walks(4000))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    os.truncate(tmp_path / "X.npy", 10_000)
    for view in (X, X[::2], X[5:]):  # to read on would be a bus error, which ends the process
        message = refused(view)
        assert message.startswith("X, a memmap, cannot be read at rows 0 to 8 (OSError: the file")
        assert "has 10000 bytes of 1920128" in message


@pytest.mark.parametrize("make", [h5py.File, zarr.open_group], ids=["HDF5", "zarr"])
def test_a_group_is_not_an_array(make, tmp_path):
    group = make(tmp_path / "group", mode="w")
    group.create_array("X", shape=(9, 2, 30), dtype="f8") if make is zarr.open_group else None
    assert refused(group).endswith("which holds arrays by name: give one of them, X[name].")
    assert refused({"X": walks()}).startswith("X is a dict, which holds arrays by name")


@pytest.mark.parametrize(
    ("dtype", "said"), [(h5py.string_dtype(), "object"), ("c16", "complex128"), ("V8", r"|V8")]
)
def test_anything_but_numbers(dtype, said, tmp_path):
    with h5py.File(tmp_path / "X.h5", "w") as file:
        X = file.create_dataset("X", (9, 30), dtype)
        assert refused(X) == (
            f"X is a Dataset of type {said}: give one of numbers, such as float32."
        )


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(9), "Expected 2D array"),
        (np.zeros((3, 2, 2, 9)), "4 dimensions"),
        (np.zeros((0, 2, 9)), r"0 sample\(s\)"),
        (np.zeros((3, 0, 9)), r"0 (channels|feature\(s\))"),
        (np.zeros((3, 2, 1)), "at least 2 time points"),
    ],
)
def test_shapes(X, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(Noting(X, None))


@pytest.mark.parametrize(
    ("value", "message"), [(np.inf, "X contains infinity"), (1e30, r"1e\+30 after scaling")]
)
def test_values(value, message):
    X = walks()
    X[13, 1, 7] = value
    with pytest.raises(ValueError, match=message):
        quick(scaling=None).fit(Noting(X, 3))
    with pytest.raises(ValueError, match=message):
        quick(scaling=None).fit(walks()).transform(Noting(X, 3))


def test_a_dask_array_of_unknown_shape():
    X = in_dask(walks(), 20)
    assert refused(X[X[:, 0, 0] > 0]).endswith("call X.compute_chunk_sizes() first.")


@pytest.mark.parametrize("dtype", [float, int])
def test_what_is_masked_in_a_stored_panel_is_missing(dtype, tmp_path):
    X = np.round(100 * walks()).astype(dtype)
    mask = np.zeros(X.shape, dtype=bool)
    mask[3, 0, 5:8] = True
    mask[6, :, 20:] = True
    missing = np.where(mask, np.nan, X)
    np.save(tmp_path / "X.npy", np.where(mask, 999, X).astype(dtype))
    on_disk = np.ma.array(np.load(tmp_path / "X.npy", mmap_mode="r"), mask=mask)
    in_parts = dask.array.ma.masked_array(in_dask(np.where(mask, 999, X), 5, 15), mask=mask)
    expected = quick().fit(missing).transform(missing)
    for panel in (on_disk, in_parts):
        np.testing.assert_array_equal(quick().fit(panel).transform(panel), expected)


def test_out_of_float16_is_refused(tmp_path):
    embedder = quick().fit(walks())
    for out in (
        np.zeros((20, 32), np.float16),
        in_zarr(np.zeros((20, 32), np.float16), tmp_path, chunks=(5, 32)),
    ):
        with pytest.raises(
            ValueError, match=r"out must be an array of float32 or float64.*float16"
        ):
            embedder.transform(walks(), out=out)
