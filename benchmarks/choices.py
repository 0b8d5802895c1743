"""Measure the defaults of FEIEmbedder against their alternatives, on training parts only.

Each variant pretrains on the training series of a set, without labels; a standardised ridge head is
then cross-validated on the same series. Test parts are never touched.

    python benchmarks/choices.py channels
    python benchmarks/choices.py scaling schedule readout --seeds 3 --data FOLDER

Sets are those that sktime ships; ``--data`` adds a folder's ``har.npz`` (``X_train``, ``y_train``).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime import datasets

from fei_sklearn import FEIEmbedder

PAPER = {"batch_size": 512, "learning_rate": 2e-4, "lr_decay": 0.9, "min_epoch_steps": 1}

#: Study -> variant -> parameters of the embedder. The first variant is the default.
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

MULTIVARIATE = ("BasicMotions", "JapaneseVowels", "HAR")
UNIVARIATE = ("ItalyPowerDemand", "GunPoint", "ArrowHead", "Tecator")


def load(name, folder):
    """Training series and targets of a set, or None where it is not at hand."""
    if name == "HAR":
        if folder is None or not (folder / "har.npz").exists():
            return None
        with np.load(folder / "har.npz") as arrays:
            rows = np.random.default_rng(0).permutation(len(arrays["X_train"]))[:600]
            return arrays["X_train"][rows], arrays["y_train"][rows]
    if name == "JapaneseVowels":
        frame, y = datasets.load_japanese_vowels(split="train", return_X_y=True)
        return [np.stack([cell.to_numpy() for cell in row]) for row in frame.to_numpy()], y
    loaders = {
        "BasicMotions": datasets.load_basic_motions,
        "ItalyPowerDemand": datasets.load_italy_power_demand,
        "GunPoint": datasets.load_gunpoint,
        "ArrowHead": datasets.load_arrow_head,
        "Tecator": datasets.load_tecator,
    }
    return loaders[name](split="train", return_type="numpy3d")


def score(embeddings, y, seed):
    """Cross-validated accuracy, or R2 for floating targets."""
    alphas = np.logspace(-3, 3, 13)
    if np.issubdtype(np.asarray(y).dtype, np.floating):
        head, folds = RidgeCV(alphas), KFold(5, shuffle=True, random_state=seed)
    else:
        head = RidgeClassifierCV(alphas)
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return cross_val_score(make_pipeline(StandardScaler(), head), embeddings, y, cv=folds).mean()


def measure(params, X, y, seeds):
    """Scores of a variant, one a seed, and seconds a fit."""
    scores, started = [], time.perf_counter()
    for seed in range(seeds):
        embeddings = FEIEmbedder(random_state=seed, n_jobs=1, **params).fit_transform(X)
        scores.append(score(embeddings, y, seed))
    return np.array(scores), (time.perf_counter() - started) / seeds


def run(study, folder, seeds, encoder):
    """Measure all variants of a study and print a row a set."""
    variants = STUDIES[study]
    print(f"\n{study}: mean ± standard deviation over {seeds} seeds (seconds a fit)")
    print(f"{'':<18}" + "".join(f"{name:>24}" for name in variants), flush=True)
    for name in MULTIVARIATE if study == "channels" else MULTIVARIATE + UNIVARIATE:
        data = load(name, folder)
        if data is None:
            continue
        row = f"{name:<18}"
        for params in variants.values():
            scores, seconds = measure({"encoder": encoder} | params, *data, seeds)
            row += f"{scores.mean():10.3f} ± {scores.std():.3f} ({seconds:4.0f})"
        print(row, flush=True)


def main():
    """Run the studies that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", choices=list(STUDIES))
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoder", default="small")
    arguments = parser.parse_args()
    for study in arguments.studies:
        run(study, arguments.data, arguments.seeds, arguments.encoder)


if __name__ == "__main__":
    main()
