"""Evaluation: metrics, splits, protocols, and a results file that survives being cut off."""

from __future__ import annotations

import json

import numpy as np
import pytest
from quick import quick
from sklearn import metrics
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_sets import arrays, dataset, sines, write

from fei_sklearn import FEIClassifier, FEIEmbedder, FEIRegressor
from fei_sklearn.evaluation import STUDIES, evaluate, protocols, read_results, runner
from fei_sklearn.evaluation.metrics import classification_metrics, regression_metrics
from fei_sklearn.evaluation.splits import folds, hold_out, thin
from fei_sklearn.evaluation.standardise import TimeIndexStandardiser, as_panel

NARROW = {"encoder": 16, "max_epochs": 1, "min_epoch_steps": 1, "pooling": "mean"}


@pytest.fixture(scope="module")
def fitted():
    return quick(max_epochs=1, pooling="mean").fit(sines(20)[0])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sets").mkdir()
    for name in ("a", "b"):
        write(tmp_path / "sets", name)
    return tmp_path / "sets"


# Metrics


def test_classification_metrics_by_hand():
    y, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0])
    # class 0: 2 of 3 predicted, 2 of 3 true; class 1: 2 of 3, 2 of 2; class 2: never predicted
    expected = {"accuracy": 4 / 6, "precision": (2 / 3 + 2 / 3 + 0) / 3, "recall": (2 / 3 + 1) / 3}
    measured = classification_metrics(y, predicted)
    assert measured == pytest.approx(expected | {"f1": (2 / 3 + 0.8 + 0) / 3})
    assert measured["f1"] == pytest.approx(metrics.f1_score(y, predicted, average="macro"))


def test_regression_metrics_by_hand():
    measured = regression_metrics(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 1.0]))
    assert measured == pytest.approx({"mse": 5 / 3, "mae": 1.0})


# Standardising per time index


def test_each_index_has_its_own_statistics():
    X = np.random.default_rng(0).normal(3.0, 2.0, (30, 2, 5)).astype(np.float32)
    X[:, 1, 2] = 7.1  # never varies
    X[3, 0, 1] = np.nan
    standardised = TimeIndexStandardiser(X)(X)
    with np.errstate(invalid="ignore"):
        expected = (X - np.nanmean(X, axis=0, dtype=float)) / np.nanstd(X, axis=0, dtype=float)
    expected[:, 1, 2] = 0.0
    np.testing.assert_allclose(standardised, expected, atol=1e-5)
    assert standardised.dtype == np.float32


def test_lengths_that_training_has_not_take_the_channels_statistics():
    standardise = TimeIndexStandardiser(np.array([[[1.0, 2.0]], [[3.0, 6.0]]]))
    longer = standardise(np.array([[[2.0, 4.0, 3.0, np.nan]]]))
    np.testing.assert_allclose(longer[0, 0], [0.0, 0.0, 0.0, np.nan])
    assert standardise(np.array([[[3.0]]]))[0, 0, 0] == 1.0
    ragged = as_panel([np.ones((2, 3)), np.ones((2, 1))])
    assert np.isnan(ragged[1]).sum() == 4


# Splits


def test_a_fifth_of_each_class_is_held_out_and_never_its_last_series():
    y = np.array([0] * 20 + [1] * 10 + [2])
    rows, held_out = hold_out(y, None, classes=True, seed=0)
    assert np.bincount(y[held_out], minlength=3).tolist() == [4, 2, 0]
    assert sorted([*rows, *held_out]) == list(range(31))
    assert hold_out(y, None, classes=True, seed=1)[1].tolist() != held_out.tolist()
    assert hold_out(y, None, classes=True, seed=0)[1].tolist() == held_out.tolist()


