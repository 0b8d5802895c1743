"""The comparison of FEI with its rivals: a small run, its ranks and its tables."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import tiny_sets

ROOT = Path(__file__).parent.parent


#: Methods of the small study.
SMALL = ["random", "tfc", "fei"]


def imported(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module(name)


@pytest.fixture
def ranks(monkeypatch):
    return imported("ranks", monkeypatch)


@pytest.fixture
def rivals(monkeypatch):
    return imported("rivals", monkeypatch)


@pytest.fixture
def rival_tables(monkeypatch):
    return imported("rival_tables", monkeypatch)


def arguments(folder):
    options = {
        "folder": folder,
        "out": folder / "rivals.jsonl",
        "sets": [str(folder / "sines.npz")],
        "corpora": ["synthetic"],
        "budgets": ["steps", "seconds"],
        "methods": SMALL,
        "most": 20,
        "most_test": 10,
        "draws": 2,
    }
    return argparse.Namespace(**options)


@pytest.fixture
def small_study(rivals, monkeypatch, tmp_path):
    """Return the arguments of a run of two trained methods, whose costs are known."""
    trained = SMALL[1:]
    steps = rivals.Budget(SMALL, n_series=64, n_steps=4, readouts=("paper", "default"))
    seconds = rivals.Budget(trained, n_series=64, seconds=0.08)
    monkeypatch.setattr(rivals, "TRAINED", trained)
    monkeypatch.setattr(rivals, "BUDGETS", {"steps": steps, "seconds": seconds})
    tiny_sets.write(tmp_path, "sines")
    args = arguments(tmp_path)
    costs = [{"cost": "tfc", "seconds": 0.04, "MiB": 1}, {"cost": "fei", "seconds": 0.01, "MiB": 1}]
    args.out.write_text("".join(json.dumps(cost) + "\n" for cost in costs))
    return args


def test_a_run_has_equal_steps_and_equal_seconds_of_every_method(rivals, small_study):
    rivals.run(small_study)
    records = [record for record in rivals.read_json(small_study.out) if "scores" in record]
    steps = {(record["method"], record["budget"]): record["steps"] for record in records}
    assert steps == {
        ("random", "steps"): 0,
        ("tfc", "steps"): 4,
        ("fei", "steps"): 4,
        ("tfc", "seconds"): 2,
        ("fei", "seconds"): 8,
    }
    heads = {"paper": {"ridge", "few", "linear"}, "default": {"ridge", "few"}}
    for record in records:
        assert record["scores"].keys() == heads[record["readout"]]
        assert all(0 <= by_set[small_study.sets[0]] <= 1 for by_set in record["scores"].values())


def test_a_run_that_was_stopped_goes_on_where_it_was(rivals, small_study, monkeypatch):
    measured = []

    def measure(key, *_):
        if len(measured) == stop_after:
            raise KeyboardInterrupt
        measured.append((key["method"], key["budget"]))
        yield key | {"scores": {}}

    monkeypatch.setattr(rivals, "measure", measure)
    stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        rivals.run(small_study)
    stop_after = None
    rivals.run(small_study)
    assert measured == [
        ("random", "steps"),
        ("tfc", "steps"),
        ("fei", "steps"),
        ("tfc", "seconds"),
        ("fei", "seconds"),
    ]


def test_a_method_is_scored_again_from_the_same_seed(rivals, small_study):
    X = rivals.corpus("synthetic", 64, small_study.folder)
    tasks = {"sines": rivals.task_of(small_study.sets[0], small_study)}
    key = {"corpus": "synthetic", "budget": "steps", "method": "fei", "seed": 3}
    first, second = (list(rivals.measure(key, X, 1, tasks, 2)) for _ in range(2))
    assert [record["scores"] for record in first] == [record["scores"] for record in second]


def test_few_passes_are_rounded_and_never_none(rivals):
    steps = rivals.Budget(n_series=320, n_steps=24)
    seconds = rivals.Budget(n_series=320, seconds=1.0)
    assert rivals.passes("fei", steps, {}) == 2
    assert rivals.passes("fei", seconds, {"fei": 0.03}) == 3
    assert rivals.passes("fei", seconds, {"fei": 10.0}) == 1
    assert rivals.passes("random", steps, {}) == 0
    assert rivals.passes("random, tfc", steps, {}) == 0


def test_a_budget_sets_the_encoder(rivals):
    assert rivals.embedder_for("fei", 0, 1, "small").encoder == "small"
    assert rivals.embedder_for("fei", 0, 1).encoder == "tiny"


def test_every_pretraining_of_the_budgets_is_run_once(rivals, tmp_path):
    args = arguments(tmp_path)
    args.corpora = rivals.CORPORA
    args.methods = [*rivals.METHODS, *rivals.OPTIONS]
    args.budgets = list(rivals.BUDGETS)
    keys = [tuple(key.values()) for key in rivals.keys_of(args)]
    assert len(keys) == len(set(keys))
    assert ("sleep", "longer", "random", 0) in keys
    assert ("sleep", "longer", "infots", 0) not in keys
    assert ("synthetic", "seconds", "random", 0) not in keys
    assert ("sleep", "options", "fei, stride 1", 1) in keys


def test_the_critical_difference_is_that_of_the_article(ranks):
    # Demšar (2006), table 5 and example: four methods, fourteen sets, q = 2.569
    assert ranks.critical_difference(4, 14) == pytest.approx(1.25, abs=0.01)


def test_ranks_average_over_common_sets_with_ties_shared(ranks):
    scores = {
        "best": {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.1},
        "tied": {"a": 0.5, "b": 0.5, "c": 0.5},
        "also tied": {"a": 0.5, "b": 0.5, "c": 0.5},
    }
    found = ranks.rank(scores)
    assert found.averages == {"best": 1.0, "tied": 2.5, "also tied": 2.5}
    assert found.n_sets == 3
    assert found.p_value == pytest.approx(0.0498, abs=1e-4)  # chi-squared 6 of 2 degrees


def test_groups_are_the_widest_ranges_below_the_critical_difference(ranks):
    averages = {"a": 1.0, "b": 1.8, "c": 2.5, "d": 5.0}
    found = ranks.Ranks(averages, p_value=0.0, critical_difference=1.0, n_sets=9)
    assert ranks.groups(found) == [(1.0, 1.8), (1.8, 2.5)]


@pytest.fixture
def records(rivals, rival_tables):
    """Return records in which FEI is best everywhere, and each seed 2 points above the last."""
    made = [{"cost": "fei", "seconds": 0.02, "MiB": 5.0}]
    places = {method: place for place, method in enumerate([*rivals.METHODS, *rivals.OPTIONS])}
    for name, budget in rivals.BUDGETS.items():
        for corpus, method, seed in itertools.product(budget.corpora, budget.methods, range(3)):
            by_set = dict.fromkeys(rivals.SETS, 0.5 + 0.01 * places[method] + 0.02 * seed)
            by_set["FEMTO"] = -1.0
            key = {"corpus": corpus, "budget": name, "method": method, "seed": seed}
            trained = {"steps": 7, "seconds": 1.25}
            heads = dict.fromkeys(rival_tables.HEADS, by_set)
            for readout in budget.readouts:
                made.append(key | trained | {"readout": readout, "scores": heads})
    return made


def test_tables_hold_means_over_seeds_and_average_ranks(rival_tables, records):
    accuracies = rival_tables.accuracy_table(records, "seconds")
    assert "| FEI | 59.0 ± 2.0 |" in accuracies
    assert "| untrained | 52.0 ± 2.0 |" in accuracies
    ranks = rival_tables.rank_table(records, "steps")
    # first on 18 sets, one of eight equals on FEMTO
    assert f"| FEI | {(18 * 1 + 4.5) / 19:.2f} |" in ranks
    named = rival_tables.named_table(records, "sleep", "steps", "linear")
    assert named.splitlines()[-1].endswith("| 0.59 ± 0.02 | -1.00 ± 0.00 |")
    assert "| FEI | default | 59.0 ± 2.0 |" in rival_tables.readout_table(records)
    options = rival_tables.option_table(records)
    assert "| FEI, `stride=1` | 61.0 ± 1.4 |" in options
    assert "| FEI | 58.0 ± 1.4 |" in options
    assert "| FEI | 20 | 5 | 7 | 1.2 | 7 | 1.2 |" in rival_tables.cost_table(records)


def test_budgets_are_compared_by_their_common_methods_and_seeds(rival_tables, records):
    accuracies = rival_tables.budget_table(records)
    assert "| FEI |" + " 58.0 ± 1.4 |" * 6 + " 57.0 |" * 3 in accuracies
    assert "| untrained |" + " 51.0 ± 1.4 |" * 6 + " 50.0 |" * 3 in accuracies
    ranks = rival_tables.budget_rank_table(records)
    # first on 18 sets, one of five equals on FEMTO
    assert "| FEI |" + f" {(18 * 1 + 3) / 19:.2f} |" * 9 in ranks
    for table in (accuracies, ranks):
        assert "InfoTS" not in table


def test_the_picture_has_a_diagram_for_each_budget_and_corpus(rival_tables, records, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "ranks.png"
    pictures = rival_tables.pictures(records)
    assert len(pictures) == 6
    assert len(pictures["tiny, 512 steps, sleep EEG"].averages) == 5
    assert all(np.isfinite(ranks.critical_difference) for ranks in pictures.values())
    rival_tables.draw(pictures, path)
    assert path.read_bytes().startswith(b"\x89PNG")
