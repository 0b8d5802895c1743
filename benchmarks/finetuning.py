"""Fine-tuning from a checkpoint, beside heads on frozen features and fine-tuning from scratch.

    python benchmarks/finetuning.py DIR --sets Crop FacesUCR --most 200 --seeds 0 1

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. "lean" is the mean, the
maximum and the deviation of all stages, which have a gradient; the shares of the default readout
have none. "from scratch" is the same encoder with random weights. "validated" are a lower rate,
more epochs, and early stopping on a tenth of the series. Each seed draws its own series. The last
rows are means, and differences to the first way in points, with standard errors over sets.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from families import mean_with_error
from heads import ridge_classifier
from results import table_head, table_row
from sklearn.pipeline import make_pipeline
from ucr_sets import add_set_arguments, sample_split, set_paths

from fei_sklearn import FEIClassifier, FEIEmbedder
from fei_sklearn.datasets import load_dataset

LEAN = {"pooling": ("mean", "max", "std"), "layers": "all", "views": "level"}

UNTRAINED = {"max_epochs": 0}

VALIDATED = {"validation_fraction": 0.1, "learning_rate": 1e-4, "max_epochs": 50}

#: Encoders from scratch that are like those of the checkpoints.
UNTRAINED_ENCODERS = {
    "default": {"encoder": "dilated"},
    "fei-tiny": {"encoder": "tiny", "min_timepoints": 512},
    "fei-small": {"encoder": "small", "min_timepoints": 512},
}

#: Parameters of FEIClassifier, and of its embedder.
WAYS = {
    "frozen": ({"freeze_encoder": True}, {}),
    "first head": ({"max_epochs": 0}, {}),
    "fine-tuned": ({}, {}),
    "fine-tuned, 2e-5": ({"learning_rate": 2e-5}, {}),
    "frozen, validated": ({"freeze_encoder": True} | VALIDATED, {}),
    "fine-tuned, validated": (VALIDATED, {}),
    "from a head of zeros": ({"warm_head": False}, {}),
    "lean, first head": ({"max_epochs": 0}, LEAN),
    "lean, fine-tuned": ({}, LEAN),
    "from scratch, first head": ({"max_epochs": 0}, UNTRAINED),
    "from scratch, fine-tuned": ({}, UNTRAINED),
    "from scratch, fine-tuned, 1e-4": ({"learning_rate": 1e-4}, UNTRAINED),
}
RIDGE = "frozen, ridge"


def model(name: str, checkpoint: str, seed: int):
    """Return the unfitted classifier of a way."""
    params, embedder_params = WAYS.get(name, ({}, {}))
    start = {"pretrained": checkpoint}
    if embedder_params is UNTRAINED:
        start = UNTRAINED_ENCODERS[checkpoint]
    embedder = FEIEmbedder(**start | embedder_params, random_state=seed, n_jobs=1)
    if name == RIDGE:
        return make_pipeline(embedder, ridge_classifier())
    return FEIClassifier(embedder, random_state=seed, n_jobs=1, **params)


def measure_set(path: Path, args: argparse.Namespace) -> np.ndarray:
    """Return the accuracy of each way on a set, a mean over the seeds."""
    dataset = load_dataset(path)
    scores = np.zeros((len(args.seeds), len(args.ways)))
    for i, seed in enumerate(args.seeds):
        rng = np.random.default_rng(seed)
        split = sample_split(dataset, rng, most_train=args.most, most_test=args.test)
        for k, way in enumerate(args.ways):
            classifier = model(way, args.checkpoint, seed)
            classifier.fit(split.X_train, split.y_train)
            scores[i, k] = classifier.score(split.X_test, split.y_test)
    return scores.mean(axis=0)


def main() -> None:
    """Print a row per set, means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_set_arguments(parser)
    parser.add_argument("--checkpoint", choices=UNTRAINED_ENCODERS, default="default")
    parser.add_argument("--most", type=int, default=100, help="training series")
    parser.add_argument("--test", type=int, default=200, help="test series")
    parser.add_argument("--ways", nargs="+", default=[RIDGE, *WAYS], help=f"of {[RIDGE, *WAYS]}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    print(table_head(["set", *args.ways, "s"]))
    scores = []
    for path in set_paths(args):
        started = time.perf_counter()
        scores.append(measure_set(path, args))
        cells = [f"{score:.3f}" for score in scores[-1]]
        seconds = time.perf_counter() - started
        print(table_row([path.stem, *cells, f"{seconds:.0f}"]), flush=True)
    means = [f"{mean:.4f}" for mean in np.mean(scores, axis=0)]
    print(table_row(["mean", *means, ""]))
    points = 100 * np.array(scores)
    gains = [mean_with_error(gain) for gain in (points - points[:, :1]).T]
    print(table_row(["gain", *gains, ""]))


if __name__ == "__main__":
    main()
