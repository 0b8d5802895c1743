"""`evaluate`: its arguments and the numbers it returns."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from quick import quick
from sklearn.base import clone
from tiny_sets import arrays, dataset, sines, write

from fei_sklearn import FEIEmbedder
from fei_sklearn.evaluation import evaluate


@pytest.mark.parametrize("standardise", ["time-index", "model"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_infinite_values_are_no_missing_ones(part, standardise, fitted):
    X = arrays()[f"X_{part}"]
    X[3, 0, 5] = np.inf
    changes = {f"X_{part}": X}
    data = dataset(**changes)
    with pytest.raises(ValueError, match=r"inf(inity)? "):
        evaluate(fitted, sets=[data], standardise=standardise)


RANDOM = {"model": "random"}
RATIO = {"study": "ratio", "pretrain_on": sines(8)[0]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Neither a model nor a study"),
        (RANDOM | {"protocol": "zero-shot"}, "protocol must be one of"),
        (RANDOM | {"task": "clustering"}, "task must be one of"),
        ({"model": "raw", "protocol": "linear"}, "'raw' has no encoder"),
        ({"model": "raw", "params": {"pooling": "max"}}, "'raw' has no parameters"),
        (RANDOM | {"protocol": "linear", "head": "ridge"}, "is for protocol='probe'"),
        (RANDOM | {"params": {"pooling": "max"}, "readout": "paper"}, "fixes pooling"),
        (RANDOM | {"params": {"width": 3}}, "Invalid parameter 'width'"),
        (RANDOM | {"params": {"momentum": 3}}, "'momentum' parameter"),
        ({"model": "nowhere"}, "There is no model 'nowhere'"),
        ({"model": FEIEmbedder()}, "not fitted yet"),
        (RANDOM | {"seeds": [1, 1]}, "different integers"),
        (RANDOM | {"seeds": []}, "different integers"),
        (RANDOM | {"most": 1}, "at least 2 series, got 1"),
        (RANDOM | {"labels": [5, 5]}, "different whole numbers"),
        (RANDOM | {"labels": []}, "different whole numbers"),
        (RANDOM | {"labels": [0, 5]}, r"at least 1, got \[0, 5\]"),
        (RANDOM | {"labels": [2.5]}, r"whole numbers, each at least 1, got \[2.5\]"),
        (RANDOM | {"labels": [5], "protocol": "linear"}, "is for protocol='probe'"),
        (RANDOM | {"device": "abacus"}, "device must be"),
        (RANDOM | {"pretrain_on": sines(8)[0]}, "pretrain_on is for a study"),
        (RANDOM | {"study": "ratio"}, "models of its own"),
        ({"study": "ratio"}, "set pretrain_on"),
        (RATIO | {"study": "nosuch"}, "There is no study 'nosuch'"),
        (RATIO | {"params": {"mask_ratio": 0.5}}, "varies mask_ratio"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(**{"sets": [dataset()]} | arguments)


@pytest.mark.parametrize("model", ["trained", "raw"])
@pytest.mark.parametrize("standardise", ["model", "time-index"])
@pytest.mark.parametrize("offset", [1e6, 1e8])
def test_files_and_arrays_give_the_same_metrics(tmp_path, model, standardise, offset):
    content = arrays()
    X_train = content["X_train"].astype(np.float64) + offset
    X_test = content["X_test"].astype(np.float64) + offset
    changes = {"X_train": X_train, "X_test": X_test}
    write(tmp_path, "sines", content | changes)
    embedder = quick(max_epochs=1, pooling="mean")
    models = {"trained": clone(embedder).fit(X_train), "raw": "raw"}
    centred_models = {"trained": embedder.fit(content["X_train"]), "raw": "raw"}
    options = {"standardise": standardise}
    (stored,) = evaluate(models[model], data=tmp_path, **options)
    (in_memory,) = evaluate(models[model], sets=[dataset(**changes)], **options)
    assert stored["metrics"] == in_memory["metrics"]
    (centred,) = evaluate(centred_models[model], sets=[dataset()], **options)
    assert_allclose(stored["metrics"]["accuracy"], centred["metrics"]["accuracy"], atol=0.05)


def test_errors_on_large_targets_are_those_on_small_ones(tmp_path):
    content = arrays(regression=True)
    small = {part: 3.0 * np.arange(len(content[part])) for part in ("y_train", "y_test")}
    write(tmp_path, "small", content | small)
    large = {part: 1.7e9 + targets for part, targets in small.items()}
    write(tmp_path, "targets", content | large)
    (expected,) = evaluate("raw", data=tmp_path, sets=["small"])
    (record,) = evaluate("raw", data=tmp_path, sets=["targets"])
    assert_allclose(record["metrics"]["mse"], expected["metrics"]["mse"], rtol=1e-5)
    assert expected["metrics"]["mse"] > 10