@pytest.mark.parametrize("classes", [True, False])
def test_no_group_is_on_both_sides(classes):
    groups = np.repeat(np.arange(10), 6)
    y = np.tile([0, 1], 30)
    rows, held_out = hold_out(y, groups, classes=classes, seed=0)
    assert set(groups[rows]).isdisjoint(groups[held_out])
    assert len(held_out) == 12
    for fit_rows, out_rows in folds(y, groups, classes=classes, seed=0):
        assert set(groups[fit_rows]).isdisjoint(groups[out_rows])


def test_too_few_series_of_a_class_give_no_folds():
    assert folds(np.array([0, 0, 0, 1]), None, classes=True, seed=0) == []
    assert len(folds(np.array([0, 0, 0, 1, 1, 1]), None, classes=True, seed=0)) == 3


def test_fewer_series_keep_the_classes_shares_and_none_is_lost():
    y = np.array([0] * 60 + [1] * 30 + [2])
    rows = thin(y, 45, classes=True)
    assert np.bincount(y[rows]).tolist() == [29, 14, 1]
    assert sorted(set(rows)) == rows.tolist() == thin(y, 45, classes=True).tolist()
    assert thin(y, 100, classes=True).tolist() == list(range(91))
    targets = thin(np.linspace(0, 1, 50), 20, classes=False)
    assert len(set(targets)) == 20 and targets.max() > 30


# Protocols


def test_the_probe_is_scikit_learns(fitted):
    data = dataset()
    (record,) = evaluate(fitted, sets=[data], seeds=[3])
    splits = folds(data.y_train, None, classes=True, seed=3)
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    grid = {"logisticregression__C": np.logspace(-3, 2, 6)}
    search = GridSearchCV(head, grid, cv=splits).fit(fitted.transform(data.X_train), data.y_train)
    predicted = search.predict(fitted.transform(data.X_test))
    assert record["metrics"] == classification_metrics(data.y_test, predicted)
    assert record["counts"] == {
        "train": 40, "val": 0, "test": 20, "channels": 1, "timepoints": 24, "classes": 2,
    }  # fmt: skip
    assert record["settings"]["head"] == "logistic"


def test_targets_are_probed_by_ridge():
    data = dataset(task="regression", **arrays(regression=True))
    (record,) = evaluate("raw", sets=[data])
    head = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 5, 17)))
    head.fit(data.X_train[:, 0], data.y_train)
    expected = regression_metrics(data.y_test, head.predict(data.X_test[:, 0]))
    assert record["metrics"] == pytest.approx(expected, rel=1e-3)


class Spy:
    """Note how a fine-tuner is fitted, and fit it for one epoch."""

    def __init__(self, monkeypatch):
        self.tuners, self.panels, self.splits = [], [], []
        for cls in (FEIClassifier, FEIRegressor):
            monkeypatch.setattr(cls, "fit", self.fit(cls.fit))

    def fit(self, original):
        def fit(tuner, X, y):
            self.tuners.append(tuner.get_params())
            self.panels.append((X, y))
            self.splits.append(tuner._split(np.asarray(y), None))
            return original(tuner.set_params(max_epochs=1), X, y)

        return fit


@pytest.mark.parametrize(
    ("protocol", "task", "expected"),
    [
        ("linear", "classification", (True, 1e-4, 300, 15)),
        ("linear", "regression", (True, 1e-4, 300, None)),
        ("finetune", "classification", (False, 1e-5, 100, None)),
    ],
)
def test_the_hyper_parameters_are_the_papers(protocol, task, expected, fitted, monkeypatch):
    spy = Spy(monkeypatch)
    data = dataset(task=task, **arrays(regression=task == "regression"))
    (record,) = evaluate(fitted, sets=[data], protocol=protocol)
    (params,) = spy.tuners
    names = ("freeze_encoder", "learning_rate", "max_epochs", "n_iter_no_change")
    assert tuple(params[name] for name in names) == expected
    assert (params["batch_size"], params["lr_decay"], params["warm_head"]) == (32, "cosine", False)
    assert (record["counts"]["train"], record["counts"]["val"]) == (32, 8)


