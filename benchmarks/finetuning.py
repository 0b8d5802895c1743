"""Fine-tuning from the checkpoint, beside heads on frozen features, on whole training parts.

    python benchmarks/finetuning.py DIR --out finetuning.jsonl
    python benchmarks/finetuning.py DIR --out finetuning.jsonl --report

DIR holds the UCR sets and C-MAPSS for `load_dataset`. `--most-windows` limits the training windows
of C-MAPSS, and `--most-test` the test series. Seeds draw both, and the batches. "the paper" trains
as in the paper: a head from zero, AdamW at 1e-5, 100 epochs. Seconds are those of one thread in
`fit`. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from families import Difference, mean_with_error
from heads import ridge_classifier, ridge_regressor
from results import append_json, is_measured, markdown_table, read_json
from sklearn.metrics import accuracy_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from ucr_sets import Split

from fei_sklearn import FEIClassifier, FEIEmbedder, FEIRegressor
from fei_sklearn.datasets import load_dataset

CLASSIFICATION = (
    "UCR:FacesUCR",
    "UCR:MiddlePhalanxTW",
    "UCR:MelbournePedestrian",
    "UCR:Adiac",
    "UCR:ProximalPhalanxOutlineCorrect",
    "UCR:ECG5000",
    "UCR:OSULeaf",
    "UCR:FaceAll",
    "UCR:TwoPatterns",
    "UCR:Strawberry",
    "UCR:Wafer",
    "UCR:PhalangesOutlinesCorrect",
    "UCR:Crop",
)
REGRESSION = ("FD001", "FD002", "FD003", "FD004")

RIDGE = "frozen, ridge"
TRAINED_HEAD = "frozen, trained head"

#: Parameters of FEIClassifier and FEIRegressor by way.
TUNED = {
    TRAINED_HEAD: {"freeze_encoder": True},
    "fine-tuned": {},
    "the paper": {
        "warm_head": False,
        "learning_rate": 1e-5,
        "max_epochs": 100,
        "validation_fraction": None,
    },
}


class Task(NamedTuple):
    """Both parts of a set, and whether its targets are classes."""

    split: Split
    is_classification: bool


def load_task(name: str, seed: int, args: argparse.Namespace) -> Task:
    """Return the training part of a set, windows of C-MAPSS up to a limit, and some test series."""
    dataset = load_dataset(name, root=args.folder)
    is_classification = name in CLASSIFICATION
    n_train = len(dataset.y_train)
    if not is_classification:
        n_train = args.most_windows
    rng = np.random.default_rng(seed)
    train = np.sort(rng.permutation(len(dataset.y_train))[:n_train])
    test = np.sort(rng.permutation(len(dataset.y_test))[: args.most_test])
    split = Split(
        dataset.X_train[train], dataset.y_train[train], dataset.X_test[test], dataset.y_test[test]
    )
    return Task(split, is_classification)


def model(way: str, is_classification: bool, seed: int):
    """Return the unfitted model of a way."""
    embedder = FEIEmbedder(pretrained="default", n_jobs=1)
    if way == RIDGE:
        head = ridge_classifier() if is_classification else ridge_regressor()
        return make_pipeline(embedder, head)
    tuner = FEIClassifier if is_classification else FEIRegressor
    return tuner(embedder, random_state=seed, n_jobs=1, **TUNED[way])


def warm_up() -> None:
    """Fit a small model: the first fit imports torch and loads compiled code."""
    X = np.random.default_rng(0).normal(size=(20, 1, 64))
    FEIClassifier("default", max_epochs=1, n_jobs=1).fit(X, np.arange(20) % 2)


def measure(way: str, task: Task, seed: int) -> dict[str, float]:
    """Return accuracy or RMSE of a way on the test part, and the seconds of its fit."""
    split = task.split
    estimator = model(way, task.is_classification, seed)
    started = time.process_time()
    estimator.fit(split.X_train, split.y_train)
    seconds = time.process_time() - started
    predicted = estimator.predict(split.X_test)
    if task.is_classification:
        score = {"accuracy": float(accuracy_score(split.y_test, predicted))}
    else:
        score = {"RMSE": float(root_mean_squared_error(split.y_test, predicted))}
    return score | {"seconds": round(seconds, 2)}


def measure_set(
    name: str, seed: int, args: argparse.Namespace, records: list[dict]
) -> Iterator[dict]:
    """Yield the records of a set and a seed that are missing."""
    cell = {"set": name, "seed": seed}
    missing = [way for way in args.ways if not is_measured(cell | {"way": way}, records)]
    if not missing:
        return
    task = load_task(name, seed, args)
    sizes = {"series": len(task.split.y_train), "tested": len(task.split.y_test)}
    for way in missing:
        yield cell | sizes | {"way": way} | measure(way, task, seed)


def by_way(records: list[dict], names: tuple[str, ...], score: str) -> dict[str, dict[str, float]]:
    """Return a score of each set by way, the mean over the seeds."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record["set"] in names:
            values[record["way"]][record["set"]].append(record[score])
    return {
        way: {name: float(np.mean(values[way][name])) for name in names if name in values[way]}
        for way in (RIDGE, TRAINED_HEAD, *TUNED)
        if way in values
    }


