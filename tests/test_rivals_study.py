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


def arguments(folder, **changes):
    options = {
        "folder": folder,
        "out": folder / "rivals.jsonl",
        "sets": [str(folder / "sines.npz")],
        "corpora": ["synthetic"],
        "budgets": ["steps", "seconds"],
        "methods": SMALL,
        "seeds": [0],
        "series": 64,
        "steps": 4,
        "seconds": 0.08,
        "most": 20,
        "most_test": 10,
        "draws": 2,
    }
    return argparse.Namespace(**(options | changes))


@pytest.fixture
def small_study(rivals, monkeypatch, tmp_path):
    """Return the arguments of a run of two trained methods, whose costs are known."""
    methods = {name: rivals.METHODS[name] for name in SMALL}
    monkeypatch.setattr(rivals, "METHODS", methods)
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
    X = rivals.corpus("synthetic", small_study)
    tasks = {"sines": rivals.task_of(small_study.sets[0], small_study)}
    key = {"corpus": "synthetic", "budget": "steps", "method": "fei", "seed": 3}
    first, second = (list(rivals.measure(key, X, 1, tasks, 2)) for _ in range(2))
    assert [record["scores"] for record in first] == [record["scores"] for record in second]


def test_few_passes_are_rounded_and_never_none(rivals, tmp_path):
    args = arguments(tmp_path, series=320, steps=24, seconds=1.0)
    assert rivals.passes("fei", "steps", 0.1, args) == 2
    assert rivals.passes("fei", "seconds", 0.03, args) == 3
    assert rivals.passes("fei", "seconds", 10.0, args) == 1
    assert rivals.passes("random", "steps", 0.1, args) == 0


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
    """Return records in which FEI is best everywhere, and the second seed 2 points above."""
    made = [{"cost": "fei", "seconds": 0.02, "MiB": 5.0}]
    methods = enumerate([*rivals.METHODS, *rivals.OPTIONS])
    keys = itertools.product(methods, rivals.CORPORA, rivals.BUDGETS, (0, 1))
    for (place, method), corpus, budget, seed in keys:
        if (method, budget) == ("random", "seconds"):
            continue
        by_set = dict.fromkeys(rivals.SETS, 0.5 + 0.01 * place + 0.02 * seed)
        by_set["FEMTO"] = -1.0
        key = {"corpus": corpus, "budget": budget, "method": method, "seed": seed}
        trained = {"steps": 7, "seconds": 1.25}
        heads = dict.fromkeys(rival_tables.HEADS, by_set)
        for readout in ("paper", "default"):
            made.append(key | trained | {"readout": readout, "scores": heads})
    return made


def test_tables_hold_means_over_seeds_and_average_ranks(rival_tables, records):
    accuracies = rival_tables.accuracy_table(records, "seconds")
    assert "| FEI | 58.0 ± 1.4 |" in accuracies
    assert "| untrained | 51.0 ± 1.4 |" in accuracies
    ranks = rival_tables.rank_table(records, "steps")
    # first on 18 sets, one of eight equals on FEMTO
    assert f"| FEI | {(18 * 1 + 4.5) / 19:.2f} |" in ranks
    named = rival_tables.named_table(records, "sleep", "steps", "linear")
    assert named.splitlines()[-1].endswith("| 0.58 ± 0.01 | -1.00 ± 0.00 |")
    assert "| FEI | default | 58.0 ± 1.4 |" in rival_tables.readout_table(records)
    options = rival_tables.option_table(records)
    assert "| FEI, `stride=1` | 60.0 |" in options
    assert "| FEI | 20 | 5 | 7 | 1.2 | 7 | 1.2 |" in rival_tables.cost_table(records)


def test_the_picture_is_drawn(rival_tables, records, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "ranks.png"
    title = "equal steps, sleep EEG"
    ranks = {title: rival_tables.ranks(records, "sleep", "steps", "ridge")}
    rival_tables.draw(ranks, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert np.isfinite(ranks[title].critical_difference)
