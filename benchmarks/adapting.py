"""A checkpoint used as it is, or pretrained further on the panel at hand, without labels.

    python benchmarks/adapting.py DIR --checkpoint fei-tiny --sets GunPoint ArrowHead

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. Every way gives features
to the same head, StandardScaler and RidgeClassifierCV.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

#: Ways to use a checkpoint: parameters of FEIEmbedder.
WAYS = {
    "as it is": {"max_epochs": 0},
    "adapted, 1e-3": {"max_epochs": 20, "learning_rate": 1e-3},
    "adapted, 1e-4": {"max_epochs": 20, "learning_rate": 1e-4},
}


def main() -> None:
    """Print a table of accuracies, mean over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoint", default="fei-tiny")
    parser.add_argument("--sets", nargs="+", help="names; default: all in the folder")
    parser.add_argument("--most", type=int, default=400, help="series of each part")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    print("| set | series |", " | ".join(WAYS), "|\n|---|---|" + "---|" * len(WAYS))
    rows = []
    for name in args.sets or sorted(path.stem for path in args.folder.glob("*.npz")):
        dataset = load_dataset(args.folder / f"{name}.npz")
        rng = np.random.default_rng(0)
        parts = []
        for X, y in ((dataset.X_train, dataset.y_train), (dataset.X_test, dataset.y_test)):
            chosen = np.sort(rng.permutation(len(y))[: args.most])
            parts += [X[chosen], y[chosen]]
        rows.append([])
        for params in WAYS.values():
            scores = []
            for seed in args.seeds:
                model = make_pipeline(
                    FEIEmbedder(pretrained=args.checkpoint, random_state=seed, n_jobs=1, **params),
                    StandardScaler(),
                    RidgeClassifierCV(np.logspace(-3, 3, 10)),
                )
                scores.append(model.fit(*parts[:2]).score(*parts[2:]))
            rows[-1].append(np.mean(scores))
        cells = " | ".join(f"{value:.3f}" for value in rows[-1])
        print(f"| {name} | {len(parts[1])} | {cells} |", flush=True)
    print("| mean | |", " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0)), "|")


if __name__ == "__main__":
    main()
