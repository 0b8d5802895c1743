"""Series of unequal length: padded, at their own length, and stretched one by one.

    python benchmarks/unequal_lengths.py DIR
    python benchmarks/unequal_lengths.py DIR --cut --longest 600 --most 200

DIR holds ``.npz`` panels with the keys X_train, y_train, X_test, y_test. The first command takes
the sets of `PADDED`, which the archive padded by noise of a small amplitude or by one repeated
value, and two sets of sktime, or those of them that ``--sets`` names. A padded series ends for it
where that quiet tail begins. The second command takes all other sets, and cuts a window of random
length, a fifth of a series or more, from each series. Copies are read by one checkpoint, and their
features stand side by side where two copies are named.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from families import compare
from heads import ridge_accuracy
from minirocket import MiniRocket
from results import append_json, by_title, markdown_table
from sktime_sets import load_unequal
from ucr_sets import Split, add_set_arguments, embed, sample_split, set_paths

from fei_sklearn import FEIEmbedder
from fei_sklearn.datasets import load_dataset

#: Sets of unequal length that the archive padded.
PADDED = (
    "AllGestureWiimoteX",
    "AllGestureWiimoteY",
    "AllGestureWiimoteZ",
    "GesturePebbleZ1",
    "GesturePebbleZ2",
    "PickupGestureWiimoteZ",
    "ShakeGestureWiimoteZ",
)

#: Sets that sktime has without the padding.
UNPADDED = ("PLAID", "JapaneseVowels")

#: Largest change from point to point in a quiet tail, for series of up to three deviations.
QUIET = 2.1e-3

#: Fewest points that count as a tail.
SHORTEST_TAIL = 9

#: Shortest window that is cut, as a share of the series.
SHORTEST_WINDOW = 0.2

REFERENCE = "own length"

COLUMNS = ("series", "accuracy", "over sets", "over families", "won", "lost", "sets")


def own_length(series: np.ndarray) -> int:
    """Return the number of time points before the quiet tail."""
    largest = max(1.0, np.abs(series).max() / 3)
    moving = np.flatnonzero(np.abs(np.diff(series)) > QUIET * largest)
    if len(moving) == 0:
        return len(series)
    end = int(moving[-1]) + 2
    if len(series) - end < SHORTEST_TAIL:
        return len(series)
    return end


def without_tail(X: np.ndarray) -> np.ndarray:
    """Return series with NaN in place of their quiet tails."""
    cut = X.copy()
    for series in cut[:, 0]:
        series[own_length(series) :] = np.nan
    return cut


def windows(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a window of random place and length of each series, with NaN behind it."""
    n_timepoints = X.shape[2]
    cut = np.full_like(X, np.nan)
    for series, window in zip(X, cut, strict=True):
        length = int(rng.integers(SHORTEST_WINDOW * n_timepoints, n_timepoints + 1))
        start = int(rng.integers(n_timepoints - length + 1))
        window[:, :length] = series[:, start : start + length]
    return cut


def stretched(X: np.ndarray) -> np.ndarray:
    """Return series that end where NaN begins, stretched to the length of the panel."""
    n_timepoints = X.shape[2]
    out = np.empty_like(X)
    for series, result in zip(X, out, strict=True):
        length = np.isfinite(series[0]).sum()
        position = np.linspace(0, length - 1, n_timepoints)
        for channel, of_channel in zip(series, result, strict=True):
            of_channel[:] = np.interp(position, np.arange(length), channel[:length])
    return out


def unequal_splits(args: argparse.Namespace) -> Iterator[tuple[str, Split, Split]]:
    """Yield names of sets, and their series with NaN behind their ends, and padded."""
    for name in args.sets or (*PADDED, *UNPADDED):
        if name in UNPADDED:
            own = Split(*load_unequal(name))
            yield name, own, padded_by_zeros(own)
            continue
        dataset = load_dataset(args.folder / f"{name}.npz")
        rng = np.random.default_rng(args.seed)
        padded = sample_split(dataset, rng, most_train=args.most, most_test=args.most)
        train = without_tail(padded.X_train)
        test = without_tail(padded.X_test)
        yield name, padded._replace(X_train=train, X_test=test), padded


def cut_splits(args: argparse.Namespace) -> Iterator[tuple[str, Split, Split]]:
    """Yield the same of sets of equal length whose series are cut."""
    for path in set_paths(args):
        if path.stem in (*PADDED, *UNPADDED):
            continue
        rng = np.random.default_rng(args.seed)
        split = sample_split(load_dataset(path), rng, most_train=args.most, most_test=args.most)
        train = windows(split.X_train, rng)
        test = windows(split.X_test, rng)
        own = split._replace(X_train=train, X_test=test)
        yield path.stem, own, padded_by_zeros(own)


def padded_by_zeros(own: Split) -> Split:
    return own._replace(X_train=np.nan_to_num(own.X_train), X_test=np.nan_to_num(own.X_test))


def features_of_copies(own: Split, padded: Split, checkpoint: str) -> dict[str, Split]:
    """Return the features of each copy of a set by title."""
    as_long = own._replace(X_train=stretched(own.X_train), X_test=stretched(own.X_test))
    features = {}
    for title, split in {REFERENCE: own, "padded": padded, "all as long": as_long}.items():
        embedder = FEIEmbedder(pretrained=checkpoint, n_jobs=1).fit(split.X_train)
        features[title] = embed(embedder, split)
    each = FEIEmbedder(pretrained=checkpoint, n_jobs=1).fit(own.X_train)
    each.stretch_ = None
    features["short ones stretched one by one"] = embed(each, own)
    side_by_side = [features[REFERENCE], features["padded"]]
    train = np.concatenate([of_copy.X_train for of_copy in side_by_side], axis=1)
    test = np.concatenate([of_copy.X_test for of_copy in side_by_side], axis=1)
    features["own length and padded"] = own._replace(X_train=train, X_test=test)
    return features


def measure_set(name: str, own: Split, padded: Split, args: argparse.Namespace) -> dict:
    """Return the record of a set: the accuracy of each copy, and of MiniRocket on padded series."""
    features = features_of_copies(own, padded, args.checkpoint)
    rocket = MiniRocket(0).fit(padded.X_train)
    features["MiniRocket, padded"] = embed(rocket, padded)
    record: dict = {"set": name}
    for title, of_title in features.items():
        record[title] = ridge_accuracy(of_title)
    append_json(args.out, record)
    return record


def table(records: list[dict]) -> str:
    """Return the table: differences to series of their own length in points."""
    accuracies = by_title(records)
    rows = []
    for title, accuracy in accuracies.items():
        cells = compare(accuracy, accuracies[REFERENCE]).values()
        rows.append([title, *cells, len(accuracy)])
    return markdown_table(COLUMNS, rows)


def main() -> None:
    """Measure every set, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add_set_arguments(parser)
    parser.add_argument("--cut", action="store_true", help="cut windows of random length")
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--most", type=int, help="series of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON lines, one per set")
    args = parser.parse_args()
    splits = cut_splits(args) if args.cut else unequal_splits(args)
    print(table([measure_set(*of_set, args) for of_set in splits]))


if __name__ == "__main__":
    main()
