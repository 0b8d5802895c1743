"""Panels larger than memory, and devices that are smaller than a batch."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from quick import CONFIGURATIONS, quick, run_python, walks

from fei_sklearn import FEIClassifier, inference
from fei_sklearn._input.checks import check_panel
from fei_sklearn._input.preparation import to_panel
from fei_sklearn._input.scaling import Scaler
from fei_sklearn._input.stored import StoredPanel, is_memory_map
from fei_sklearn._input.stretching import Stretching
from fei_sklearn.data import LazySeries
from fei_sklearn.objectives.fei import FEIObjective


def on_disk(X, folder, name="X.npy"):
    np.save(folder / name, X)
    return np.load(folder / name, mmap_mode="r")


def with_gaps(X):
    X = X.copy()
    X[3, 0, 5:8], X[4, :, 20:], X[5, :, :4], X[6, 1] = np.nan, np.nan, np.nan, np.nan
    return X


# A memory map gives what an array gives


@pytest.mark.parametrize("name", [*CONFIGURATIONS, "stretched"])
@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
def test_fit_and_transform_of_a_memory_map(name, gaps, tmp_path):
    X = with_gaps(walks()) if gaps else walks()
    params = CONFIGURATIONS.get(name, {"min_timepoints": 40})
    expected = quick(**params).fit(X)
    embedder = quick(**params).fit(on_disk(X, tmp_path))
    for key, weights in expected.weights_.items():
        np.testing.assert_array_equal(embedder.weights_[key], weights, err_msg=key)
    embeddings = embedder.transform(on_disk(X, tmp_path))
    np.testing.assert_array_equal(embeddings, expected.transform(X))


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float16, np.float32, bool])
def test_a_memory_map_of_any_numbers(kind, tmp_path):
    X = (walks() * 3).astype(kind)
    expected = quick().fit(X)
    embedder = quick().fit(on_disk(X, tmp_path))
    np.testing.assert_array_equal(embedder.offset_, expected.offset_)
    np.testing.assert_array_equal(embedder.transform(on_disk(X, tmp_path)), expected.transform(X))


def test_views_of_a_memory_map_stay_in_their_file(tmp_path):
    X = on_disk(walks(), tmp_path)
    assert all(map(is_memory_map, [X, X[::2], np.asarray(X), X[:, 0], np.asarray(X)[:, :, 3:]]))
    assert not any(map(is_memory_map, [np.array(X), X[[1, 2]], walks(), [1.0], None]))
    whole = quick().fit(walks()[::2, :, 3:])
    np.testing.assert_array_equal(
        whole.transform(np.asarray(X)[:, :, 3:]), whole.transform(walks()[:, :, 3:])
    )


def test_fine_tuning_on_a_memory_map(tmp_path):
    X, y = walks(), np.arange(20) % 2
    params = {"max_epochs": 2, "random_state": 0}
    expected = FEIClassifier(quick(), **params).fit(X, y).predict_proba(X)
    tuner = FEIClassifier(quick(), **params).fit(on_disk(X, tmp_path), y)
    np.testing.assert_array_equal(tuner.predict_proba(on_disk(X, tmp_path)), expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.inf, "Input X contains infinity"), (1e30, r"1e\+30 after scaling")],
)
def test_bad_values_in_a_memory_map_are_a_sentence(value, message, tmp_path):
    X = walks()
    X[13, 1, 7] = value
    with pytest.raises(ValueError, match=message):
        quick(scaling=None).fit(on_disk(X, tmp_path))


@pytest.mark.parametrize("chunk", [7, 16, 1000])
def test_statistics_do_not_depend_on_the_chunks_much(chunk, monkeypatch):
    X = with_gaps(walks(100, 2, 30)) * [[1e-3], [1e3]] + [[1e6], [-5.0]]
    X[:20, 1] = np.nan  # whole chunks without a value
    monkeypatch.setattr("fei_sklearn._input.stored.MAX_BLOCK_ROWS", chunk)
    scaler = Scaler.fit(X, "channel")
    np.testing.assert_allclose(scaler.offset, np.nanmean(X, axis=(0, 2)), rtol=1e-12)
    np.testing.assert_allclose(scaler.scale, np.nanstd(X, axis=(0, 2)), rtol=1e-8)


# Rows of it


def test_lazy_series_are_indexed_like_the_array(tmp_path):
    X = on_disk(walks(), tmp_path)
    array = to_panel(np.array(X), Scaler.fit(X, "channel"))
    lazy = to_panel(StoredPanel(X), Scaler.fit(X, "channel"))
    assert isinstance(lazy.values, LazySeries)
    rows = np.array([5, 3, 5, 19, 0])
    for a, b in ((array, lazy), (array.univariate(), lazy.univariate())):
        assert a.values.shape == b.values.shape and len(a) == len(b)
        for key in (rows, slice(2, 9), (rows, slice(None), slice(11))):
            np.testing.assert_array_equal(b.values[key], a.values[key])
        some, same = a.select(rows).select(rows[::-1] % 5), b.select(rows).select(rows[::-1] % 5)
        np.testing.assert_array_equal(same.values[:], some.values)


#: A panel, and the memory beyond what an embedder fitted on little takes, in MB.
CODE = """
import resource, sys
import numpy as np
from quick import quick

