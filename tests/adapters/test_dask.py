"""Embeddings of dask arrays, in this process and on a cluster that loses a worker."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
from quick import quick, walks
from sklearn import config_context
from sklearn.exceptions import NotFittedError

from fei_sklearn import FEIEmbedder
from fei_sklearn.adapters.dask import embed


@pytest.fixture(scope="module")
def embedder():
    return quick(n_jobs=1).fit(walks())


@pytest.mark.parametrize("chunks", [(7, -1, -1), (20, 1, 10), (1, 2, 30)])
def test_equals_one_machine_bit_by_bit(embedder, chunks):
    X = walks(seed=1)
    embeddings = embed(embedder, da.from_array(X, chunks=chunks))
    assert embeddings.shape == (20, 32)
    assert embeddings.chunks == (da.from_array(X, chunks=chunks).chunks[0], (32,))
    computed = embeddings.compute(scheduler="threads", num_workers=3)
    assert computed.dtype == np.float32
    np.testing.assert_array_equal(computed, embedder.transform(X))


def test_two_dimensions_and_the_default_readout():
    X = walks(12, 1, 64)[:, 0]
    embedder = quick(encoder="dilated", pooling="small", max_epochs=0).fit(X)
    embeddings = embed(embedder, da.from_array(X, chunks=(5, 16)))
    np.testing.assert_array_equal(embeddings.compute(), embedder.transform(X))


def test_a_univariate_model_takes_two_dimensions_as_well():
    X = walks(12, 1, 64)
    embedder = FEIEmbedder.from_pretrained(device="cpu").set_params(n_jobs=1)
    embeddings = embed(embedder, da.from_array(X[:, 0], chunks=(5, -1)))
    np.testing.assert_array_equal(embeddings.compute(), embedder.transform(X))


def test_nothing_is_computed_before_the_result_is(embedder):
    def fail(block):
        raise AssertionError("a block was computed")

    X = da.from_array(walks(), chunks=(5, -1, -1)).map_blocks(fail, dtype=float)
    embeddings = embed(embedder, X)
    with pytest.raises(AssertionError, match="a block was computed"):
        embeddings.compute()


def test_rows_of_unknown_number_and_none(embedder):
    X = walks()
    array = da.from_array(X, chunks=(5, -1, -1))
    chosen = array[array[:, 0, 0] > 100]  # no row, in blocks of unknown size
    assert embed(embedder, chosen).compute().shape == (0, 32)


def test_frames_of_a_global_configuration_stay_out(embedder):
    with config_context(transform_output="pandas"):
        embeddings = embed(embedder, da.from_array(walks(), chunks=(5, -1, -1))).compute()
    assert isinstance(embeddings, np.ndarray)


def test_what_is_wrong_is_named(embedder):
    with pytest.raises(NotFittedError):
        embed(quick(), da.zeros((4, 2, 30)))
    with pytest.raises(TypeError, match="X must be a dask array, got ndarray: give dask"):
        embed(embedder, walks())
    with pytest.raises(ValueError, match=r"X has 2 dimensions.* fitted on 3"):
        embed(embedder, da.zeros((4, 30)))
    with pytest.raises(ValueError, match=r"3 (channels|features)"):
        embed(embedder, da.zeros((4, 3, 30)))
    steps = quick(pooling=None).fit(walks())
    with pytest.raises(ValueError, match="one row per series, and pooling=None one per step"):
        embed(steps, da.zeros((4, 2, 30)))


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker(embedder, tmp_path):
    distributed = pytest.importorskip("distributed")
    X = walks(200, seed=2)
    killed = tmp_path / "killed"

    def kill_once(block):
        import os
        import signal

        if not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return block

    array = da.from_array(X, chunks=(10, -1, -1)).map_blocks(
        kill_once, dtype=X.dtype, meta=np.empty((0, 2, 30))
    )
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "30s"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
    ):
        embeddings = embed(embedder, array).compute()
    assert killed.exists()
    np.testing.assert_array_equal(embeddings, embedder.transform(X))
