"""`evaluate`: cells, their records, what is computed again, and what fails."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from quick import quick
from sklearn.base import clone
from tiny_sets import arrays, dataset, sines, write

from fei_sklearn import FEIEmbedder
from fei_sklearn.evaluation import evaluate, read_results, runner


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
    original = runner.probe

    def spied_probe(task, embedder, head, seed):
        calls.append((task, embedder))
        return original(task, embedder, head, seed)

    monkeypatch.setattr(runner, "probe", spied_probe)
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


# The results file


def test_cells_of_the_file_are_not_computed_again(fitted, folder, tmp_path, monkeypatch):
    out = tmp_path / "results.jsonl"
    options = {"data": folder, "out": out, "head": "ridge", "seeds": [0, 1]}
    first = evaluate(fitted, **options)
    cells = [f"{record['set']}, seed {record['seed']}" for record in first]
    assert cells == ["a, seed 0", "a, seed 1", "b, seed 0", "b, seed 1"]
    assert read_results(out) == first
    monkeypatch.setattr(runner.datasets, "load_dataset", pytest.fail)
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


# Failures and bad arguments


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
    original = runner.probe

    def probe(task, embedder, head, seed):
        if seed == 0:
            raise RuntimeError("no memory")
        return original(task, embedder, head, seed)

    monkeypatch.setattr(runner, "probe", probe)
    options = {"sets": [dataset()], "head": "ridge"}
    options["seeds"] = [0, 1]
    records = evaluate(fitted, **options, on_failure=failures.note)
    assert [record["seed"] for record in records] == [1]
    assert failures == [("sines, FEIEmbedder, seed 0", "no memory")]
    with pytest.raises(RuntimeError, match="no memory"):
        evaluate(fitted, **options)


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
