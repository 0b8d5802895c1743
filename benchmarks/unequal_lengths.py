"""Sets of unequal length: series padded as in the archive, at their own length, and stretched.

    python benchmarks/unequal_lengths.py DIR --sets AllGestureWiimoteX GesturePebbleZ1 PLAID

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test, whose series are padded by
noise of a small amplitude, or by one repeated value. The script takes a series' own length to end
where that quiet tail begins. Copies are read by one checkpoint, and their features stand side by
side where two copies are named.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from families import compare
from heads import ridge_accuracy
from minirocket import MiniRocket
from results import append_json, table_head, table_row
from ucr_sets import add_set_arguments, embed, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

#: Largest change from point to point in a quiet tail, for series of up to three deviations.
QUIET = 2.1e-3

#: Fewest points that count as a tail.
SHORTEST_TAIL = 9

#: Copies of the series that are read, by title.
COPIES = {
    "padded": ("padded",),
    "native": ("native",),
    "stretched": ("stretched",),
    "native, stretched": ("native", "stretched"),
    "padded, native": ("padded", "native"),
}

COLUMNS = ("copies", "accuracy", "over sets", "over families", "won", "lost")


def own_length(series: np.ndarray) -> int:
    """Return the number of time points before the quiet tail."""
    largest = max(1.0, np.abs(series).max() / 3)
    moving = np.flatnonzero(np.abs(np.diff(series)) > QUIET * largest)
    end = int(moving[-1]) + 2 if len(moving) else 0
    if len(series) - end < SHORTEST_TAIL:
        return len(series)
    return end


def without_tail(X: np.ndarray) -> np.ndarray:
    """Return series with NaN in place of their quiet tails."""
    cut = X.copy()
    for series in cut[:, 0]:
        series[own_length(series) :] = np.nan
    return cut


def stretched(X: np.ndarray) -> np.ndarray:
    """Return series without their tails, stretched to the length of the panel."""
    n_timepoints = X.shape[2]
    out = np.empty_like(X)
    for series, result in zip(X[:, 0], out[:, 0], strict=True):
        length = own_length(series)
        position = np.linspace(0, length - 1, n_timepoints)
        result[:] = np.interp(position, np.arange(length), series[:length])
    return out


def measure_set(path: Path, args: argparse.Namespace) -> dict[str, float]:
    """Return the accuracy of MiniRocket and of each choice of copies, by title."""
    rng = np.random.default_rng(args.seed)
    split = sample_split(load_dataset(path), rng, most_train=args.most, most_test=args.most)
    rocket = MiniRocket(0).fit(split.X_train)
    accuracies = {"MiniRocket": ridge_accuracy(embed(rocket, split))}
    features = {}
    for copy, change in {"padded": np.copy, "native": without_tail, "stretched": stretched}.items():
        changed = split._replace(X_train=change(split.X_train), X_test=change(split.X_test))
        embedder = FEIEmbedder(pretrained=args.checkpoint, n_jobs=1).fit(changed.X_train)
        features[copy] = embed(embedder, changed)
    for title, copies in COPIES.items():
        train = np.concatenate([features[copy].X_train for copy in copies], axis=1)
        test = np.concatenate([features[copy].X_test for copy in copies], axis=1)
        accuracies[title] = ridge_accuracy(split._replace(X_train=train, X_test=test))
    append_json(args.out, {"set": path.stem} | accuracies)
    return accuracies


def main() -> None:
    """Print differences to MiniRocket on padded series in points, with standard errors."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--most", type=int, help="series of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON lines, one per set")
    args = parser.parse_args()
    by_set = {path.stem: measure_set(path, args) for path in set_paths(args)}
    print(table_head(COLUMNS))
    for title in ("MiniRocket", *COPIES):
        accuracy = {name: of_set[title] for name, of_set in by_set.items()}
        reference = {name: of_set["MiniRocket"] for name, of_set in by_set.items()}
        print(table_row([title, *compare(accuracy, reference).values()]))


if __name__ == "__main__":
    main()
