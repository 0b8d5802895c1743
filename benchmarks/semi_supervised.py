"""Many unlabelled series and few labels: when does pretraining on one's own series pay?

    python benchmarks/semi_supervised.py DIR --out results.jsonl
    python benchmarks/semi_supervised.py DIR --out results.jsonl --report

Every method sees all training series without labels, at most `--most` of them, and a ridge head
sees some of the labels. The larger part of a set trains. "calibrated" takes batch norm, thresholds
and scaling from the panel, without a training step. "tiny" is the paper's encoder of width 128.
The features are standardised on the panel. Short embeddings are principal axes of the panel, for
MiniRocket too. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from families import mean_with_error
from heads import PENALTIES
from minirocket import MiniRocket
from results import append_json, is_measured, markdown_table, read_json
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from ucr_sets import Split, sample

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset
from fei_sklearn.recipes import pretrain_recipe

SETS = (
    "UCR:MelbournePedestrian",
    "UCR:Crop",
    "UCR:TwoPatterns",
    "UCR:ECG5000",
    "UCR:Wafer",
    "EPI",
    "HAR",
    "sleep_eeg_ucddb",
    "FD001",
    "FEMTO",
)

METHODS = (
    "checkpoint",
    "checkpoint, calibrated",
    "untrained",
    "untrained, calibrated",
    "FEI on the panel",
    "FEI on the panel, from the checkpoint",
    "tiny, untrained",
    "tiny, FEI on the panel",
    "minirocket",
    "raw",
)

#: Features that a head reads: all of them, 64 numbers, or means over time as in the paper.
READOUTS = ("default", "64 numbers", "paper")

#: Labelled series per class, or in all if the target is a number; None labels all series.
LABELS = {"classification": (1, 5, 10, 50, None), "regression": (10, 50, 250, None)}

#: Length of a short embedding.
N_NUMBERS = 64

#: Series per step of a pretraining on the panel, as in the recipe of the checkpoint.
BATCH_SIZE = 64


class Flattened(FunctionTransformer):
    """Raw series as features."""

    def __init__(self) -> None:
        super().__init__(lambda X: X.reshape(len(X), -1))


def epochs_for(n_series: int, n_steps: int) -> int:
    """Return the epochs that take a number of steps, at least one."""
    steps_per_epoch = max(n_series // BATCH_SIZE, 1)
    return max(round(n_steps / steps_per_epoch), 1)


def embedder_for(method: str, n_series: int, args: argparse.Namespace) -> FEIEmbedder:
    """Return an unfitted embedder by the name of its method."""
    calibration = "panel" if method.endswith("calibrated") else "fixed"
    common = {"calibration": calibration, "random_state": args.seed, "n_jobs": 1}
    training = {
        "max_epochs": epochs_for(n_series, args.steps),
        "min_epoch_steps": 1,
        "batch_size": BATCH_SIZE,
        "validation_fraction": None,
    }
    if method.startswith("checkpoint"):
        return FEIEmbedder(pretrained="default", **common)
    if method.startswith("untrained"):
        return FEIEmbedder(pretrained=args.twin, **common)
    if method.endswith("from the checkpoint"):
        return FEIEmbedder(pretrained="default", **training, **common)
    if method == "tiny, untrained":
        return FEIEmbedder("tiny", min_timepoints=128, max_epochs=0, **common)
    encoder = "tiny" if method.startswith("tiny") else "dilated"
    return FEIEmbedder(encoder, min_timepoints=128, **training, **common)


def transformer_for(method: str, X: np.ndarray, args: argparse.Namespace):
    """Return an unfitted transformer by the name of a method."""
    if method == "raw":
        return Flattened()
    if method == "minirocket":
        return MiniRocket(args.seed)
    n_series = len(X) * X.shape[1]
    return embedder_for(method, n_series, args)


def standardised(transformer, readout: str, split: Split) -> Split:
    """Return what a readout has of both parts, with scale and axes of the panel."""
    if readout == "paper":
        transformer.set_params(pooling="mean")
    train = np.asarray(transformer.transform(split.X_train), dtype=np.float32)
    test = np.asarray(transformer.transform(split.X_test), dtype=np.float32)
    scaler = make_pipeline(StandardScaler())
    if readout == "64 numbers":
        n_components = min(N_NUMBERS, *train.shape)
        scaler = make_pipeline(StandardScaler(), PCA(n_components, random_state=0))
    scaler.fit(train)
    return split._replace(X_train=scaler.transform(train), X_test=scaler.transform(test))


def labelled_rows(y: np.ndarray, n_labels: int | None, rng: np.random.Generator) -> np.ndarray:
    """Draw series per class, or of all series if the target is a number; None draws all."""
    all_rows = np.arange(len(y))
    if n_labels is None:
        return all_rows
    if np.issubdtype(y.dtype, np.floating):
        return rng.permutation(all_rows)[:n_labels]
    rows, _ = sample(all_rows, y, None, rng, per_class=n_labels)
    return rows


def scores_of(features: Split, task: str, args: argparse.Namespace) -> dict[str, list[float]]:
    """Return the accuracy or R2 of a ridge head by the number of labels, one per draw."""
    head = RidgeCV(PENALTIES) if task == "regression" else RidgeClassifierCV(PENALTIES)
    scores = {}
    for n_labels in LABELS[task]:
        n_draws = 1 if n_labels is None else args.draws
        of_draws = []
        for draw in range(n_draws):
            rng = np.random.default_rng([args.seed, draw])
            rows = labelled_rows(features.y_train, n_labels, rng)
            head.fit(features.X_train[rows], features.y_train[rows])
            of_draws.append(float(head.score(features.X_test, features.y_test)))
        scores[str(n_labels or "all")] = of_draws
    return scores


def panel_and_test(name: str, args: argparse.Namespace) -> tuple[str, Split]:
    """Return the task of a set, and its larger part for training beside its smaller part."""
    dataset = load_dataset(name, root=args.folder)
    rng = np.random.default_rng(args.seed)
    parts = [(dataset.X_train, dataset.y_train), (dataset.X_test, dataset.y_test)]
    (X_test, y_test), (X_train, y_train) = sorted(parts, key=lambda part: len(part[0]))
    train = rng.permutation(len(X_train))[: args.most]
    test = rng.permutation(len(X_test))[: args.most_test]
    return dataset.task, Split(X_train[train], y_train[train], X_test[test], y_test[test])


def measure_set(name: str, args: argparse.Namespace, records: list[dict]) -> Iterator[dict]:
    """Yield one record per method and readout that is missing among others."""
    task, split = panel_and_test(name, args)
    for method in args.methods:
        readouts = READOUTS[:2] if method in ("minirocket", "raw") else READOUTS
        cell = {"set": name, "method": method}
        missing = [
            readout for readout in readouts if not is_measured(cell | {"readout": readout}, records)
        ]
        if not missing:
            continue
        started = time.perf_counter()
        transformer = transformer_for(method, split.X_train, args).fit(split.X_train)
        seconds = time.perf_counter() - started
        for readout in missing:
            features = standardised(transformer, readout, split)
            yield {
                "set": name,
                "task": task,
                "series": len(split.X_train),
                "method": method,
                "readout": readout,
                "features": features.X_train.shape[1],
                "seconds of fit": seconds,
                "scores": scores_of(features, task, args),
            }


def mean_scores(records: list[dict], task: str, readout: str) -> dict[tuple, dict[str, float]]:
    """Return points by set, for each method and number of labels of a task and a readout."""
    means: dict[tuple, dict[str, float]] = defaultdict(dict)
    for record in records:
        if (record["task"], record["readout"]) != (task, readout):
            continue
        for n_labels, scores in record["scores"].items():
            means[record["method"], n_labels][record["set"]] = 100 * float(np.mean(scores))
    return means


def table(records: list[dict], task: str, readout: str) -> str:
    """Return means over sets, and differences to the untrained twin with standard errors."""
    means = mean_scores(records, task, readout)
    labels = [str(n_labels or "all") for n_labels in LABELS[task]]
    rows = []
    for method in METHODS:
        if (method, "all") not in means:
            continue
        cells = []
        for label in labels:
            twin = means["untrained", label]
            of_method = means[method, label]
            common = sorted(twin.keys() & of_method.keys())
            points = np.array([of_method[name] - twin[name] for name in common])
            mean = np.mean([of_method[name] for name in common])
            cells.append(f"{mean:.1f}, {mean_with_error(points)}")
        rows.append([method, *cells])
    return markdown_table(["method", *labels], rows)


def main() -> None:
    """Measure what is missing, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--steps", type=int, default=600, help="steps of a training on the panel")
    parser.add_argument("--most", type=int, default=4000, help="series of the panel")
    parser.add_argument("--most-test", type=int, default=1000, help="test series")
    parser.add_argument("--draws", type=int, default=5, help="draws of the labels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per measurement")
    parser.add_argument("--report", action="store_true", help="print tables of the records")
    args = parser.parse_args()
    records = read_json(args.out)
    if args.report:
        for task in LABELS:
            for readout in READOUTS:
                print(f"\n{task}, {readout}\n\n{table(records, task, readout)}")
        return
    with tempfile.TemporaryDirectory() as folder:
        args.twin = Path(folder) / "twin"
        pretrain_recipe("default", max_epochs=0).save(args.twin)
        for name in args.sets:
            for record in measure_set(name, args, records):
                print(json.dumps(record), flush=True)
                append_json(args.out, record)


if __name__ == "__main__":
    main()
