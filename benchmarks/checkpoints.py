"""Bundled checkpoints, used as they are, beside an untrained encoder and MiniRocket on UCR sets.

Every method gives features to the same head, StandardScaler and RidgeClassifierCV, on the archive's
own split. Needs a folder of ``.npz`` panels with the keys X_train, y_train, X_test, y_test (or any
data that ``fei_sklearn.datasets.load_dataset`` reads), and sktime with numba for MiniRocket::

    python benchmarks/checkpoints.py DIR --methods fei-small fei-tiny untrained minirocket

`--labels 10` keeps at most so many labelled series a class, drawn with the seed; `--most 500` at
most so many series of each part, which the big sets need to be quick.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset


class MiniRocket:
    """sktime's MiniRocket on panels of shape (n_samples, 1, n_timepoints)."""

    def __init__(self, seed: int) -> None:
        from sktime.transformations.panel.rocket import MiniRocket as Transformer

        self.transformer = Transformer(random_state=seed, n_jobs=1)

    def fit(self, X):
        self.transformer.fit(X.astype(np.float64))
        return self

    def transform(self, X):
        return self.transformer.transform(X.astype(np.float64)).to_numpy()


def method(name: str, seed: int):
    """An unfitted transformer: "minirocket", "untrained", or a checkpoint; "+mean" etc. pools."""
    name, _, pooling = name.partition("+")
    if name == "minirocket":
        return MiniRocket(seed)
    readout = {"pooling": pooling} if pooling else {}
    if name == "untrained":
        readout |= {"min_timepoints": 512}
    else:
        readout |= {"pretrained": name}
    return FEIEmbedder(max_epochs=0, random_state=seed, n_jobs=1, **readout)


def some(X, y, most: int | None, labels: int | None, rng: np.random.Generator):
    """At most `labels` series a class, and `most` in all."""
    order = rng.permutation(len(y))
    if labels is not None:
        order = np.concatenate([order[y[order] == label][:labels] for label in np.unique(y)])
    elif most is not None and most < len(y):
        kept = order[:most]
        order = kept if len(np.unique(y[kept])) == len(np.unique(y)) else order[: 3 * most]
    rows = np.sort(order)
    return X[rows], y[rows]


def cell(name: str, data, seed: int) -> dict[str, float]:
    """Accuracy, features, and seconds of fit and transform of one method on one set."""
    X_train, y_train, X_test, y_test = data
    started = time.perf_counter()
    transformer = method(name, seed).fit(X_train)
    fitted = time.perf_counter()
    train, test = transformer.transform(X_train), transformer.transform(X_test)
    embedded = time.perf_counter()
    head = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
    return {
        "accuracy": float(head.fit(train, y_train).score(test, y_test)),
        "features": train.shape[1],
        "fit_seconds": fitted - started,
        "transform_seconds": embedded - fitted,
    }


def main() -> None:
    """Print a table of accuracies, set by set, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--methods", nargs="+", default=["fei-small", "untrained", "minirocket"])
    parser.add_argument("--sets", nargs="+", help="names; default: all in the folder")
    parser.add_argument("--most", type=int)
    parser.add_argument("--labels", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, help="JSON lines, one a cell")
    args = parser.parse_args()
    names = args.sets or sorted(path.stem for path in args.folder.glob("*.npz"))
    print("| set |", " | ".join(args.methods), "|\n|---|" + "---|" * len(args.methods))
    results: list[list[dict[str, float]]] = []
    for name in names:
        dataset = load_dataset(args.folder / f"{name}.npz")
        cells = {m: [] for m in args.methods}
        for seed in args.seeds:
            rng = np.random.default_rng(seed)
            data = (
                *some(dataset.X_train, dataset.y_train, args.most, args.labels, rng),
                *some(dataset.X_test, dataset.y_test, args.most, None, rng),
            )
            for m in args.methods:  # side by side, so that a busy machine is busy for all
                cells[m].append(cell(m, data, seed))
                if args.out:
                    with args.out.open("a") as file:
                        line = {"set": name, "method": m, "seed": seed} | cells[m][-1]
                        file.write(json.dumps(line) + "\n")
        means = [{k: np.mean([c[k] for c in cs]) for k in cs[0]} for cs in cells.values()]
        results.append(means)
        print(f"| {name} |", " | ".join(f"{m['accuracy']:.3f}" for m in means), "|", flush=True)
    for key, digits in (("accuracy", 4), ("features", 0), ("transform_seconds", 2)):
        columns = [np.mean([row[i][key] for row in results]) for i in range(len(args.methods))]
        print(f"| mean {key} |", " | ".join(f"{v:.{digits}f}" for v in columns), "|")


if __name__ == "__main__":
    main()
