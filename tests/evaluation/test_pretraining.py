"""Studies: variants are pretrained once per seed, saved, and loaded again."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose
from tiny_sets import dataset, sines

from fei_sklearn import FEIEmbedder
from fei_sklearn.evaluation import STUDIES, evaluate
from fei_sklearn.evaluation.models import Conditions
from fei_sklearn.evaluation.pretraining import Corpus, study_variants

NARROW = {
    "encoder": 16,
    "max_epochs": 1,
    "min_epoch_steps": 1,
    "pooling": "mean",
}


@pytest.fixture
def study(monkeypatch):
    """Arguments of a study of two variants."""
    monkeypatch.setitem(STUDIES, "masking", STUDIES["masking"][:2])
    X, _ = sines(16)
    return {"study": "masking", "pretrain_on": X, "params": NARROW, "head": "ridge"}


@pytest.mark.parametrize(("params", "encoder"), [({}, "small"), ({"encoder": 16}, 16)])
def test_variants_have_the_papers_encoder_unless_another_is_set(params, encoder):
    corpus = Corpus(sines(16)[0], per_time_index=False)
    variants = study_variants("masking", corpus, params, None)
    assert {variant.params["encoder"] for variant in variants} == {encoder}
    sizes = study_variants("sizes", corpus, {}, None)
    assert [variant.params["encoder"] for variant in sizes] == ["tiny", "small", "norm", "big"]


@pytest.fixture
def pretrained_seeds(monkeypatch):
    """Random state of each embedder that is pretrained."""
    seeds = []
    original = FEIEmbedder.fit

    def fit(embedder, X, y=None):
        if embedder.max_epochs > 0:
            seeds.append(embedder.random_state)
        return original(embedder, X, y)

    monkeypatch.setattr(FEIEmbedder, "fit", fit)
    return seeds


def test_each_variant_is_pretrained_once_per_seed(study, folder, tmp_path, pretrained_seeds):
    out = tmp_path / "results.jsonl"
    study |= {"data": folder, "seeds": [0, 1], "out": out}
    records = evaluate(**study)
    assert pretrained_seeds == [0, 1, 0, 1]
    assert len(records) == 2 * 2 * 2
    assert {record["variant"] for record in records} == {"discrete", "continuous"}
    saved = tmp_path / "results_models" / "masking"
    assert len(list(saved.iterdir())) == 4

    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:5]))
    again = evaluate(**study)
    assert len(again) == 8
    assert pretrained_seeds == [0, 1, 0, 1]  # the saved models are loaded


def test_an_incomplete_saved_model_is_pretrained_again(study, tmp_path, pretrained_seeds):
    out = tmp_path / "results.jsonl"
    study |= {"sets": [dataset()], "out": out}
    evaluate(**study)
    for folder in (tmp_path / "results_models" / "masking").iterdir():
        (folder / "model.safetensors").unlink()
    out.unlink()
    records = evaluate(**study)
    assert len(records) == 2
    assert pretrained_seeds == [0, 0, 0, 0]


def test_a_variant_that_cannot_be_pretrained_is_tried_once(study, failures, monkeypatch):
    tried = []

    def fit(embedder, X, y=None):
        tried.append(embedder.mask_kind)
        raise ValueError("no")

    monkeypatch.setattr(FEIEmbedder, "fit", fit)
    sets = [dataset("a"), dataset("b")]
    assert evaluate(**study, sets=sets, on_failure=failures.note) == []
    assert tried == ["discrete", "continuous"]
    assert len(failures) == 4


def test_a_corpus_is_standardised_in_place_of_the_embedders_scaling():
    X, _ = sines(16)
    plain = Corpus(X, per_time_index=False)
    assert plain.X is X
    assert plain.scaling == {}
    standardised = Corpus(X, per_time_index=True)
    assert_allclose(standardised.X.mean(axis=0), 0, atol=1e-6)
    assert standardised.scaling == {"scaling": None}
    assert plain.fingerprint != standardised.fingerprint


def test_a_variant_differs_from_others_by_parameters_and_corpus():
    X, _ = sines(16)
    fingerprints = set()
    for series in (X, X[:8]):
        corpus = Corpus(series, per_time_index=False)
        variants = study_variants("masking", corpus, NARROW, None)
        fingerprints |= {variant.fingerprint for variant in variants}
    assert len(fingerprints) == 6


def test_without_a_folder_variants_stay_in_memory(pretrained_seeds):
    X, _ = sines(16)
    corpus = Corpus(X, per_time_index=False)
    variant, *_ = study_variants("masking", corpus, NARROW, None)
    for seed in (3, 3, 4, 3):
        variant.adapt(X, seed, Conditions())
    assert pretrained_seeds == [3, 4]
