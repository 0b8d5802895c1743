"""Saving and loading a fitted embedder: the same embeddings, in this process and in another."""

from __future__ import annotations

import copy
import os
import pickle

import joblib
import numpy as np
import pytest
from fitted_models import wide_frame
from quick import quick, run_python
from sklearn.base import clone

from fei_sklearn import FEIEmbedder
from fei_sklearn._saving.folder import CONFIG, WEIGHTS


def test_save_and_load(model, tmp_path):
    model.embedder.save(tmp_path / "deep" / "model")
    loaded = FEIEmbedder.load(tmp_path / "deep" / "model", encoder=model.encoder)
    assert sorted(os.listdir(tmp_path / "deep" / "model")) == [CONFIG, WEIGHTS]
    model.check(loaded)
    fitted = dict(vars(model.embedder))
    copied = dict(vars(loaded))
    weights = fitted.pop("weights_")
    again = copied.pop("weights_")
    assert list(sorted(weights)) == list(sorted(again))
    for name, array in weights.items():
        np.testing.assert_array_equal(array, again[name], strict=True)
    assert isinstance(copied["pooling"], str | tuple)
    assert tuple(copied.pop("pooling")) == tuple(fitted.pop("pooling"))
    assert fitted.keys() == copied.keys()
    for name, value in fitted.items():
        np.testing.assert_equal(copied[name], value)


def test_a_loaded_model_is_as_good_as_the_saved_one(plain, saved, tmp_path):
    loaded = FEIEmbedder.load(saved)
    loaded.save(tmp_path / "again")
    plain.check(FEIEmbedder.load(tmp_path / "again"))
    plain.check(pickle.loads(pickle.dumps(loaded)))
    plain.check(clone(loaded).fit(plain.panel))
    assert loaded.set_params(warm_start=True).fit(plain.panel).n_iter_ == 4


def test_columns_are_checked_after_loading(tmp_path):
    frame = wide_frame()
    quick().fit(frame).save(tmp_path)
    loaded = FEIEmbedder.load(tmp_path)
    assert list(loaded.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.transform(frame[frame.columns[::-1]])


def test_a_model_of_a_cuda_machine(plain, no_cuda, tmp_path):
    copy.deepcopy(plain.embedder).set_params(device="cuda").save(tmp_path)
    loaded = FEIEmbedder.load(tmp_path)
    assert loaded.device == "auto"
    plain.check(loaded)
    assert FEIEmbedder.load(tmp_path, device="cpu").device == "cpu"
    plain.check(quick(max_epochs=0, pretrained=tmp_path).fit(plain.panel))


IN_A_NEW_PROCESS = """
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np

folder = Path(sys.argv[1])
panel = np.load(folder / "panel.npy")


def embeddings(embedder):
    np.testing.assert_array_equal(embedder.transform(panel), np.load(folder / "embeddings.npy"))


embeddings(pickle.loads((folder / "embedder.pickle").read_bytes()))
embeddings(joblib.load(folder / "embedder.joblib", mmap_mode="r"))
from fei_sklearn import FEIEmbedder

loaded = FEIEmbedder.load(folder / "model")
embeddings(loaded)
embeddings(FEIEmbedder.from_pretrained(folder / "model", device="cpu"))
assert "lightning_fabric" not in sys.modules, "only training needs the engine"
embeddings(loaded.fit(panel))
assert not {"lightning", "pytorch_lightning", "sktime", "tensorboard"} & set(sys.modules)
"""


def test_a_new_process_without_cuda(plain, tmp_path):
    np.save(tmp_path / "panel.npy", plain.panel)
    np.save(tmp_path / "embeddings.npy", plain.embeddings)
    (tmp_path / "embedder.pickle").write_bytes(pickle.dumps(plain.embedder))
    joblib.dump(plain.embedder, tmp_path / "embedder.joblib")
    plain.embedder.save(tmp_path / "model")
    assert run_python(IN_A_NEW_PROCESS, tmp_path, CUDA_VISIBLE_DEVICES="") == ""
