"""Ways to pretrain the front end: their models on a small corpus, and the table of both halves."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import numpy as np
import pytest
import tiny_sets

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import make_corpus

#: Variant of several runs.
AVERAGED = "kernels x 10, time points, four runs averaged"

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("front_pretraining")


@pytest.fixture(scope="module")
def corpus():
    return make_corpus(32, 128, random_state=0)[:, np.newaxis]


@pytest.fixture(scope="module")
def models(script, corpus, tmp_path_factory):
    """Return a folder with variants of the small corpus."""
    folder = tmp_path_factory.mktemp("models")
    script.make_untrained(folder, corpus)
    for title in ("none, other kernels", "recipe", "kernels x 10", AVERAGED):
        script.make_model(title, folder, corpus)
    return folder


def test_smaller_kernels_are_turned_further(script, models):
    assert script.turned("untrained", models) == pytest.approx(0.0, abs=0.02)
    recipe = script.turned("recipe", models)
    assert recipe > 0.05
    assert script.turned("kernels x 10", models) == pytest.approx(10 * recipe, rel=0.2)


def test_other_kernels_are_a_draw_of_their_own(script, models):
    assert script.turned("none, other kernels", models) > 45
    other = FEIEmbedder.from_pretrained(models / "none, other kernels")
    assert other.history_ == []


def test_the_kernels_of_several_runs_are_averaged(script, models, corpus):
    runs = [script.run(script.VARIANTS[AVERAGED], models, corpus, seed) for seed in range(4)]
    kernels = [one.weights_[script.KERNELS] for one in runs]
    assert not np.array_equal(kernels[0], kernels[1])
    model = FEIEmbedder.from_pretrained(models / AVERAGED)
    np.testing.assert_allclose(model.weights_[script.KERNELS], np.mean(kernels, axis=0), atol=1e-6)


def test_the_averaged_weights_are_calibrated_on_the_corpus(script, models, corpus):
    model = FEIEmbedder.from_pretrained(models / AVERAGED)
    again = script.calibrated(models / AVERAGED, corpus)
    variances = "encoder.front.norm.running_var"
    np.testing.assert_allclose(model.weights_[variances], again.weights_[variances], rtol=1e-6)


def test_the_corpus_is_shown_under_the_views_by_turns(script, corpus):
    seen = script.under_views(corpus, ("level", "change", "sum"))
    np.testing.assert_array_equal(seen[::3], corpus[::3])
    change = np.diff(corpus[1::3])
    deviation = change.std(axis=-1, keepdims=True)
    expected = (change - change.mean(axis=-1, keepdims=True)) / deviation
    np.testing.assert_allclose(seen[1::3, :, :-1], expected, atol=1e-4)


def test_a_set_is_measured_once_at_every_readout(script, models, tmp_path):
    tiny_sets.write(tmp_path, "Crop")
    out = tmp_path / "records.jsonl"
    args = argparse.Namespace(
        folder=tmp_path, sets=None, longest=None, models=models, most=20, out=out
    )
    for _ in range(2):
        script.measure_variant("recipe", args)
    (record,) = script.read_json(out)
    assert record["set"] == "Crop"
    assert all(record[readout] > 0.9 for readout in script.READOUTS)


def test_short_numbers_are_on_the_axes_of_the_training_part(script):
    rng = np.random.default_rng(0)
    labels = np.zeros(9)
    features = script.Split(rng.normal(size=(9, 20)), labels, rng.normal(size=(9, 20)), labels)
    short = script.on_axes(features)
    assert short.X_train.shape == (9, 8)
    deviations = short.X_train.std(axis=0)
    np.testing.assert_array_equal(deviations, np.sort(deviations)[::-1])
    # all axes together keep the distances of the standardised series
    scaled = features.X_train / features.X_train.std(axis=0)
    expected = np.linalg.norm(scaled[0] - scaled[1])
    assert np.linalg.norm(short.X_train[0] - short.X_train[1]) == pytest.approx(expected)


def test_the_halves_hold_whole_families(script):
    names = ["Wine", "Meat", "GunPoint", "GunPointAgeSpan", "Crop", "Adiac", "OSULeaf"]
    first, second = script.halves(names)
    assert sorted(first + second) == sorted(names)
    # Crop, gunpoint, leaves and spectra, in this order
    assert first == ["Crop", "Adiac", "OSULeaf"]
    assert second == ["Wine", "Meat", "GunPoint", "GunPointAgeSpan"]


def test_the_table_compares_each_half_with_the_untrained_encoder(script):
    untrained = {"Crop": 0.5, "Adiac": 0.5, "GunPoint": 0.9, "Wine": 0.8}
    trained = {"Crop": 0.6, "Adiac": 0.5, "GunPoint": 0.9, "Wine": 0.7}
    records = [
        {"variant": variant, "set": name, "degrees": 1.4} | dict.fromkeys(script.READOUTS, accuracy)
        for variant, by_set in {"untrained": untrained, "recipe": trained}.items()
        for name, accuracy in by_set.items()
    ]
    row = script.table(records).splitlines()[-1]
    assert row == "| recipe | 1.4° |" + " +5.00 (5.00) | -5.00 (5.00) |" * len(script.READOUTS)