def test_the_sets_own_validation_part_validates(fitted, monkeypatch):
    spy = Spy(monkeypatch)
    X_val, y_val = sines(6, seed=2)
    data = dataset(X_val=X_val, y_val=y_val)
    (record,) = evaluate(fitted, sets=[data], protocol="linear", standardise="model")
    (((X, y), (rows, held_out)),) = zip(spy.panels, spy.splits, strict=True)
    np.testing.assert_array_equal(X[held_out], X_val)
    np.testing.assert_array_equal(y[rows], data.y_train)
    assert record["counts"]["val"] == 6


def test_on_at_most_so_many_series(fitted, monkeypatch):
    spy = Spy(monkeypatch)
    X_val, y_val = sines(30, seed=2)
    data = dataset(X_val=X_val, y_val=y_val, groups_train=np.arange(40) // 4)
    (record,) = evaluate(fitted, sets=[data], protocol="linear", standardise="model", most=12)
    assert [record["counts"][part] for part in ("train", "val", "test")] == [12, 12, 20]
    assert record["settings"]["most"] == 12
    ((X, y),) = spy.panels
    assert np.bincount(y).tolist() == [12, 12]
    assert {x.tobytes() for x in X[:12]} <= {x.tobytes() for x in data.X_train}
    (record,) = evaluate(fitted, sets=[data], most=12)
    assert record["counts"]["train"] == 12
    assert "most" not in evaluate(fitted, sets=[data])[0]["settings"]


def test_input_per_time_index_is_not_scaled_again(fitted, monkeypatch):
    seen = {}

    def keep(task, embedder, head, seed):
        seen.update(task=task, embedder=embedder)
        return original(task, embedder, head, seed)

    original = protocols.probe
    monkeypatch.setattr(runner, "probe", keep)
    data = dataset(X_train=5 + 3 * arrays()["X_train"])
    evaluate(fitted, sets=[data], standardise="time-index")
    np.testing.assert_allclose(seen["task"].X_train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(seen["task"].X_train.std(axis=0), 1, atol=1e-5)
    bare = quick(max_epochs=1, pooling="mean", scaling=None).fit(sines(20)[0])
    bare.weights_ = fitted.weights_
    expected = bare.transform(seen["task"].X_test)
    np.testing.assert_allclose(seen["embedder"].transform(seen["task"].X_test), expected, atol=1e-6)
    assert fitted.offset_[0] != 0  # the model itself is as it was


def test_a_univariate_model_takes_more_channels_missing_values_and_other_lengths(fitted):
    content = arrays(n_channels=2, n_timepoints=30)
    content["X_train"][0, :, 3:5] = np.nan
    content["X_test"] = [x[:, : 20 + i] for i, x in enumerate(content["X_test"][:9])]
    content["y_test"] = content["y_test"][:9]
    for model in (fitted, "raw"):
        (record,) = evaluate(model, sets=[dataset(**content)])
        assert record["counts"]["channels"] == 2


def test_random_draws_an_encoder_a_seed():
    first, second = evaluate(
        "random", sets=[dataset()], seeds=[0, 1], params={"encoder": 16, "pooling": "mean"}
    )
    assert first["fingerprint"] == second["fingerprint"]
    (again,) = evaluate(
        "random", sets=[dataset()], seeds=[1], params={"encoder": 16, "pooling": "mean"}
    )
    assert again["metrics"] == second["metrics"]
    (wider,) = evaluate("random", sets=[dataset()], params={"encoder": 24})
    assert wider["fingerprint"] != first["fingerprint"]


def test_the_papers_readout_is_that_of_its_protocols(monkeypatch):
    rich = quick(max_epochs=0, pooling="auto").fit(sines(20)[0])
    spy = Spy(monkeypatch)
    for arguments in ({}, {"readout": "model"}):
        (record,) = evaluate(rich, sets=[dataset()], protocol="linear", **arguments)
        assert record["settings"]["readout"] == arguments.get("readout", "paper")
    widths = [tuner["embedder"].estimator.transform(sines(2)[0]).shape[1] for tuner in spy.tuners]
    assert widths == [16, rich.transform(sines(2)[0]).shape[1]]
    assert widths[1] > 16
    (record,) = evaluate("random", sets=[dataset()], protocol="linear", params=NARROW)
    assert record["settings"]["readout"] == "model"


@pytest.mark.slow
def test_minirocket():
    pytest.importorskip("numba")
    (record,) = evaluate("minirocket", sets=[dataset()])
    assert record["metrics"]["accuracy"] > 0.9
    assert record["settings"]["head"] == "ridge"
    data = dataset(X_test=np.full((20, 1, 24), np.nan, np.float32))
    with pytest.raises(ValueError, match="without missing values"):
        evaluate("minirocket", sets=[data])


# The results file


def test_cells_that_are_there_are_not_computed_again(fitted, folder, tmp_path, monkeypatch):
    out = tmp_path / "results.jsonl"
    first = evaluate(fitted, data=folder, out=out, seeds=[0, 1])
    assert [(r["set"], r["seed"]) for r in first] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert read_results(out) == first
    with monkeypatch.context() as patch:
        patch.setattr(runner.datasets, "load_dataset", pytest.fail)
        assert evaluate(fitted, data=folder, out=out, seeds=[0, 1]) == first
    other = quick(max_epochs=1, pooling="mean", random_state=1).fit(sines(20)[0])
    evaluate(other, data=folder, sets=["a"], out=out)
    evaluate(fitted, data=folder, sets=["a"], out=out, head="ridge")
    assert len(read_results(out)) == 6


def test_a_torn_last_line_is_computed_again(fitted, folder, tmp_path):
    out = tmp_path / "results.jsonl"
    records = evaluate(fitted, data=folder, out=out)
    whole = out.read_bytes()
    for cut in (1, 40, len(whole.splitlines(keepends=True)[1]) - 3):
        out.write_bytes(whole[:-cut])
        assert len(read_results(out)) == (2 if cut == 1 else 1)
        again = evaluate(fitted, data=folder, out=out)
        assert [r["metrics"] for r in again] == [r["metrics"] for r in records]
        lines = out.read_text().splitlines()
        assert len([json.loads(line) for line in lines]) == 2


@pytest.mark.parametrize(
    "content", [b"not a result\n", b"PK\x03\x04", b'{"format": "other"}\n', b"[" * 100_000]
)
def test_another_file_is_left_alone(content, fitted, tmp_path):
    out = tmp_path / "results.jsonl"
    out.write_bytes(content)
    with pytest.raises(ValueError, match=r"Line 1 of .* is not a result of evaluate"):
        evaluate(fitted, sets=[dataset()], out=out)
    assert out.read_bytes() == content


# What is bad


def test_a_bad_set_does_not_stop_the_others(fitted, folder, tmp_path):
    (folder / "a.npz").write_bytes(b"PK damaged")
    failures = []
    records = evaluate(
        fitted,
        data=folder,
        sets=["a", "absent", "b"],
        seeds=[0, 1],
        on_failure=lambda where, error: failures.append((where, str(error))),
    )
    assert [r["set"] for r in records] == ["b", "b"]
    assert [where for where, _ in failures] == ["a", "absent"]
    assert "a.npz" in failures[0][1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.zeros(40, int), "y_test": np.zeros(20, int)}, "class 0 alone"),
        ({"y_test": np.full(20, 5)}, "class 5 in its test part and not in its training part"),
        ({"X_test": None, "y_test": None}, "no test part"),
        ({"task": "pretraining"}, "no labels"),
        ({"X_train": np.full((40, 1, 24), np.nan, np.float32)}, "nothing but missing values"),
    ],
)
def test_sets_that_cannot_be_evaluated(changes, message, fitted):
    with pytest.raises(ValueError, match=message):
        evaluate(fitted, sets=[dataset(**changes)])


