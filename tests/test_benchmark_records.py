"""Records of the benchmarks: which cells a second run skips, and the tables that records make."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import numpy as np
import pytest
import tiny_sets
from result_records import record, regression_record

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Return a function that imports a script of the benchmarks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def rows_of(table):
    """Return the rows of a Markdown table as lists of cells, without its head."""
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_cell_is_measured_where_a_record_has_all_of_its_values(benchmark):
    results = benchmark("results")
    records = [{"set": "Wine", "seed": 0, "accuracy": 0.5}, {"set": "Meat", "seed": 1}]
    assert results.is_measured({"set": "Wine", "seed": 0}, records)
    assert not results.is_measured({"set": "Wine", "seed": 1}, records)
    assert not results.is_measured({"set": "Wine", "way": "as it is"}, records)


def test_fits_from_scratch_are_compared_with_minirocket_and_an_untrained_encoder(benchmark):
    from_scratch = benchmark("from_scratch")
    cell = {"seed": 0, "seconds": 1.0}
    records = [
        cell | {"set": "Wine", "fit": "MiniRocket", "accuracy": 0.50},
        cell | {"set": "Wine", "fit": "untrained", "accuracy": 0.60, "body": 0.3},
        cell | {"set": "Wine", "fit": "3 epochs", "accuracy": 0.62, "body": 0.4},
        cell | {"set": "Meat", "fit": "MiniRocket", "accuracy": 0.70},
        cell | {"set": "Meat", "fit": "untrained", "accuracy": 0.70, "body": 0.5},
        cell | {"set": "Meat", "fit": "3 epochs", "accuracy": 0.72, "body": 0.5},
    ]
    untrained, trained, rocket = rows_of(from_scratch.table(records))
    assert untrained[:5] == ["untrained", "1.00", "0.6500", "+5.00 (5.00)", "1, 0"]
    assert trained[5:] == ["+2.00 (0.00)", "0.4500", "+5.00 (5.00)"]
    assert rocket == ["MiniRocket", "1.00", "0.6000", *[""] * 5]


def test_further_pretraining_is_compared_with_the_checkpoint_as_it_is(benchmark):
    adapting = benchmark("adapting")
    accuracies = {("Crop", "as it is"): (0.5, 0.7), ("Crop", "1e-4"): (0.6, 0.7)}
    accuracies |= {("Wafer", "as it is"): (0.9, 0.9), ("Wafer", "1e-4"): (0.9, 0.94)}
    records = [
        {"checkpoint": "default", "size": 1000, "set": name, "way": way, "seed": seed, "default": a}
        for (name, way), of_seeds in accuracies.items()
        for seed, a in enumerate(of_seeds)
    ]
    assert rows_of(adapting.table(records, "default")) == [
        ["default", "1,000", "Crop", "0.6000", "+5.00"],
        ["default", "1,000", "Wafer", "0.9000", "+2.00"],
        ["default", "1,000", "**mean**", "0.7500", "+3.50 (1.50)"],
    ]


def test_fine_tuning_is_compared_on_the_sets_that_a_way_has(benchmark):
    finetuning = benchmark("finetuning")

    def record(name, way, seed, accuracy, seconds):
        cell = {"set": f"UCR:{name}", "seed": seed, "series": 1200, "way": way}
        return cell | {"accuracy": accuracy, "seconds": seconds}

    records = [
        record("Adiac", finetuning.RIDGE, 0, 0.5, 2.0),
        record("Adiac", finetuning.RIDGE, 1, 0.7, 2.0),
        record("Crop", finetuning.RIDGE, 0, 0.5, 1.0),
        record("Adiac", finetuning.TRAINED_HEAD, 0, 0.5, 1.0),
        record("Crop", finetuning.TRAINED_HEAD, 0, 0.6, 1.0),
        record("Crop", "fine-tuned", 0, 0.62, 30.0),
    ]
    assert rows_of(finetuning.accuracy_table(records)) == [
        ["Adiac", "1,200", "0.600", "0.500", ""],
        ["Crop", "1,200", "0.500", "0.600", "0.620"],
        ["points above frozen, ridge", "", "+0.00 (0.00)", "+0.00 (10.00)", "+12.00"],
        ["points above frozen, trained head", "", "+0.00 (10.00)", "+0.00 (0.00)", "+2.00"],
        ["times the seconds of frozen, trained head", "", "1.4", "1.0", "30.0"],
    ]


def test_errors_of_fine_tuning_are_compared_in_percent(benchmark):
    finetuning = benchmark("finetuning")
    errors = {finetuning.RIDGE: 0.2, finetuning.TRAINED_HEAD: 0.1, "fine-tuned": 0.1 * np.e}
    cell = {"set": "FD001", "seed": 0, "series": 2000, "seconds": 1.0}
    records = [cell | {"way": way, "RMSE": error} for way, error in errors.items()]
    assert rows_of(finetuning.error_table(records))[1:3] == [
        ["percent above frozen, ridge", "", "+0.00", "-69.31", "+30.69"],
        ["percent above frozen, trained head", "", "+69.31", "+0.00", "+100.00"],
    ]


def test_variants_of_pretraining_are_compared_with_the_base_of_the_same_seeds(benchmark):
    recipes = benchmark("recipes")

    def record(variant, seed, accuracy):
        scores = {"Wine": {"default": accuracy, "paper": accuracy / 2}}
        return {"variant": variant, "seed": seed, "scores": scores}

    records = [record("base", 0, 0.6), record("base", 1, 0.8), record("temporal", 1, 0.9)]
    assert rows_of(recipes.table(records)) == [
        ["base", "2", "0.7000", "+0.00", "0.3500", "+0.00"],
        ["temporal", "1", "0.9000", "+10.00", "0.4500", "+5.00"],
    ]


def test_choices_are_compared_readout_by_readout(benchmark):
    choices = benchmark("choices")
    cell = {"study": "scaling", "set": "Tecator"}
    records = [
        cell | {"variant": "channel", "seed": 0, "default": 0.9, "paper": 0.8},
        cell | {"variant": "channel", "seed": 1, "default": 0.8, "paper": 0.8},
        cell | {"variant": "series", "seed": 0, "default": 0.9, "paper": 0.95},
    ]
    assert rows_of(choices.table(records, "scaling")) == [
        ["default", "channel", "0.850"],
        ["default", "series", "0.900"],
        ["paper", "channel", "0.800"],
        ["paper", "series", "0.950"],
    ]


def test_checkpoints_are_compared_with_their_twins_beside_the_published_figures(benchmark):
    paper_sets = benchmark("paper_sets")
    records = [
        record("EMG", 0.80, model="default"),
        record("GES", 0.60, model="default"),
        record("EMG", 0.70, model="default-untrained", seed=0, fingerprint="b"),
        record("EMG", 0.76, model="default-untrained", seed=1, fingerprint="c"),
        record("GES", 0.60, model="default-untrained"),
        record("EMG", 0.99, model="default", protocol="probe"),
    ]
    table = paper_sets.table(records, "linear", "accuracy")
    assert table.startswith("| set | default | default-untrained | Rand. Init., published |")
    assert rows_of(table) == [
        ["EMG", "80.0", "73.0 ± 4.2", "46.34", "87.8"],
        ["GES", "60.0", "60.0", "12.5", "75.0"],
        ["**points over the twin**", "+3.50 (3.50)", "", "", ""],
    ]


def test_errors_are_compared_in_percent_of_the_twins(benchmark):
    paper_sets = benchmark("paper_sets")
    records = [
        regression_record(0.03, 0.1, model="fei-tiny"),
        regression_record(0.04, 0.1, model="fei-tiny-untrained"),
    ]
    assert rows_of(paper_sets.table(records, "linear", "mse")) == [
        ["FD001", "0.0300", "0.0400", "0.065", "0.034"],
        ["**percent below the twin**", "+25.00", "", "", ""],
    ]


def test_sets_of_unequal_length_may_be_chosen(benchmark, tmp_path):
    unequal_lengths = benchmark("unequal_lengths")
    for name in unequal_lengths.PADDED[-2:]:
        tiny_sets.write(tmp_path, name)
    chosen = unequal_lengths.PADDED[-1]
    args = argparse.Namespace(folder=tmp_path, sets=[chosen], seed=0, most=None)
    assert [name for name, _, _ in unequal_lengths.unequal_splits(args)] == [chosen]
