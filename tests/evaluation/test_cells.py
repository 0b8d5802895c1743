"""Cells of an evaluation: their records, what is computed again, and what fails."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from quick import quick
from tiny_sets import arrays, dataset, sines

from fei_sklearn.evaluation import cells, evaluate, read_results, sets
from fei_sklearn.evaluation.splits import labelled_rows


def test_a_record_says_what_was_measured(fitted):
    (record,) = evaluate(fitted, sets=[dataset()], seeds=[3])
    assert record["model"] == "FEIEmbedder"
    assert record["seed"] == 3
    assert record["settings"] == {
        "standardise": "model",
        "readout": "model",
        "paper_protocol": False,
        "head": "logistic",
    }
    assert record["counts"] == {
        "train": 40,
        "val": 0,
        "test": 20,
        "channels": 1,
        "timepoints": 24,
        "classes": 2,
    }
    assert set(record["metrics"]) == {"accuracy", "precision", "recall", "f1"}


def test_a_limit_of_series_thins_training_and_validation(fitted, tuners):
    X_val, y_val = sines(30, seed=2)
    data = dataset(X_val=X_val, y_val=y_val, groups_train=np.arange(40) // 4)
    options = {"protocol": "linear", "standardise": "model"}
    (record,) = evaluate(fitted, sets=[data], most=12, **options)
    counts = record["counts"]
    n_series = (counts["train"], counts["val"], counts["test"])
    assert n_series == (12, 12, 20)
    assert record["settings"]["most"] == 12
    (X,) = tuners.panels
    (y,) = tuners.targets
    assert np.bincount(y).tolist() == [12, 12]
    trained_on = {series.tobytes() for series in X[:12]}
    assert trained_on <= {series.tobytes() for series in data.X_train}


def test_the_probe_trains_on_a_limit_of_series_with_their_groups(fitted):
    data = dataset(groups_train=np.arange(40) // 4)
    (record,) = evaluate(fitted, sets=[data], most=12)
    assert record["counts"]["train"] == 12
    (record,) = evaluate(fitted, sets=[data])
    assert "most" not in record["settings"]


def test_input_per_time_index_is_not_scaled_again(fitted, monkeypatch):
    calls = []
    original = cells.probe

    def spied_probe(task, embedder, *options):
        calls.append((task, embedder))
        return original(task, embedder, *options)

    monkeypatch.setattr(cells, "probe", spied_probe)
    data = dataset(X_train=5 + 3 * arrays()["X_train"])
    evaluate(fitted, sets=[data], standardise="time-index", head="ridge")
    ((task, embedder),) = calls
    assert_allclose(task.X_train.mean(axis=0), 0, atol=1e-5)
    assert_allclose(task.X_train.std(axis=0), 1, atol=1e-5)
    X, _ = sines(20)
    without_scaling = quick(max_epochs=1, pooling="mean", scaling=None).fit(X)
    without_scaling.weights_ = fitted.weights_
    expected = without_scaling.transform(task.X_test)
    embedded = embedder.transform(task.X_test)
    assert_allclose(embedded, expected, atol=1e-6)
    assert fitted.offset_[0] != 0  # the model itself is as it was


# Few labels


def test_the_head_sees_few_labels_and_the_model_the_whole_panel(monkeypatch):
    calls = []
    original = cells.probe

    def spied_probe(task, embedder, *options):
        calls.append(embedder)
        return original(task, embedder, *options)

    monkeypatch.setattr(cells, "probe", spied_probe)
    data = dataset()
    options = {"params": {"encoder": 16, "pooling": "mean"}, "head": "ridge"}
    (record,) = evaluate("random", sets=[data], labels=[3], **options)
    (embedder,) = calls
    assert record["settings"]["labels"] == 3
    assert record["counts"]["train"] == 6
    assert embedder.offset_ == pytest.approx(data.X_train.mean(), abs=1e-6)
    rows = labelled_rows(data.y_train, 3, classes=True, seed=0)
    assert embedder.offset_ != pytest.approx(data.X_train[rows].mean(), abs=1e-3)


def test_few_labels_are_those_of_a_set_of_the_labelled_series():
    data = dataset()
    rows = labelled_rows(data.y_train, 4, classes=True, seed=1)
    few = dataset(X_train=data.X_train[rows], y_train=data.y_train[rows])
    (expected,) = evaluate("raw", sets=[few], seeds=[1])
    (record,) = evaluate("raw", sets=[data], seeds=[1], labels=[4])
    assert record["metrics"] == expected["metrics"]


def test_each_number_of_labels_and_each_draw_is_a_cell(tmp_path):
    out = tmp_path / "results.jsonl"
    options = {"sets": [dataset()], "out": out, "head": "ridge", "seeds": [0, 1]}
    evaluate("raw", **options)
    records = evaluate("raw", **options, labels=[1, 5])
    numbers = [(record["settings"]["labels"], record["seed"]) for record in records]
    assert numbers == [(1, 0), (1, 1), (5, 0), (5, 1)]
    assert evaluate("raw", **options, labels=[5, 1]) == records[2:] + records[:2]
    assert len(read_results(out)) == 6


@pytest.mark.parametrize("n_labels", [1, 2, 7])
def test_targets_have_that_many_labels_in_all(n_labels):
    content = arrays(regression=True)
    data = dataset(task="regression", **content)
    (record,) = evaluate("raw", sets=[data], labels=[n_labels])
    assert record["counts"]["train"] == n_labels
    assert record["metrics"]["mse"] >= 0


# The results file


def test_cells_of_the_file_are_not_computed_again(fitted, folder, tmp_path, monkeypatch):
    out = tmp_path / "results.jsonl"
    options = {"data": folder, "out": out, "head": "ridge", "seeds": [0, 1]}
    first = evaluate(fitted, **options)
    cells = [f"{record['set']}, seed {record['seed']}" for record in first]
    assert cells == ["a, seed 0", "a, seed 1", "b, seed 0", "b, seed 1"]
    assert read_results(out) == first
    monkeypatch.setattr(sets.datasets, "load_dataset", pytest.fail)
    again = evaluate(fitted, **options)
    assert again == first


def test_other_weights_and_other_settings_are_other_cells(fitted, tmp_path):
    out = tmp_path / "results.jsonl"
    options = {"sets": [dataset()], "out": out}
    X, _ = sines(20)
    other = quick(max_epochs=1, pooling="mean", random_state=1).fit(X)
    evaluate(fitted, **options, head="ridge")
    evaluate(other, **options, head="ridge")
    evaluate(fitted, **options, head="logistic")
    assert len(read_results(out)) == 3


def metrics_of(records):
    return [record["metrics"] for record in records]


def test_a_torn_last_line_is_computed_again(fitted, folder, tmp_path):
    out = tmp_path / "results.jsonl"
    options = {"data": folder, "out": out, "head": "ridge"}
    records = evaluate(fitted, **options)
    whole = out.read_bytes()
    last_line = whole.splitlines(keepends=True)[1]
    for n_cut in (1, 40, len(last_line) - 3):
        out.write_bytes(whole[:-n_cut])
        n_whole = 2 if n_cut == 1 else 1
        assert len(read_results(out)) == n_whole
        again = evaluate(fitted, **options)
        assert metrics_of(again) == metrics_of(records)
        lines = out.read_text().splitlines()
        assert [json.loads(line)["set"] for line in lines] == ["a", "b"]


def test_progress_counts_known_and_new_cells(fitted, folder, tmp_path):
    progress = []

    def on_cell(cell):
        name = cell.record["set"]
        progress.append((name, cell.n_done, cell.n_cells, cell.is_new))

    out = tmp_path / "results.jsonl"
    options = {"data": folder, "out": out, "head": "ridge"}
    evaluate(fitted, **options, sets=["b"], on_cell=on_cell)
    evaluate(fitted, **options, on_cell=on_cell)
    assert progress == [
        ("b", 1, 1, True),
        ("a", 1, 2, True),
        ("b", 2, 2, False),
    ]


# Failures


def test_a_bad_set_does_not_stop_the_others(fitted, folder, failures):
    (folder / "a.npz").write_bytes(b"PK damaged")
    records = evaluate(
        fitted,
        data=folder,
        sets=["a", "absent", "b"],
        seeds=[0, 1],
        head="ridge",
        on_failure=failures.note,
    )
    assert [record["set"] for record in records] == ["b", "b"]
    (first, message), (second, _) = failures
    assert (first, second) == ("a", "absent")
    assert "a.npz" in message


def test_a_bad_cell_does_not_stop_the_others(fitted, failures, monkeypatch):
    original = cells.probe

    def probe(task, embedder, head, seed, n_labels):
        if seed == 0:
            raise RuntimeError("no memory")
        return original(task, embedder, head, seed, n_labels)

    monkeypatch.setattr(cells, "probe", probe)
    options = {"sets": [dataset()], "head": "ridge"}
    options["seeds"] = [0, 1]
    records = evaluate(fitted, **options, on_failure=failures.note)
    assert [record["seed"] for record in records] == [1]
    assert failures == [("sines, FEIEmbedder, seed 0", "no memory")]
    with pytest.raises(RuntimeError, match="no memory"):
        evaluate(fitted, **options)