folder, megabytes, allowed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
n = megabytes * 2**20 // (8 * 512)
generator = np.random.default_rng(0)
with open(folder + "/X.npy", "wb") as file:
    header = {"descr": "<f8", "fortran_order": False, "shape": (n, 1, 512)}
    np.lib.format.write_array_header_1_0(file, header)
    for start in range(0, n, 512):
        file.write(generator.normal(size=(min(512, n - start), 512)).tobytes())

def size():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmData")).split()[1])

few = {"pooling": "mean", "encoder": 8, "layers": "last", "max_epochs": 1, "batch_size": 64}
quick(**few).fit(generator.normal(size=(90, 1, 512))).transform(np.ones((20, 1, 512)))
limit = 1024 * size() + allowed * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
X = np.load(folder + "/X.npy", mmap_mode="r")
embedder = quick(**few).fit(X)
out = np.lib.format.open_memmap(folder + "/Z.npy", "w+", dtype=np.float32, shape=(n, 8))
assert embedder.transform(X, out=out) is out
rows = np.arange(3, n, n // 20)
np.testing.assert_array_equal(out[rows], embedder.transform(np.array(X[rows])))
try:
    np.array(X)
except MemoryError:
    print("larger than memory")
"""


@pytest.mark.slow
def test_a_panel_larger_than_memory(tmp_path):
    done = run_python(CODE, tmp_path, 96, 64, OMP_NUM_THREADS="1")
    assert done.strip() == "larger than memory"


def test_a_memory_map_is_made_ready_in_parts(tmp_path):
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float64, (4000, 2, 512))  # 31 MB
    X[::7] = walks(1, 2, 512)
    tracemalloc.start()
    try:
        embedder = quick()
        values = check_panel(embedder, X, reset=True)
        panel = to_panel(values, Scaler.fit(values, "channel"), Stretching(600)).univariate()
        panel.take(np.arange(50))
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert largest < X.nbytes / 2


# Embeddings into a given array


def test_embeddings_are_written_where_they_are_wanted(tmp_path):
    embedder = quick(pooling="mean").fit(walks())
    expected = embedder.transform(walks())
    for dtype in (np.float32, np.float64):
        out = np.full((20, 32), -1, dtype)
        assert embedder.transform(walks(), out=out) is out
        np.testing.assert_array_equal(out, expected)
    steps = embedder.set_params(pooling=None).transform([*walks(2), *walks(1, 2, 60)])
    out = np.zeros(steps.shape, np.float32)
    embedder.transform([*walks(2), *walks(1, 2, 60)], out=out)
    np.testing.assert_array_equal(out, steps)


@pytest.mark.parametrize(
    ("out", "got"),
    [
        (np.zeros((19, 32)), r"float64 of shape \(19, 32\)"),
        (np.zeros((20, 32), int), r"int64 of shape \(20, 32\)"),
        ([1.0], r"list of shape \(1,\)"),
    ],
)
def test_an_array_that_does_not_fit_is_a_sentence(out, got):
    with pytest.raises(ValueError, match=rf"out must be.*\(20, 32\), got {got}"):
        quick(pooling="mean").fit(walks()).transform(walks(), out=out)


# A device with little memory


NO_MEMORY = [
    torch.cuda.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    MemoryError(),
]

no_memory = pytest.mark.parametrize("error", NO_MEMORY, ids=["CUDA", "CPU", "NumPy"])


@no_memory
def test_a_tile_too_large_for_the_device_is_halved(error, monkeypatch):
    embedder = quick(pooling="mean").fit(walks())
    expected, tried = embedder.transform(walks(40)), []
    readout = inference.Readout.forward

    def small(self, x, *rest):
        tried.append(len(x))
        if len(x) > 5:
            raise error
        return readout(self, x, *rest)

    monkeypatch.setattr(inference.Readout, "forward", small)
    np.testing.assert_allclose(embedder.transform(walks(40)), expected, rtol=1e-4, atol=1e-5)
    assert tried == [32, 16, 8, *[4] * 8, *[4] * 8]  # what failed is not tried again


@no_memory
def test_a_series_too_large_for_the_device_is_a_sentence(error, monkeypatch):
    embedder = quick(pooling="mean", device="cpu").fit(walks())
    monkeypatch.setattr(inference.Readout, "forward", raising(error))
    message = r"cpu has too little memory for one series of 30 time points: use a smaller encoder"
    with pytest.raises(ValueError, match=message):
        embedder.transform(walks())


def test_another_error_of_an_encoder_passes(monkeypatch):
    embedder = quick(pooling="mean").fit(walks())
    monkeypatch.setattr(inference.Readout, "forward", raising(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        embedder.transform(walks())


@pytest.mark.parametrize("error", NO_MEMORY[:2], ids=["CUDA", "CPU"])
def test_a_batch_too_large_for_the_device_is_a_sentence(error, monkeypatch):
    monkeypatch.setattr(FEIObjective, "forward", raising(error))
    with pytest.raises(ValueError, match=r"on batches of 16 series: try batch_size=8"):
        quick(channels="mix", batch_size=16).fit(walks())
    with pytest.raises(ValueError, match=r"on batches of 18 series: try batch_size=9"):
        quick(channels="mix", batch_size=512).fit(walks())


def raising(error):
    """Return a function that raises an error."""

    def fail(*arguments, **named):
        raise error

    return fail
