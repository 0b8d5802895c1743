"""Parts of the training series: fewer of them, a validation part, folds for the probe."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
)

#: Share of the training part that validates where a set has no validation part.
FRACTION = 0.2

N_FOLDS = 5


def thin(y: np.ndarray, most: int, *, classes: bool) -> np.ndarray:
    """Rows of at most so many series, always the same ones.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels or targets.
    most : int
        How many.
    classes : bool
        Whether `y` are classes. Each then keeps its share, and at least one series.

    Returns
    -------
    ndarray of int
        Ascending.
    """
    rows = np.random.default_rng(0).permutation(len(y))
    if len(y) <= most or not classes:
        return np.sort(rows[:most])
    parts = [rows[y[rows] == label] for label in np.unique(y)]
    return np.sort(np.concatenate([p[: max(1, len(p) * most // len(y))] for p in parts]))


def hold_out(
    y: np.ndarray, groups: np.ndarray | None, *, classes: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that train, and a fifth of them that validates.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels or targets.
    groups : ndarray of shape (n_samples,) or None
        Engines, bearings or persons: one is on one side only.
    classes : bool
        Whether `y` are classes. Each then gives a fifth of its own series, and none its last.
    seed : int
        Seed of the draw.

    Returns
    -------
    rows, held_out : ndarray of int
        Ascending. Nothing is held out of what cannot be parted.
    """
    rows = np.arange(len(y))
    generator = np.random.default_rng(seed)
    if groups is not None and len(np.unique(groups)) > 1:
        chosen = _groups(y, groups, classes, seed)
    elif classes:
        parts = (generator.permutation(np.flatnonzero(y == label)) for label in np.unique(y))
        chosen = np.concatenate([part[: _fifth(len(part))] for part in parts])
    else:
        chosen = generator.permutation(rows)[: _fifth(len(rows))]
    held_out = np.sort(chosen)
    return np.setdiff1d(rows, held_out), held_out


def _fifth(n: int) -> int:
    return min(round(FRACTION * n), n - 1)


def _groups(y: np.ndarray, groups: np.ndarray, classes: bool, seed: int) -> np.ndarray:
    n_groups = len(np.unique(groups))
    if classes and n_groups >= N_FOLDS:
        try:
            folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=seed)
            _, chosen = next(folds.split(y, y, groups))
            return np.asarray(chosen)
        except ValueError:  # a class of fewer series than folds
            pass
    splits = GroupShuffleSplit(1, test_size=FRACTION, random_state=seed)
    _, chosen = next(splits.split(y, y, groups))
    return np.asarray(chosen)


def folds(
    y: np.ndarray, groups: np.ndarray | None, *, classes: bool, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds of the training part: at most 5, by group where known, stratified for classes.

    Parameters
    ----------
    y, groups, classes, seed
        As in :func:`hold_out`.

    Returns
    -------
    list of pairs of ndarray of int
        Rows to fit and rows to score; empty where there are too few series, groups, or series of a
        class.
    """
    n_groups = len(y) if groups is None else len(np.unique(groups))
    fewest = int(np.unique(y, return_counts=True)[1].min()) if classes else n_groups
    n_folds = min(N_FOLDS, n_groups, fewest)
    if n_folds < 2:
        return []
    if groups is not None and classes:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    elif groups is not None:
        splitter = GroupKFold(n_folds)
    elif classes:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    else:
        splitter = KFold(n_folds, shuffle=True, random_state=seed)
    parts = list(splitter.split(y, y, groups))
    return [(rows, out) for rows, out in parts if not classes or _has_all(y[rows], y)]


def _has_all(some: np.ndarray, y: np.ndarray) -> bool:
    return len(np.unique(some)) == len(np.unique(y))
