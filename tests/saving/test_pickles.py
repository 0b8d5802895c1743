"""Pickles of fitted embedders: they give the same embeddings, and hold arrays alone."""

from __future__ import annotations

import copy
import pickle
import pickletools

import joblib
import numpy as np
import pytest
from quick import quick, walks


def test_pickle_joblib_and_copies(model, tmp_path):
    joblib.dump(model.embedder, tmp_path / "embedder.joblib")
    model.check(joblib.load(tmp_path / "embedder.joblib"))
    model.check(pickle.loads(pickle.dumps(model.embedder)))
    model.check(copy.deepcopy(model.embedder))
    model.check(copy.copy(model.embedder))


def test_memory_mapped_weights(model, tmp_path):
    joblib.dump(model.embedder, tmp_path / "embedder.joblib")
    mapped = joblib.load(tmp_path / "embedder.joblib", mmap_mode="r")
    assert all(isinstance(array, np.memmap) for array in mapped.weights_.values() if array.size > 1)
    model.check(mapped)
    again = mapped.set_params(warm_start=True).fit(model.panel)  # the map itself is read-only
    assert again.n_iter_ == 2 * model.embedder.n_iter_


def test_skops_trusts_no_type_but_ours(plain):
    skops = pytest.importorskip("skops.io")
    content = skops.dumps(plain.embedder)
    assert skops.get_untrusted_types(data=content) == ["fei_sklearn._embedder.FEIEmbedder"]
    plain.check(skops.loads(content, trusted=["fei_sklearn._embedder.FEIEmbedder"]))


def test_a_pickle_names_no_engine(model):
    strings = [
        argument
        for _, argument, _ in pickletools.genops(pickle.dumps(model.embedder))
        if isinstance(argument, str)
    ]
    assert "weights_" in strings
    assert not [s for s in strings if "torch" in s or "lightning" in s]


@pytest.mark.parametrize("n_samples", [20, 200])
def test_a_pickle_is_as_large_as_the_weights(n_samples):
    embedder = quick(encoder="tiny").fit(walks(n_samples))
    embedder.transform(walks(n_samples))
    weights = sum(array.nbytes for array in embedder.weights_.values())
    assert weights < len(pickle.dumps(embedder)) < 1.05 * weights + 10_000


def test_a_pickle_of_another_device(plain, no_cuda):
    embedder = copy.deepcopy(plain.embedder).set_params(device="cuda")
    copied = pickle.loads(pickle.dumps(embedder))
    with pytest.raises(ValueError, match=r"device='cuda' is not on this machine.*'cpu'"):
        copied.transform(plain.panel)
    plain.check(copied.set_params(device="auto"))
