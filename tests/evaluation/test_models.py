"""Models that can be evaluated."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from quick import quick
from tiny_sets import arrays, dataset, sines

from fei_sklearn import FEIEmbedder
from fei_sklearn.evaluation import evaluate
from fei_sklearn.evaluation.models import (
    Conditions,
    Raw,
    SavedModel,
    UntrainedModel,
    embedder_of,
    find_model,
    model_fingerprint,
)


@pytest.fixture(scope="module")
def panel():
    X, _ = sines(12)
    return X


@pytest.mark.parametrize("model", ["fitted", "raw"])
def test_more_channels_missing_values_and_other_lengths(model, request):
    content = arrays(n_channels=2, n_timepoints=30)
    content["X_train"][0, :, 3:5] = np.nan
    X_test = content["X_test"][:9]
    content["X_test"] = [series[:, : 20 + i] for i, series in enumerate(X_test)]
    content["y_test"] = content["y_test"][:9]
    data = dataset(**content)
    if model == "fitted":
        model = request.getfixturevalue("fitted")
    (record,) = evaluate(model, sets=[data], head="ridge")
    assert record["counts"]["channels"] == 2


def test_random_draws_an_encoder_per_seed(panel):
    model = UntrainedModel({"encoder": 16, "pooling": "mean"})
    embeddings = []
    for seed in (0, 1, 1):
        embedder = model.adapt(panel, seed, Conditions())
        embeddings.append(embedder.transform(panel))
    first, second, again = embeddings
    assert_array_equal(again, second)
    assert not np.allclose(first, second)


def test_fingerprints_tell_parameters_and_weights_apart(fitted):
    narrow = UntrainedModel({"encoder": 16})
    default = UntrainedModel({})
    assert narrow.fingerprint != default.fingerprint
    X, _ = sines(20)
    other = quick(max_epochs=1, pooling="mean", random_state=1).fit(X)
    mine = SavedModel(fitted, "mine")
    same = SavedModel(fitted, "of another name")
    assert mine.fingerprint == same.fingerprint
    assert mine.fingerprint != SavedModel(other, "mine").fingerprint


def test_the_order_of_keys_is_not_in_a_fingerprint():
    fingerprint = model_fingerprint({"a": 1, "b": 2})
    assert fingerprint == model_fingerprint({"b": 2, "a": 1})


def test_the_seed_is_not_in_a_fingerprint():
    records = evaluate(
        "random",
        sets=[dataset()],
        seeds=[0, 1],
        head="ridge",
        params={"encoder": 16, "pooling": "mean"},
    )
    first, second = records
    assert first["fingerprint"] == second["fingerprint"]


def test_a_bundled_model_has_one_fingerprint_by_name_and_in_memory():
    in_memory = SavedModel(FEIEmbedder.from_pretrained("default"), "mine")
    assert find_model("default", {}).fingerprint == in_memory.fingerprint


def test_a_saved_model_is_found_by_its_folder(fitted, panel, tmp_path):
    path = tmp_path / "mine"
    fitted.save(path)
    model = find_model(path, {})
    assert model.name == "mine"
    embeddings = model.fitted.transform(panel)
    assert_array_equal(embeddings, fitted.transform(panel))
    other_readout = find_model(str(path), {"pooling": "max"})
    assert other_readout.fitted.pooling == "max"
    assert other_readout.fingerprint != model.fingerprint
    of_panel = find_model(str(path), {"calibration": "panel"})
    others = 5 + 3 * panel
    adapted = [saved.adapt(others, 0, Conditions()) for saved in (model, of_panel)]
    offsets = [embedder.offset_[0] for embedder in adapted]
    assert offsets == pytest.approx([fitted.offset_[0], others.mean()], abs=1e-6)
    with pytest.raises(ValueError, match="'momentum' is fixed"):
        find_model(path, {"momentum": 0.9})


def test_the_conditions_choose_the_readout(panel):
    rich = quick(max_epochs=0, pooling=("mean", "max")).fit(panel)
    model = SavedModel(rich, "rich")
    for is_paper, n_features in ((False, 32), (True, 16)):
        conditions = Conditions(paper_readout=is_paper)
        embedder = model.adapt(panel, 0, conditions)
        assert embedder.transform(panel).shape == (12, n_features)
    assert rich.pooling == ("mean", "max")


def test_untrained_models_do_not_scale_standardised_input(panel):
    model = UntrainedModel({"encoder": 16, "pooling": "mean"})
    scaled = model.adapt(panel, 0, Conditions())
    assert scaled.scaling is not None
    unscaled = model.adapt(panel, 0, Conditions(standardised=True))
    assert unscaled.scaling is None


def test_raw_series_have_the_training_length_and_no_gaps():
    X = np.array([[[1.0, 2.0, 3.0]], [[3.0, np.nan, 5.0]]])
    transformer = Raw().adapt(X, 0, Conditions())
    assert_array_equal(transformer.transform(X), [[1, 2, 3], [3, 2, 5]])
    shorter = X[:, :, :2]
    assert_array_equal(transformer.transform(shorter), [[1, 2, 4], [3, 2, 4]])
    longer = np.array([[[0.0, 1.0, 2.0, 3.0]]])
    assert_array_equal(transformer.transform(longer), [[0, 1, 2]])


def test_bad_models(fitted):
    with pytest.raises(TypeError, match="got int"):
        find_model(3, {})
    with pytest.raises(ValueError, match="leave out"):
        find_model(fitted, {"pooling": "max"})
    with pytest.raises(ValueError, match="'depth'"):
        embedder_of({"depth": 3})


@pytest.mark.slow
def test_minirocket():
    pytest.importorskip("numba")
    (record,) = evaluate("minirocket", sets=[dataset()])
    assert record["metrics"]["accuracy"] > 0.9
    assert record["settings"]["head"] == "ridge"
    data = dataset(X_test=np.full((20, 1, 24), np.nan, np.float32))
    with pytest.raises(ValueError, match="without missing values"):
        evaluate("minirocket", sets=[data])


def test_minirocket_refuses_short_series():
    pytest.importorskip("numba")
    pytest.importorskip("sktime")
    minirocket = find_model("minirocket", {})
    with pytest.raises(ValueError, match="at least 9 time points, got 8"):
        minirocket.adapt(np.zeros((4, 1, 8)), 0, Conditions())
