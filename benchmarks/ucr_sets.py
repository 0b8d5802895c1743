"""Sets in a folder of .npz panels, and samples of their training and test parts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from fei_sklearn.datasets import Dataset, load_dataset


class Split(NamedTuple):
    """Series, or their features, and labels of both parts of a set."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


class Transformer(Protocol):
    """Fitted transformer of panels to features."""

    def transform(self, X: np.ndarray) -> np.ndarray: ...


def add_set_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the sets, their names and their length to the arguments of a script."""
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help="names; default: all in the folder")
    parser.add_argument("--longest", type=int, help="time points of the longest sets measured")


def add_checkpoint_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sets, the checkpoints that embed them, and the most series of each part."""
    add_set_arguments(parser)
    parser.add_argument("--checkpoints", nargs="+", default=["default"])
    parser.add_argument("--most", type=int, help="series of each part")


def set_paths(args: argparse.Namespace) -> list[Path]:
    """Return the files of the sets that the arguments name."""
    paths = sorted(args.folder.glob("*.npz"))
    if args.sets:
        paths = [args.folder / f"{name}.npz" for name in args.sets]
    if args.longest is None:
        return paths
    return [path for path in paths if load_dataset(path).X_train.shape[-1] <= args.longest]


def sample(
    X: np.ndarray,
    y: np.ndarray,
    most: int | None,
    rng: np.random.Generator,
    *,
    per_class: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw at most `per_class` series per class if given, else at most `most` in all.

    Three times `most` are drawn if a class would be missing otherwise.
    """
    order = rng.permutation(len(y))
    if per_class is not None:
        rows_of_classes = [order[y[order] == label][:per_class] for label in np.unique(y)]
        order = np.concatenate(rows_of_classes)
    elif most is not None and most < len(y):
        n_classes = len(np.unique(y))
        has_all_classes = len(np.unique(y[order[:most]])) == n_classes
        order = order[:most] if has_all_classes else order[: 3 * most]
    rows = np.sort(order)
    return X[rows], y[rows]


def sample_split(
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    most_train: int | None,
    most_test: int | None,
    per_class: int | None = None,
) -> Split:
    """Draw from both parts of a set; `per_class` concerns the training part."""
    X_train, y_train = sample(
        dataset.X_train, dataset.y_train, most_train, rng, per_class=per_class
    )
    X_test, y_test = sample(dataset.X_test, dataset.y_test, most_test, rng)
    return Split(X_train, y_train, X_test, y_test)


def embed(transformer: Transformer, split: Split) -> Split:
    """Return the features of both parts."""
    train = transformer.transform(split.X_train)
    test = transformer.transform(split.X_test)
    return Split(train, split.y_train, test, split.y_test)
