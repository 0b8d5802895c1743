"""`fei-sklearn pretrain`."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
from tiny_sets import arrays

from fei_sklearn import FEIEmbedder
from fei_sklearn.evaluation.standardise import TimeIndexStandardiser

PARAMS = {
    "encoder": 16,
    "max_epochs": 1,
    "min_epoch_steps": 1,
    "pooling": "mean",
}


def test_the_saved_model_is_that_of_fit(data, command, small):
    options = "--set mask_ratio=0.0,0.5 --seed 3"
    done = command(f"pretrain one --data data --out model {small} {options}")
    assert done.code == 0
    assert done.out.startswith("model: 40 series, 1 epochs, valid_loss ")
    assert "[FEIEmbedder] epoch 1/1" in done.err
    loaded = FEIEmbedder.load("model")
    assert loaded.mask_ratio == (0.0, 0.5)
    X = arrays()["X_train"]
    same = FEIEmbedder(**PARAMS, mask_ratio=(0.0, 0.5), random_state=3)
    same.fit(X)
    assert_array_equal(loaded.transform(X), same.transform(X))


def test_input_per_time_index_replaces_the_models_scaling(data, command, small):
    options = "--standardise time-index --quiet"
    done = command(f"pretrain one --data data --out model {small} {options}")
    assert (done.code, done.err) == (0, "")
    loaded = FEIEmbedder.load("model")
    assert loaded.scaling is None
    X = arrays()["X_train"]
    standardise = TimeIndexStandardiser(X)
    same = FEIEmbedder(**PARAMS, scaling=None, random_state=0)
    same.fit(standardise(X))
    assert_array_equal(loaded.transform(X), same.transform(X))


def test_no_epochs_leave_a_model_untrained(data, command):
    done = command("pretrain one --data data --out model --encoder 16 --epochs 0")
    assert done.out == "model: 40 series, 0 epochs, untrained\n"


def test_a_recipe_pretrains_on_its_corpus(data, command, monkeypatch):
    calls = []

    def pretrain_recipe(name, n_series, **params):
        calls.append((name, n_series, params))
        X = arrays()["X_train"]
        return FEIEmbedder(16, max_epochs=0).fit(X)

    monkeypatch.setattr("fei_sklearn.recipes.pretrain_recipe", pretrain_recipe)
    options = "--recipe fei-tiny --series 12 --seed 5 --quiet"
    done = command(f"pretrain --out model {options}")
    assert done.out == "model: 12 series, 0 epochs, untrained\n"
    ((name, n_series, params),) = calls
    assert (name, n_series) == ("fei-tiny", 12)
    assert params == {
        "verbose": 0,
        "device": "auto",
        "n_jobs": None,
        "random_state": 5,
    }
    assert FEIEmbedder.load("model").encoder == 16


def test_files_of_one_part(data, command, small):
    X = arrays()["X_train"]
    np.save(data / "series.npy", X)
    np.savez(data / "one_part.npz", X=X, y=np.arange(40) % 2)
    (data / "Pumps_TRAIN.ts").write_text("@classLabel true on off\n@data\n1,2,3:on\n3,4,6:off\n")
    for name in ("series.npy", "one_part", "Pumps_TRAIN.ts"):
        done = command(f"pretrain {name} --data data --out model {small} --quiet")
        assert done.code == 0, done.err