@pytest.mark.parametrize("standardise", ["time-index", "model"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_infinite_values_are_no_missing_ones(part, standardise, fitted):
    X = arrays()[f"X_{part}"]
    X[3, 0, 5] = np.inf
    with pytest.raises(ValueError, match=r"inf(inity)? "):
        evaluate(fitted, sets=[dataset(**{f"X_{part}": X})], standardise=standardise)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Neither a model nor a study"),
        ({"model": "random", "protocol": "zero-shot"}, "protocol must be one of"),
        ({"model": "raw", "protocol": "linear"}, "'raw' has no encoder"),
        ({"model": "random", "protocol": "linear", "head": "ridge"}, "is for protocol='probe'"),
        (
            {"model": "random", "params": {"pooling": "max"}, "readout": "paper"},
            "says what pooling is",
        ),
        ({"model": "random", "params": {"width": 3}}, "Invalid parameter 'width'"),
        ({"model": "random", "params": {"momentum": 3}}, "'momentum' parameter"),
        ({"model": "nowhere"}, "There is no model 'nowhere'"),
        ({"model": FEIEmbedder()}, "not fitted yet"),
        ({"model": "random", "seeds": [1, 1]}, "different integers"),
        ({"model": "random", "most": 1}, "at least 2 series, got 1"),
        ({"model": "random", "device": "abacus"}, "device must be"),
        ({"model": "random", "study": "ratio"}, "models of its own"),
        ({"study": "ratio"}, "say on what"),
        ({"study": "nosuch", "pretrain_on": sines(8)[0]}, "There is no study 'nosuch'"),
        (
            {"study": "ratio", "pretrain_on": sines(8)[0], "params": {"mask_ratio": 0.5}},
            "varies mask_ratio",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(**{"sets": [dataset()]} | arguments)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        evaluate("random", data=tmp_path / "absent")


# Studies


def test_a_study_pretrains_each_variant_once_a_seed(folder, tmp_path, monkeypatch):
    fits = []
    original = FEIEmbedder.fit

    def fit(self, X, y=None):
        fits.extend([self.random_state] if self.max_epochs else [])
        return original(self, X, y)

    monkeypatch.setattr(FEIEmbedder, "fit", fit)
    monkeypatch.setitem(STUDIES, "masking", STUDIES["masking"][:2])
    out = tmp_path / "results.jsonl"
    options = {"study": "masking", "pretrain_on": sines(16)[0], "params": NARROW, "data": folder}
    records = evaluate(**options, seeds=[0, 1], out=out)
    assert fits == [0, 1, 0, 1]
    assert len(records) == 2 * 2 * 2
    assert {r["variant"] for r in records} == {"discrete", "continuous"}
    assert len(list((tmp_path / "results_models" / "masking").iterdir())) == 4

    out.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[:5]))
    assert len(evaluate(**options, seeds=[0, 1], out=out)) == 8
    assert fits == [0, 1, 0, 1]  # what was pretrained is loaded


def test_a_variant_that_cannot_be_pretrained_is_tried_once(monkeypatch):
    tried, failures = [], []

    def fit(self, X, y=None):
        tried.append(self.mask_kind)
        raise ValueError("no")

    monkeypatch.setattr(FEIEmbedder, "fit", fit)
    records = evaluate(
        study="masking",
        pretrain_on=sines(16)[0],
        params=NARROW,
        sets=[dataset("a"), dataset("b")],
        on_failure=lambda where, error: failures.append(where),
    )
    assert records == []
    assert len(tried) == 3
    assert len(failures) == 6


def test_every_variant_of_every_study_is_an_embedder():
    for study, variants in STUDIES.items():
        names = [name for name, _ in variants]
        assert len(set(names)) == len(names), study
        for _, params in variants:
            FEIEmbedder(**params)._validate_params()