def differences(of_way: dict[str, float], reference: dict[str, float]) -> Difference:
    """Return the mean difference of accuracies over the sets that a way has, in points."""
    points = [100 * (accuracy - reference[name]) for name, accuracy in of_way.items()]
    return mean_with_error(np.array(points))


def relative_differences(of_way: dict[str, float], reference: dict[str, float]) -> Difference:
    """Return the mean logarithm of the ratio of errors over the sets that a way has, in percent."""
    logarithms = [100 * np.log(error / reference[name]) for name, error in of_way.items()]
    return mean_with_error(np.array(logarithms))


def accuracy_table(records: list[dict]) -> str:
    """Return the table of accuracies: a row per set, a column per way."""
    difference_rows = {
        f"points above {RIDGE}": (RIDGE, differences),
        f"points above {TRAINED_HEAD}": (TRAINED_HEAD, differences),
    }
    return table(records, CLASSIFICATION, "accuracy", difference_rows)


def error_table(records: list[dict]) -> str:
    """Return the table of RMSE: a row per set, a column per way."""
    difference_rows = {
        f"percent above {RIDGE}": (RIDGE, relative_differences),
        f"percent above {TRAINED_HEAD}": (TRAINED_HEAD, relative_differences),
    }
    return table(records, REGRESSION, "RMSE", difference_rows)


def table(
    records: list[dict],
    names: tuple[str, ...],
    score: str,
    difference_rows: dict[str, tuple[str, Callable]],
) -> str:
    """Return a table of scores with the differences to the ways that hold the encoder frozen."""
    scores = by_way(records, names, score)
    seconds = by_way(records, names, "seconds")
    n_series = by_way(records, names, "series")[RIDGE]
    rows = []
    for name, n_of_set in n_series.items():
        cells = [f"{of_way[name]:.3f}" if name in of_way else "" for of_way in scores.values()]
        rows.append([name.removeprefix("UCR:"), f"{n_of_set:,.0f}", *cells])
    for title, (way, difference) in difference_rows.items():
        cells = [difference(of_way, scores[way]) for of_way in scores.values()]
        rows.append([title, "", *cells])
    times = [relative_times(of_way, seconds[TRAINED_HEAD]) for of_way in seconds.values()]
    rows.append([f"times the seconds of {TRAINED_HEAD}", "", *times])
    return markdown_table(["set", "series", *scores], rows)


def relative_times(of_way: dict[str, float], reference: dict[str, float]) -> str:
    """Return the geometric mean of the ratio of times over the sets that a way has."""
    logarithms = [np.log(seconds / reference[name]) for name, seconds in of_way.items()]
    return f"{np.exp(np.mean(logarithms)):.1f}"


def main() -> None:
    """Measure what is missing, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=[*CLASSIFICATION, *REGRESSION])
    parser.add_argument("--ways", nargs="+", default=[RIDGE, *TUNED], choices=[RIDGE, *TUNED])
    parser.add_argument("--most-windows", type=int, default=2000, help="training windows, C-MAPSS")
    parser.add_argument("--most-test", type=int, default=1000, help="test series")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per measurement")
    parser.add_argument("--report", action="store_true", help="print tables of the records")
    args = parser.parse_args()
    records = read_json(args.out)
    if args.report:
        print(accuracy_table(records), error_table(records), sep="\n\n")
        return
    warm_up()
    for seed in args.seeds:
        for name in args.sets:
            for record in measure_set(name, seed, args, records):
                print(json.dumps(record), flush=True)
                append_json(args.out, record)


if __name__ == "__main__":
    main()
