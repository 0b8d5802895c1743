"""The study of FEI's components: a small run, and its tables."""

from __future__ import annotations

import argparse
import importlib
import itertools
from pathlib import Path

import pytest
import tiny_sets

ROOT = Path(__file__).parent.parent


@pytest.fixture
def ablation(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("ablation")


@pytest.fixture
def small_study(ablation, monkeypatch, tmp_path):
    """Return the arguments of a run on sines, which are also its corpus."""
    series, _ = tiny_sets.sines(64)
    monkeypatch.setattr(ablation, "corpus", lambda name, n_series, folder: series)
    path = tiny_sets.write(tmp_path, "sines")
    return argparse.Namespace(
        folder=tmp_path,
        out=tmp_path / "ablation.jsonl",
        series=None,
        sets=[str(path)],
        widths=["tiny"],
        variants=["untrained", "fei", "temporal"],
        batch_size=32,
        passes=2,
        seeds=[0],
        most=20,
        most_test=10,
    )


def test_every_variant_is_pretrained_and_scored_by_both_heads(ablation, small_study):
    ablation.run(small_study)
    records = ablation.read_json(small_study.out)
    steps = {record["variant"]: record["steps"] for record in records}
    assert steps == {"untrained": 0, "fei": 4, "temporal": 4}
    for record in records:
        assert record["scores"].keys() == {"ridge", "linear"}
        for by_set in record["scores"].values():
            assert 0 <= by_set[small_study.sets[0]] <= 1
    _, fei, temporal = records
    assert fei["losses"]["mask_loss"] != temporal["losses"]["mask_loss"]


def test_variants_of_a_seed_start_from_the_same_encoder(ablation, small_study):
    series = ablation.corpus("sleep", None, small_study.folder)
    setting = ablation.Setting("tiny", batch_size=32, passes=0)
    variants = ("untrained", "fei-no-subspace", "continuous")
    embedded = [
        ablation.embedder_for(ablation.key_of(setting, variant) | {"seed": 3}).fit_transform(series)
        for variant in variants
    ]
    assert (embedded[0] == embedded[1]).all()
    assert (embedded[0] == embedded[2]).all()


def test_a_run_that_was_stopped_goes_on_where_it_was(ablation, small_study, monkeypatch):
    measured = []

    def measure(key, *_):
        if key["variant"] == "temporal" and len(measured) == 2:
            measured.append("stopped")
            raise KeyboardInterrupt
        measured.append(key["variant"])
        return key

    monkeypatch.setattr(ablation, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        ablation.run(small_study)
    ablation.run(small_study)
    assert measured == ["untrained", "fei", "stopped", "temporal"]


def test_tables_hold_paired_differences_over_seeds(ablation):
    records = []
    for seed, variant in itertools.product((0, 1), ("untrained", "fei", "fei-no-momentum")):
        accuracy = 0.6 + 0.1 * seed
        if variant == "untrained":
            accuracy -= 0.02
        if variant == "fei-no-momentum":
            accuracy += 0.01 + 0.02 * seed
        scores = dict.fromkeys(ablation.HEADS, dict.fromkeys(ablation.SETS, accuracy))
        key = ablation.key_of(ablation.Setting("tiny", 32, 1), variant)
        records.append(key | {"seed": seed, "scores": scores})
    rows = ablation.table(records, "ablation", "ridge").splitlines()
    cells = " | ".join(6 * ["65.00 (5.00)"])
    assert f"| tiny | 32 | 1 | FEI: accuracy | 2 | {cells} |" in rows
    cells = " | ".join(6 * ["-2.00 (0.00)"])
    assert f"| tiny | 32 | 1 | untrained | 2 | {cells} |" in rows
    cells = " | ".join(6 * ["+2.00 (1.00)"])
    assert f"| tiny | 32 | 1 | w/o momentum | 2 | {cells} |" in rows
    (published,) = [row for row in rows if "published |  |  | w/o mask prompt" in row]
    assert "| -36.67 |" in published
    assert "tiny" not in ablation.table(records, "masking", "ridge")


@pytest.mark.parametrize(
    ("variant", "title"),
    [
        ("fei-no-mask-prompt", "w/o mask prompt"),
        ("temporal", "temporal masks"),
        ("0.99", "momentum 0.99"),
        ("0-0.3", "ratios 0-0.3"),
    ],
)
def test_variants_of_each_study_have_titles(ablation, variant, title):
    assert ablation.title(variant) == title


def test_losses_are_averaged_over_seeds(ablation):
    setting = ablation.Setting("tiny", 32, 1)
    records = [
        ablation.key_of(setting, variant) | {"seed": seed, "losses": {"unexplained": share + seed}}
        for variant, share in (("fei-no-momentum", 0.5), ("fei", 0.25))
        for seed in (0, 2)
    ]
    _, _, *rows = ablation.loss_table(records).splitlines()
    assert rows == [
        "| tiny | 32 | 1 | FEI | 2 | 1.25 (1.00) |",
        "| tiny | 32 | 1 | w/o momentum | 2 | 1.50 (1.00) |",
    ]
