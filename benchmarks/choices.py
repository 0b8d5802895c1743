"""Measure the defaults of FEIEmbedder against their alternatives, on training parts only.

Each variant pretrains on the training series of a set, without labels; a standardised ridge head is
then cross-validated on the same series. Test parts are never touched.

    python benchmarks/choices.py channels
    python benchmarks/choices.py scaling schedule readout --seeds 3 --data FOLDER

The sets are those that sktime ships; ``--data`` adds ``har.npz`` of a folder (``X_train``,
``y_train``).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from heads import cross_validated
from sktime_sets import MULTIVARIATE, UNIVARIATE, load_training_part

from fei_sklearn import FEIEmbedder

PAPER = {"batch_size": 512, "learning_rate": 2e-4, "lr_decay": 0.9, "min_epoch_steps": 1}

#: Parameters of the embedder for each variant of each study. The first variant is the default.
STUDIES = {
    "channels": {
        "independent": {"channels": "independent"},
        "mix": {"channels": "mix"},
    },
    "scaling": {
        "channel": {"scaling": "channel"},
        "series": {"scaling": "series"},
    },
    "schedule": {
        "default": {},
        "untrained": {"max_epochs": 0},
        "paper's": PAPER | {"max_epochs": 100},
        "learning rate 2e-4": {"learning_rate": 2e-4},
        "twice as long": {"max_epochs": 100},
    },
    "readout": {
        "mean, last": {},
        "mean+max+std, last": {"pooling": ("mean", "max", "std")},
        "mean, all": {"layers": "all"},
        "mean+max+std, all": {"layers": "all", "pooling": ("mean", "max", "std")},
    },
}


def measure(params, X, y, n_seeds):
    """Return the scores of a variant, one per seed, and seconds per fit."""
    scores = []
    started = time.perf_counter()
    for seed in range(n_seeds):
        embedder = FEIEmbedder(random_state=seed, n_jobs=1, **params)
        embeddings = embedder.fit_transform(X)
        scores.append(cross_validated(embeddings, y, seed))
    seconds = time.perf_counter() - started
    return np.array(scores), seconds / n_seeds


def run(study, folder, n_seeds, encoder):
    """Measure all variants of a study and print a row per set."""
    variants = STUDIES[study]
    names = MULTIVARIATE if study == "channels" else MULTIVARIATE + UNIVARIATE
    print(f"\n{study}: mean ± standard deviation over {n_seeds} seeds (seconds a fit)")
    print(f"{'':<18}" + "".join(f"{name:>24}" for name in variants), flush=True)
    for name in names:
        data = load_training_part(name, folder)
        if data is None:
            continue
        row = f"{name:<18}"
        for params in variants.values():
            scores, seconds = measure({"encoder": encoder} | params, *data, n_seeds)
            row += f"{scores.mean():10.3f} ± {scores.std():.3f} ({seconds:4.0f})"
        print(row, flush=True)


def main():
    """Run the studies that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", choices=list(STUDIES))
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoder", default="small")
    args = parser.parse_args()
    for study in args.studies:
        run(study, args.data, args.seeds, args.encoder)


if __name__ == "__main__":
    main()
