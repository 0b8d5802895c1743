"""MiniRocket, MultiRocket and Hydra of aeon beside checkpoints, under one ridge head.

    VENV/bin/python benchmarks/peers.py DIR --checkpoints default TWIN --most 200 --longest 1500 \
      --out peers.jsonl

VENV is an environment with aeon, see ``aeon_rockets.py``. DIR holds ``.npz`` panels with the keys
X_train, y_train, X_test, y_test. TWIN is the encoder before training, a folder that
``fei-sklearn pretrain --recipe default --set max_epochs=0 --out TWIN`` wrote. Sets that the file
of records has are not measured again. Seconds are CPU time of one thread.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from aeon_rockets import AeonRocket, Hydra, sparse_scaled
from families import compare
from heads import PENALTIES
from results import append_json, by_title, markdown_table, read_json
from sklearn.linear_model import RidgeClassifierCV
from sklearn.preprocessing import StandardScaler
from ucr_sets import Split, Transformer, add_checkpoint_arguments, embed, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

#: Methods that the others are compared with. The last one is aeon's most accurate classifier of
#: this kind: it standardises the features of MultiRocket, and scales Hydra's sparsely.
REFERENCES = ("MiniRocket", "MultiRocket + Hydra, sparse")

#: Transformers whose features a title joins, for titles that are not a transformer's own.
PARTS = {
    "Hydra, sparse": ("Hydra",),
    "MultiRocket + Hydra": ("MultiRocket", "Hydra"),
    "MultiRocket + Hydra, sparse": ("MultiRocket", "Hydra"),
}


def transformers(checkpoints: list[str], X: np.ndarray) -> dict[str, Transformer]:
    """Return transformers by title, fitted on a panel."""
    fitted: dict[str, Transformer] = {
        "MiniRocket": AeonRocket("MiniRocket").fit(X),
        "MultiRocket": AeonRocket("MultiRocket").fit(X),
        "Hydra": Hydra().fit(X),
    }
    for checkpoint in checkpoints:
        for form, pooling in {"default": "auto", "small": "small"}.items():
            embedder = FEIEmbedder(pretrained=checkpoint, pooling=pooling, n_jobs=1)
            fitted[f"{checkpoint}: {form}"] = embedder.fit(X)
    return fitted


def standardised(features: Split) -> Split:
    """Return features standardised by their training part."""
    scaler = StandardScaler().fit(features.X_train)
    train = scaler.transform(features.X_train)
    test = scaler.transform(features.X_test)
    return features._replace(X_train=train, X_test=test)


def side_by_side(first: Split, second: Split) -> Split:
    """Return the features of both."""
    train = np.concatenate([first.X_train, second.X_train], axis=1)
    test = np.concatenate([first.X_test, second.X_test], axis=1)
    return first._replace(X_train=train, X_test=test)


def scaled(features: dict[str, Split]) -> dict[str, Split]:
    """Return scaled features by title, those of several transformers too."""
    of_titles = {title: standardised(of_title) for title, of_title in features.items()}
    multirocket = of_titles["MultiRocket"]
    sparse = sparse_scaled(features["Hydra"])
    of_titles["Hydra, sparse"] = sparse
    of_titles["MultiRocket + Hydra"] = side_by_side(multirocket, of_titles["Hydra"])
    of_titles["MultiRocket + Hydra, sparse"] = side_by_side(multirocket, sparse)
    return of_titles


def measure_set(path: Path, args: argparse.Namespace) -> dict:
    """Return the record of a set: accuracy, number of features and seconds by title."""
    rng = np.random.default_rng(0)
    split = sample_split(load_dataset(path), rng, most_train=args.most, most_test=args.most)
    features = {}
    seconds = {}
    for title, transformer in transformers(args.checkpoints, split.X_train).items():
        transformer.transform(split.X_train[:2])  # compiles
        started = time.process_time()
        features[title] = embed(transformer, split)
        seconds[title] = time.process_time() - started
    record: dict = {"set": path.stem}
    for title, of_title in scaled(features).items():
        head = RidgeClassifierCV(PENALTIES).fit(of_title.X_train, of_title.y_train)
        record[title] = {
            "accuracy": head.score(of_title.X_test, of_title.y_test),
            "features": of_title.X_train.shape[1],
            "seconds": sum(seconds[part] for part in PARTS.get(title, (title,))),
        }
    append_json(args.out, record)
    return record


def table(records: list[dict]) -> str:
    """Return the table: each method beside aeon's MiniRocket and its MultiRocket + Hydra."""
    columns = ["features of", "features", "accuracy"]
    for reference in REFERENCES:
        columns += [f"over {reference}: sets", "families", "won", "lost"]
    columns.append("seconds")
    measures = by_title(records)
    accuracies = {
        title: {name: of_set["accuracy"] for name, of_set in by_set.items()}
        for title, by_set in measures.items()
    }
    rows = []
    for title, by_set in measures.items():
        n_features = np.median([of_set["features"] for of_set in by_set.values()])
        seconds = sum(of_set["seconds"] for of_set in by_set.values())
        cells = [title, f"{n_features:,.0f}", f"{np.mean(list(accuracies[title].values())):.4f}"]
        for reference in REFERENCES:
            cells += list(compare(accuracies[title], accuracies[reference]).values())[1:]
        rows.append([*cells, f"{seconds:.1f}"])
    return markdown_table(columns, rows)


def main() -> None:
    """Measure the sets that are not in the file of records, and print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_checkpoint_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, one per set")
    args = parser.parse_args()
    measured = {record["set"] for record in read_json(args.out)}
    for path in set_paths(args):
        if path.stem not in measured:
            measure_set(path, args)
    print(table(read_json(args.out)))


if __name__ == "__main__":
    main()
